/* search_text: what of a publication can be searched for: a text as it is, of
 * JSON the strings in it, but no names of members. Layer 6, pure. */
#ifndef CHATD_SRC_STORE_SEARCH_TEXT_H
#define CHATD_SRC_STORE_SEARCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "hub/journal.h"

/*
 * Writes the text to out, which has room for p->data_len bytes; returns its
 * length. The same publication has the same text in all versions: what is in
 * the index is taken out by its text (else SEARCH_VERSION grows).
 */
size_t search_text(const struct publication *p, char *out);

/*
 * Writes what FTS5 is asked for words that must all be there, to out, which has
 * room for cap bytes; channel 0: in any. Words are what lies between blanks;
 * all other signs stand for themselves. False: there is no word in it, or too
 * many.
 */
bool search_words(
    const char *text, size_t len, long long channel, char *out, size_t cap);

#endif
