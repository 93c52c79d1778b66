/*
 * kept: which keeper holds a connection's socket, one word for each slot: the
 * keeper's number << 32 | the connection's use count. A keeper writes it when
 * it has the descriptor, so a worker and its successors know which connections
 * would survive a crash, even if the message that carried the descriptor was
 * lost. Layer 2.
 *
 * A keeper's number is never used twice while the daemon lives; the number of
 * a worker's keeper stands in the worker's line (shm_worker.custody).
 */
#ifndef CHATD_HUB_KEPT_H
#define CHATD_HUB_KEPT_H

#include "hub/slot.h"
#include "hub/stats.h"

/* The word of a connection that a keeper holds. */
static inline uint64_t
kept_word(uint32_t keeper, uint64_t id)
{
	return (uint64_t)keeper << 32 | id >> 32;
}

/* Called by the keeper that has the connection of that id. The caller has
 * checked the slot's number. */
static inline void
kept_set(struct hub *h, uint32_t keeper, uint64_t id)
{
	SHM_STORE(h->kept[(uint32_t)id], kept_word(keeper, id));
}

/* Called by a keeper that has the connection no longer; another keeper's word
 * stays. */
static inline void
kept_clear(struct hub *h, uint32_t keeper, uint64_t id)
{
	uint64_t word = kept_word(keeper, id);

	(void)atomic_compare_exchange_strong(&h->kept[(uint32_t)id], &word, 0);
}

/* The number of the keeper that has the connection of that id; 0: none, or the
 * word is of an earlier connection in that slot. */
static inline uint32_t
kept_by(const struct hub *h, uint64_t id)
{
	uint64_t word = SHM_LOAD(h->kept[(uint32_t)id]);

	return (uint32_t)word == (uint32_t)(id >> 32) ? (uint32_t)(word >> 32)
						      : 0;
}

/* Whether this worker's keeper has the connection of that id. */
static inline bool
kept_here(const struct hub *h, uint64_t id)
{
	uint32_t keeper = SHM_LOAD(h->me->custody);

	return keeper != 0 && kept_by(h, id) == keeper;
}

#endif
