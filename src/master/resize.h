/* resize: another number of workers, and connections spread evenly. */
#ifndef CHATD_SRC_MASTER_RESIZE_H
#define CHATD_SRC_MASTER_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct master;
struct member;

void resize(struct master *m, int workers);
/* Whether so many workers can hold the connections that there are; false: whole
 * lines in error. */
bool
resize_fits(const struct master *m, int workers, char *error, size_t error_len);
/* Nobody has room for the connections of a worker that has left: it stays. */
void resize_refused(struct member *w);
/* Every timer period: the next worker too many, one after the other. */
void resize_time(struct master *m, uint64_t now);
/* The worker that adopts the connections of one that leaves; -1: none now. */
int resize_taker(const struct member *leaving);
/* A worker that leaves is gone: none follows. */
void resize_gone(struct member *w);
/* Every timer period: when they have been uneven for a while. */
void rebalance_time(struct master *m, uint64_t now);
int rebalance(struct master *m); /* connections that move, -1: cannot */

#endif
