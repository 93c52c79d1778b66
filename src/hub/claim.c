#include <errno.h>
#include <stdlib.h>

#include "base/sparse.h"
#include "hub/claim.h"

/* Blocks claimed for one item in vain, in claim_take_if. Larger: fewer scans of
 * all items; smaller: a call takes less long. */
enum { CLAIM_TRIES = 4 };

/* Mask of the items that a block has (the last one may be short). */
static uint64_t
block_items(const struct claim *c, uint32_t block)
{
	uint32_t n = c->n_items - block * SHM_BLOCK;

	return n >= SHM_BLOCK ? ~0ull : (1ull << n) - 1;
}

int
claim_init(
    struct claim *c, _Atomic uint8_t *owner, uint32_t n_items, int worker)
{
	c->n_items = n_items;
	c->n_blocks = claim_blocks(n_items);
	share_init(&c->blocks, owner, c->n_blocks, worker);
	share_strips(&c->blocks);
	c->partial = c->last = SHM_NONE;
	c->n_used = c->end = 0;
	c->given = c->aged = NULL;
	c->n_aged = c->trim_at = 0;
	c->block = sparse_new(c->n_blocks, sizeof(*c->block));
	return c->block != NULL ? 0 : -1;
}

void
claim_deinit(struct claim *c)
{
	sparse_free(c->block, c->n_blocks, sizeof(*c->block));
	free(c->given);
	free(c->aged);
	c->given = c->aged = NULL;
	c->block = NULL;
}

/* Words of a bit per block. */
static uint32_t
block_words(const struct claim *c)
{
	return (c->n_blocks + 63) / 64;
}

