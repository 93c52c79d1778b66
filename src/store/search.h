/*
 * search: the index of texts (the key store-search): a table of FTS5 without
 * their contents, in which a publication has its id's number, and beside its
 * text its channel as a word, so that what lies in one channel is found without
 * looking at others.
 *
 * What is already there when the index is made is taken in later, by pieces,
 * newest first: search_state.first says how far that has come. A publication is
 * taken out by its text, so before that goes.
 */
#ifndef CHATD_SRC_STORE_SEARCH_H
#define CHATD_SRC_STORE_SEARCH_H

#include "database.h"

/* At opening by who writes: makes the index, or leaves it, as the options say.
 * One that is left is none for who asks; search_shed() takes it away. */
enum store_result search_open(struct store *s);
void search_close(struct store *s);

/* After an error that says that the index is inconsistent: it is left, and made
 * anew by search_shed(). The rows are not touched. */
void search_mend(struct store *s);

/* Takes a new publication in; in a transaction, as all that follow. */
enum store_result search_add(
    struct store *s, int64_t id, int64_t channel, const struct publication *p);

/* Before others delete or fill, and after their commit: reads whether there is
 * an index, and where it begins. */
enum store_result search_begin(struct store *s);

/* Takes one out. */
enum store_result search_remove(
    struct store *s, int64_t id, int64_t channel, const struct publication *p);

/* Takes in what was there before the index, so many rows; *n: how many there
 * were. */
enum store_result search_fill(struct store *s, uint32_t rows, uint32_t *n);

/* Takes away a piece of an index that was left, and after the last one makes
 * another if that is wanted; *n: rows of its tables, 0: there was none. */
enum store_result search_shed(struct store *s, uint32_t *n);

/* Writes the index anew by pieces, so that what was taken out is in the file no
 * more. Begins with the first one. *more: there are more pieces. */
enum store_result search_tidy(struct store *s, bool first, bool *more);

/* Whether a question may be answered now: they have a part of the time, and who
 * asks has one of its own. After it: search_ended(). */
bool search_may_begin(struct store *s, struct store_share *own);
void search_ended(struct store *s, struct store_share *own);

/* store_find() for STORE_MATCHES: bounds are upto, which takes a channel,
 * oldest_ms and limit. STORE_NONE: there is no index. */
enum store_result search_find(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg);

#endif
