/* layout: what two versions of chatd must agree on to go on with each other's
 * processes: a print of it, and the print's hash. Layer 2. */
#ifndef CHATD_HUB_LAYOUT_H
#define CHATD_HUB_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum { LAYOUT_MAX = 64 * 1024 };

/* Prints all offsets, sizes and values, a line each; returns its length. */
size_t layout_print(char out[LAYOUT_MAX]);

/* The print's hash: an upgrade to a program with another one is refused. */
uint64_t layout_number(void);

#endif