int
claim_note(struct claim *c)
{
	c->given = calloc(block_words(c), sizeof(*c->given));
	c->aged = calloc(block_words(c), sizeof(*c->aged));
	if (c->given != NULL && c->aged != NULL)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* Notes that a block has been given back, or claimed again. */
static void
block_note(struct claim *c, uint32_t b, bool given)
{
	const uint64_t bit = 1ull << b % 64;

	if (c->given == NULL)
		return;
	if (given)
		c->given[b / 64] |= bit;
	else {
		c->given[b / 64] &= ~bit;
		c->aged[b / 64] &= ~bit;
	}
}

void
claim_age(struct claim *c)
{
	uint32_t k, n = block_words(c);

	c->n_aged = 0;
	for (k = 0; k < n; k++) {
		c->aged[k] = c->given[k];
		c->n_aged += (uint32_t)__builtin_popcountll(c->aged[k]);
	}
}

/* Trims one block, unless another worker has it. */
static void
block_trim(struct claim *c, uint32_t b,
    void (*forget)(void *arg, uint32_t block), void *arg)
{
	uint8_t nobody = 0;

	block_note(c, b, false);
	if (!atomic_compare_exchange_strong(
		&c->blocks.owner[b], &nobody, c->blocks.mine))
		return;
	KILL_POINT();
	forget(arg, b);
	SHM_STORE(c->blocks.owner[b], 0);
}

void
claim_trim(struct claim *c, uint32_t max,
    void (*forget)(void *arg, uint32_t block), void *arg)
{
	uint32_t n = block_words(c), seen;
	uint64_t *w;

	for (seen = 0; c->n_aged > 0 && max > 0 && seen < n; seen++) {
		w = &c->aged[c->trim_at];
		for (; *w != 0 && max > 0; max--, c->n_aged--)
			block_trim(c,
			    c->trim_at * 64 + (uint32_t)__builtin_ctzll(*w),
			    forget, arg);
		if (*w == 0)
			c->trim_at = c->trim_at + 1 < n ? c->trim_at + 1 : 0;
	}
	if (seen == n)
		c->n_aged = 0;
}

/* Puts a block at the head of those with room. */
static void
partial_push(struct claim *c, uint32_t b)
{
	c->block[b].previous = SHM_NONE;
	c->block[b].next = c->partial;
	if (c->partial != SHM_NONE)
		c->block[c->partial].previous = b;
	else
		c->last = b;
	c->partial = b;
}

/* Puts a block at the tail of those with room. */
static void
partial_append(struct claim *c, uint32_t b)
{
	if (c->partial == SHM_NONE) {
		partial_push(c, b);
		return;
	}
	c->block[b].previous = c->last;
	c->block[b].next = SHM_NONE;
	c->block[c->last].next = b;
	c->last = b;
}

/* Takes a block out of the list of those with room. */
static void
partial_remove(struct claim *c, uint32_t b)
{
	uint32_t next = c->block[b].next, previous = c->block[b].previous;

	if (next != SHM_NONE)
		c->block[next].previous = previous;
	else
		c->last = previous;
	if (previous != SHM_NONE)
		c->block[previous].next = next;
	else
		c->partial = next;
}

/* Whether no item of a block is in use here. */
static bool
block_idle(const void *arg, uint32_t b)
{
	const struct claim *c = arg;

	return c->block[b].used == 0;
}

/* Claims a block that no worker owns. */
static bool
block_claim(struct claim *c)
{
	uint32_t b = share_take(&c->blocks, block_idle, c);

	if (b == SHM_NONE)
		return false;
	block_note(c, b, false);
	partial_push(c, b);
	return true;
}

/* Gives a block back to all. */
static void
block_give(struct claim *c, uint32_t b)
{
	block_note(c, b, true);
	share_give(&c->blocks, b);
}

/* Notes that an item is taken. */
static void
item_note(struct claim *c, uint32_t b, uint64_t bit)
{
	c->block[b].used |= bit;
	c->n_used++;
	if (c->end <= b)
		c->end = b + 1;
}

/* Takes an item of a block with room. */
static uint32_t
item_take(struct claim *c, uint32_t b, int bit)
{
	item_note(c, b, 1ull << bit);
	if (c->block[b].used == block_items(c, b))
		partial_remove(c, b);
	return b * SHM_BLOCK + (uint32_t)bit;
}

uint32_t
claim_take(struct claim *c)
{
	uint32_t b;

	if (c->partial == SHM_NONE && !block_claim(c))
		return SHM_NONE;
	b = c->partial;
	return item_take(c, b, __builtin_ctzll(~c->block[b].used));
}

/* The first item of a block that is neither taken nor refused by usable(). */
static int
usable_bit(const struct claim *c, uint32_t b,
    bool (*usable)(void *arg, uint32_t item), void *arg)
{
	uint64_t left = block_items(c, b) & ~c->block[b].used;
	int bit;

	for (; left != 0; left &= left - 1) {
		bit = __builtin_ctzll(left);
		if (usable(arg, b * SHM_BLOCK + (uint32_t)bit))
			return bit;
	}
	return -1;
}

uint32_t
claim_take_if(
    struct claim *c, bool (*usable)(void *arg, uint32_t item), void *arg)
{
	uint32_t b, seen = SHM_NONE;
	int bit, tries = 0;

	for (;;) {
		if (c->partial == SHM_NONE || c->partial == seen) {
			if (tries++ == CLAIM_TRIES || !block_claim(c))
				return SHM_NONE;
		}
		b = c->partial;
		bit = usable_bit(c, b, usable, arg);
		if (bit >= 0)
			return item_take(c, b, bit);
		/* the next call meets this block last, or not at all */
		partial_remove(c, b);
		if (c->block[b].used == 0) {
			block_give(c, b);
			c->blocks.hint = b + 1 < c->n_blocks ? b + 1 : 0;
			/* nor does its strip hide the others */
			share_no_strips(&c->blocks);
		} else {
			partial_append(c, b);
			if (seen == SHM_NONE)
				seen = b;
		}
	}
}

void
claim_give(struct claim *c, uint32_t item)
{
	uint32_t b = item / SHM_BLOCK;
	uint64_t bit = 1ull << item % SHM_BLOCK;

	if (!claim_has(c, item))
		return;
	if (c->block[b].used == block_items(c, b))
		partial_push(c, b);
	c->block[b].used &= ~bit;
	c->n_used--;
	/* keep one empty block, so that it is not claimed anew each time */
	if (c->block[b].used == 0 &&
	    (c->partial != b || c->block[b].next != SHM_NONE)) {
		partial_remove(c, b);
		block_give(c, b);
	}
}

void
claim_clear(_Atomic uint8_t *owner, uint32_t n_items, int worker)
{
	uint32_t b, n = claim_blocks(n_items);

	for (b = 0; b < n; b++)
		if (SHM_LOAD(owner[b]) == worker + 1)
			SHM_STORE(owner[b], 0);
}

bool
claim_mark(struct claim *c, uint32_t item)
{
	uint32_t b = item / SHM_BLOCK;
	uint64_t bit = 1ull << item % SHM_BLOCK;

	if (item >= c->n_items ||
	    SHM_LOAD(c->blocks.owner[b]) != c->blocks.mine ||
	    (c->block[b].used & bit))
		return false;
	item_note(c, b, bit);
	return true;
}

void
claim_unmark(struct claim *c, uint32_t item)
{
	uint64_t bit = 1ull << item % SHM_BLOCK;

	if (!claim_has(c, item))
		return;
	c->block[item / SHM_BLOCK].used &= ~bit;
	c->n_used--;
}

void
claim_marked(struct claim *c)
{
	uint32_t b;

	c->partial = c->last = SHM_NONE;
	for (b = 0; b < c->n_blocks; b++) {
		if (SHM_LOAD(c->blocks.owner[b]) != c->blocks.mine)
			continue;
		if (c->block[b].used == 0) {
			block_note(c, b, true);
			SHM_STORE(c->blocks.owner[b], 0);
		} else if (c->block[b].used != block_items(c, b))
			partial_push(c, b);
	}
	share_recount(&c->blocks);
}
