/*
 * share: how workers take from a range that all share, of segments or blocks,
 * by their owner bytes. At the end of the range some are set apart for each
 * worker number, so that no worker depends on the others. The rest is common;
 * of that a worker that has more than its fair share leaves the last ones to
 * those that have less. Layer 2.
 */
#ifndef CHATD_HUB_SHARE_H
#define CHATD_HUB_SHARE_H

#include "hub/shm.h"

struct share {
	_Atomic uint8_t *owner; /* [n], shared: worker + 1, 0: no worker */
	uint32_t n, common;
	uint32_t apart; /* set apart for each worker number, behind the common
			 * ones */
	uint32_t low;	/* free common ones that are for those below `fair` */
	uint32_t fair;	/* common ones divided by the living workers */
	uint32_t workers;
	uint32_t owned;	 /* common ones of this worker */
	uint32_t credit; /* above `fair`: may be taken before looking again */
	uint32_t hint;	 /* where to look for a free common one */
	uint32_t strip;	 /* so many neighbours are one worker's, if possible */
	uint8_t mine;	 /* worker + 1 */
};

/* Nothing is set apart and nothing is left to others. */
void
share_init(struct share *s, _Atomic uint8_t *owner, uint32_t n, int worker);

/*
 * From now on each worker takes common ones from strips in which it has some,
 * or from one that nobody has begun, as long as there are any: so what a worker
 * has lies together, and with it what it keeps for each in memory of its own.
 * Low ones are taken first, so that few that are in use fit into a smaller
 * table.
 */
void share_strips(struct share *s);

/* From now on takes them as they come. */
void share_no_strips(struct share *s);

/* Sets apart and leaves to others: ignored where the range is too small. */
void share_limit(struct share *s, uint32_t apart, uint32_t low);

/* There are so many living workers. */
void share_divide(struct share *s, uint32_t workers);

/* At a takeover: counts what this worker has already. */
void share_recount(struct share *s);

/* Takes one for which idle() is true: this worker does not use it. SHM_NONE:
 * there is none for this worker. */
uint32_t share_take(struct share *s, bool (*idle)(const void *arg, uint32_t i),
    const void *arg);

/* Gives one back. */
void share_give(struct share *s, uint32_t i);

/* Whether this worker has more than its fair share while so few are left that
 * the others may lack some. */
bool share_is_greedy(const struct share *s);

#endif
