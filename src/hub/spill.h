/*
 * spill: a second ring, for entries that a reader requires and has not taken
 * when the journal's ring overwrites them. Private to the hub layer; written
 * under the lock.
 *
 * Entries lie behind each other from spill_begin to spill_end (bytes ever
 * written, multiples of 8; the ring's size is no power of two), each in one
 * piece. Where one does not fit before the ring's end, 8 zero bytes (position
 * 0) say that the next one is at its beginning. The store of spill_end commits
 * an entry, that of spill_begin frees those that nobody needs any more. An
 * entry may be there twice, after a death: readers pass over positions that
 * they have passed.
 */
#ifndef CHATD_SRC_HUB_SPILL_H
#define CHATD_SRC_HUB_SPILL_H

#include "ring.h"

/* What is at a place of the spill. */
struct spill_place {
	uint64_t at;	      /* bytes ever written before it */
	const uint8_t *bytes; /* NULL: none, the next is at `next` */
	size_t len;
	uint64_t next; /* behind it */
};

/* Looks at what begins at `at`, below `end`. False: it is corrupted. */
bool spill_look(const struct hub *h, uint64_t at, uint64_t end,
    struct spill_place *out, struct entry_head *e);

/* Copies the ring's entry at a position if a reader requires it and has not
 * taken it. Returns the bytes that were copied. */
size_t spill_keep(struct hub *h, uint64_t position);

/* Whether the spill has room for all that readers still require, and for an
 * entry of so many bytes more. */
bool spill_has_room(struct hub *h, size_t bytes);

#endif
