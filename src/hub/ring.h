/* ring: where the journal's entries are; private to the hub layer. */
#ifndef CHATD_SRC_HUB_RING_H
#define CHATD_SRC_HUB_RING_H

#include <string.h>

#include "heads.h"
#include "hub/journal.h"

static inline struct index_entry *
index_of(const struct hub *h, uint64_t position)
{
	return &h->index[position & (h->n_index - 1)];
}

/* The largest entry of a ring of this size. */
static inline size_t
entry_max(const struct hub *h)
{
	return h->journal_size / JOURNAL_SHARE;
}

/* Bytes of what one reader requires and has not taken, at most: its share, or
 * one entry that is larger than that. */
static inline uint64_t
reader_most(const struct hub *h)
{
	return h->reader_share > entry_max(h) ? h->reader_share : entry_max(h);
}

/* Where in the ring an entry begins, checked against its bounds; NULL if a
 * head would not fit there. */
static inline uint8_t *
entry_at(const struct hub *h, uint64_t at)
{
	uint64_t place = index_place(at) & (h->journal_size - 1);

	if (place + JOURNAL_HEAD > h->journal_size)
		return NULL;
	return h->journal + place;
}

/* Bytes of the entry that a head describes. */
static inline size_t
head_bytes(const struct entry_head *e)
{
	return journal_entry_bytes(e->user_len,
	    (size_t)e->info_len + e->sub_info_len + e->tags_len + e->data_len);
}

/* Those bytes, or 0 if the head is corrupted: more than any entry has, or than
 * the room that there is for it. */
static inline size_t
head_size(const struct hub *h, const struct entry_head *e, uint64_t room)
{
	size_t n;

	if (e->data_len > entry_max(h))
		return 0;
	n = head_bytes(e);
	return n <= entry_max(h) && n <= room ? n : 0;
}

/* Size of the entry of that head, or 0 if it is corrupted. */
static inline size_t
entry_size(const struct hub *h, uint64_t at, const struct entry_head *e)
{
	return head_size(
	    h, e, h->journal_size - (index_place(at) & (h->journal_size - 1)));
}

static inline uint64_t
ring_tail(const struct hub *h)
{
	return SHM_LOAD(h->heads->tail);
}

static inline uint64_t
ring_oldest(const struct hub *h)
{
	uint64_t oldest = SHM_LOAD(h->heads->oldest), tail = ring_tail(h);
	uint64_t lowest = tail >= h->n_index ? tail - h->n_index + 1 : 1;

	/* not before the index's oldest, not after the next one; else it is
	 * corrupted */
	return oldest < lowest || oldest > tail + 1 ? lowest : oldest;
}

/* Bytes ever appended, the entry at a position included. */
static inline uint64_t
ring_end(const struct hub *h, uint64_t position)
{
	uint64_t at = index_place(SHM_LOAD(index_of(h, position)->at));
	const uint8_t *p = entry_at(h, at);
	struct entry_head e;
	size_t n = 0;

	if (p != NULL) {
		memcpy(&e, p, sizeof(e));
		n = entry_size(h, at, &e);
	}
	return n != 0 ? at + n
		      : (at + h->journal_size) & ~(h->journal_size - 1);
}

/* Whether the ring has an entry of that position. */
static inline bool
position_fits(const struct hub *h, uint64_t position)
{
	struct entry_head e;
	const uint8_t *p;

	if (position == 0 || position > JOURNAL_POSITION_MAX)
		return false;
	p = entry_at(h, SHM_LOAD(index_of(h, position)->at));
	if (p == NULL)
		return false;
	memcpy(&e, p, sizeof(e));
	return e.position == position;
}

/* Bits of the readers that have not taken the entry at a position, of those in
 * `readers`. */
static inline uint8_t
readers_behind(const struct hub *h, uint8_t readers, uint64_t position)
{
	uint8_t behind = 0;

	for (readers &= h->readers; readers != 0; readers &= readers - 1) {
		unsigned r = (unsigned)__builtin_ctz(readers);

		if (SHM_LOAD(h->heads->reader[r].taken) < position)
			behind |= (uint8_t)(1u << r);
	}
	return behind;
}

#endif
