/*
 * claim: how workers share out slots, chunks, segments and pages without a
 * lock: items lie in blocks of SHM_BLOCK, a block belongs to the worker whose
 * number (+ 1) stands in its owner byte. Which items of a block are in use is
 * the owner's private knowledge, derived again from what the slots reach.
 * Layer 2.
 */
#ifndef CHATD_HUB_CLAIM_H
#define CHATD_HUB_CLAIM_H

#include "hub/share.h"
#include "hub/shm.h"

struct claim {
	struct share blocks;
	uint32_t n_items, n_blocks;
	uint32_t partial; /* first block with room, SHM_NONE: none */
	uint32_t last;	  /* last block with room, if there is one */
	uint32_t n_used;  /* items */
	uint32_t end;	  /* blocks below it had items in use */
	struct claim_block {
		uint64_t used;		 /* bit per item */
		uint32_t next, previous; /* of those with room */
	} * block;			 /* [n_blocks] */
	/* Blocks given back since they were trimmed, and those of them that
	 * were so at the last claim_age(): bit per block; NULL: not noted. */
	uint64_t *given, *aged;
	uint32_t n_aged;  /* at most: bits set in `aged` */
	uint32_t trim_at; /* word to look at next */
};

/* Returns 0, or -1 and errno. */
int claim_init(
    struct claim *c, _Atomic uint8_t *owner, uint32_t n_items, int worker);
void claim_deinit(struct claim *c);

/* From now on notes which blocks are given back, for claim_trim(); returns 0,
 * or -1 and errno. */
int claim_note(struct claim *c);

/* From now on claim_trim() may trim blocks that were given back before and that
 * this worker has not claimed again. */
void claim_age(struct claim *c);

/*
 * Calls forget() with at most max blocks that may be trimmed; while it runs the
 * block is this worker's. A block that another worker has claimed meanwhile is
 * left alone.
 */
void claim_trim(struct claim *c, uint32_t max,
    void (*forget)(void *arg, uint32_t block), void *arg);

/* An item of a block of this worker, claiming a block if need be; SHM_NONE:
 * all are taken. */
uint32_t claim_take(struct claim *c);

/*
 * The first item of this worker's blocks for which usable() is true: an item
 * may be in use though no worker has taken it. SHM_NONE: there is none, or none
 * in the few blocks that were claimed for it.
 */
uint32_t claim_take_if(
    struct claim *c, bool (*usable)(void *arg, uint32_t item), void *arg);

/* Whether an item is taken by this worker. */
static inline bool
claim_has(const struct claim *c, uint32_t item)
{
	return item < c->n_items &&
	    (c->block[item / SHM_BLOCK].used >> item % SHM_BLOCK & 1) != 0;
}

/* No item from there on was ever taken here. To read what is kept of those
 * would cost memory. */
static inline uint32_t
claim_end(const struct claim *c)
{
	return c->end < c->n_blocks ? c->end * SHM_BLOCK : c->n_items;
}

/* Gives an item back; an empty block goes back to all. An item that was not
 * taken is ignored. */
void claim_give(struct claim *c, uint32_t item);

/*
 * At a takeover, between claim_init and any claim_take: notes that an item of
 * this worker's blocks is in use. False if the item is not this worker's, or
 * noted already: the word that named it is corrupted.
 */
bool claim_mark(struct claim *c, uint32_t item);

/* Takes a mark back. */
void claim_unmark(struct claim *c, uint32_t item);

/* All are marked: the rest of the blocks is free. */
void claim_marked(struct claim *c);

/* Number of blocks for so many items. */
static inline uint32_t
claim_blocks(uint32_t n_items)
{
	return (n_items + SHM_BLOCK - 1) / SHM_BLOCK;
}

/* Frees every block of a dead worker. */
void claim_clear(_Atomic uint8_t *owner, uint32_t n_items, int worker);

#endif
