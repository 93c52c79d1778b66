/*
 * report: what `chatctl show` answers, from the master and shared memory
 * (show/show.h) alone, so that no worker is asked. Layer 6. Made in parts, so
 * that a million users neither stop the master nor fill its memory.
 */
#ifndef CHATD_MASTER_REPORT_H
#define CHATD_MASTER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;
struct hub;
struct hub_words;
struct master;
struct report;

/* What: the second word of a row `show` of codec/command.def, but `upgrade`.
 * NULL with errno EINVAL: there is no such subject. */
struct report *report_new(struct master *m, const char *what, bool json);
void report_free(struct report *r);

/* Takes the words behind that. Returns 0, or -1 with a sentence: they are not
 * understood, or name what is not there. */
int report_ask(
    struct report *r, int argc, char **argv, char *error, size_t error_len);

/* Appends the next part. 1: there is more, 0: that was all, -1: no memory. */
int report_more(struct report *r, struct evbuffer *out);

/* Adds a dead worker's counters to those that stay, and clears its lines for
 * the next one. */
void report_bury(struct master *m, int worker);

/* What the doors, framings and transports of this program are called. */
void report_words(struct hub_words *out);

/* Writes them into shared memory that was made or taken over, for programs that
 * look at it from outside. */
void report_words_put(struct hub *h);

#endif
