/* heads: the words of the shared memory that everybody meets at; private to
 * the hub layer. Each writer's hot words have their own cache line. */
#ifndef CHATD_SRC_HUB_HEADS_H
#define CHATD_SRC_HUB_HEADS_H

#include "hub/lock.h"
#include "hub/shm.h"

/*
 * Changes whenever processes of the old and the new program could
 * misunderstand each other: structs in shared memory, messages over the links
 * (codec/message.h, but for MSG_CONF, which a worker of another size refuses),
 * notes and orders of keepers. An upgrade to another layout is refused.
 */
#ifndef CHATD_LAYOUT
#define CHATD_LAYOUT 9
#endif
enum { SHM_LAYOUT = CHATD_LAYOUT };
#define SHM_MAGIC 0x6d6873647461686dull

/* How much there is of everything, and how large one is. */
struct shm_sizes {
	uint64_t total;
	uint32_t lines, entries, extra, slots, segments, chunks, pages,
	    subscriptions;
	uint64_t index, journal;
	uint16_t heads, worker, entry, slot, chunk, subscription;
	uint32_t spare;
};

struct shm_heads {
	uint64_t magic;
	uint32_t layout; /* who knows another number must not read on */
	uint32_t spare;
	struct shm_sizes sizes;	  /* to be compared with the own, never used */
	_Atomic uint64_t suspect; /* publication that workers have just died
				   * over, and how many; read often, written
				   * by the dying */

	/* of the journal, all written by who has the lock */
	_Atomic uint64_t tail __attribute__((aligned(64)));
	_Atomic uint64_t oldest;
	_Atomic uint64_t redone; /* what follows from this position is done */
	_Atomic uint64_t end;	 /* bytes ever appended up to there */
	_Atomic uint64_t fault;	 /* position whose delivery crashed a worker */

	_Atomic uint32_t entries __attribute__((aligned(64))); /* ever used */
	_Atomic uint32_t extras;			       /* ever used */
	_Atomic uint32_t epoch; /* last one given out */
	_Atomic uint32_t hand;	/* where to look for entries to reuse */
	_Atomic uint32_t extra_hand;
};

struct index_entry {
	_Atomic uint64_t at; /* bytes ever appended before this entry */
	_Atomic uint64_t mask;
};

/* No pointers, and any bits in any word lead somewhere: see lock.c. */
struct shm_lock {
	/* the owner's thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED; 0: free */
	_Atomic uint32_t word __attribute__((aligned(64)));
	_Atomic uint32_t turns; /* times that it was taken */
	_Atomic uint32_t since; /* turn from which the one waits that has waited
				 * longest; 0: none waits */
	_Atomic uint32_t first; /* and the worker that does */
	_Atomic uint32_t passed; /* who has waited from before this turn did not
				  * take it when it was free */
};

#endif
