/*
 * balance: which connections should move from which worker to which, so that
 * all have as many. Layer 6, pure: counts in, moves out.
 */
#ifndef CHATD_MASTER_BALANCE_H
#define CHATD_MASTER_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

enum {
	BALANCE_MOVES_MAX = 2 * CONF_WORKERS_MAX,
	BALANCE_SKEW = 25,  /* per cent above the mean: too uneven */
	BALANCE_SMALL = 100 /* connections: below it nobody cares */
};

struct balance_move {
	int from, to; /* workers */
	uint32_t n;   /* connections, at least 1 */
};

/*
 * Plans for the workers in `mask`; count[place] is what each has. Those that
 * are not in `stay` (a part of mask) give all that they have. With `even` the
 * others end up with counts that differ by one at most; without, they only
 * take, the emptiest most. Returns the number of moves; 0 if there is nothing
 * to do or nobody stays.
 */
int balance_plan(const uint32_t *count, uint64_t mask, uint64_t stay, bool even,
    struct balance_move move[BALANCE_MOVES_MAX]);

/* Whether the fullest of mask is more than BALANCE_SKEW above the mean. */
bool balance_is_skewed(const uint32_t *count, uint64_t mask);

#endif
