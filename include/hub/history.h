/*
 * history: a channel's kept publications, read along its chain in the journal,
 * newest to oldest. Each names the offset of the one before it: where that is
 * not the one that the chain leads to, something is missing, and the walk ends.
 * Offsets may jump, so nothing is concluded from their differences. Layer 2.
 */
#ifndef CHATD_HUB_HISTORY_H
#define CHATD_HUB_HISTORY_H

#include "hub/journal.h"
#include "hub/shm.h"

enum { HISTORY_MAX = 1000 }; /* publications of one answer */

struct history {
	uint64_t offset; /* of the newest publication now */
	bool gone;	 /* what followed `since` is not all kept any more */
	bool more;	 /* there are more than so many */
	/* The ring ends in the midst of what is to be kept of the channel: its
	 * oldest one there names this offset as the one before it. 0: it does
	 * not. */
	uint64_t before;
	bool none; /* and it has none at all */
	uint32_t n;
	uint64_t position[HISTORY_MAX]; /* in the order asked for */
};

struct history_query {
	uint32_t channel; /* presence entry */
	uint32_t epoch;	  /* that was found with it, under the lock */
	uint64_t since;	  /* offset; only those after (reverse: before) it; 0:
			   * from the channel's first */
	bool has_since;
	bool reverse;	   /* newest first */
	uint32_t limit;	   /* at most HISTORY_MAX; 0: offset and epoch only */
	uint32_t keep;	   /* the channel's `history`, publications */
	int64_t oldest_ms; /* nothing from before (wall clock) */
	uint64_t upto;	   /* the channel's offset, or one that it had: nothing
			    * above it; 0: all */
};

/*
 * Finds the publications; their bytes are read with journal_read, which may
 * find them gone meanwhile. Lock-free. An entry that no worker has may become
 * another channel's at any time: returns 0, or -1 with nothing found if the
 * entry's epoch is not that of the question (any more).
 */
int history_find(
    const struct hub *h, const struct history_query *q, struct history *out);

#endif
