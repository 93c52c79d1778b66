/*
 * piece: the strings of one load, which live until its end. Private to
 * src/conf.
 */
#ifndef CHATD_CONF_PIECE_H
#define CHATD_CONF_PIECE_H

#include <stddef.h>

struct piece;

/* A copy that lives until piece_free_all(); NULL: no memory. */
const char *piece_keep(struct piece **all, const char *text, size_t len);

/* Frees all, and overwrites them: there may be secrets. */
void piece_free_all(struct piece **all);

#endif
