/*
 * report: what `chatctl show` answers, from the master and shared memory
 * alone, so that no worker is asked. Layer 6. Made in steps, so that a
 * million users neither stop the master nor fill its memory.
 */
#ifndef CHATD_MASTER_REPORT_H
#define CHATD_MASTER_REPORT_H

#include <stdbool.h>

struct evbuffer;
struct master;
struct report;

/* What: the second word of a row `show` of codec/command.def, but `upgrade`.
 * NULL with errno EINVAL: there is no such subject. */
struct report *report_new(struct master *m, const char *what, bool json);
void report_free(struct report *r);

/* Appends the next part. 1: there is more, 0: that was all, -1: no memory. */
int report_more(struct report *r, struct evbuffer *out);

/* Adds a dead worker's counters to those that stay, and clears its lines for
 * the next one. */
void report_bury(struct master *m, int worker);

#endif
