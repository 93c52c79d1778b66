/* heads: the words of the shared memory that all processes share; private to
 * the hub layer. Each writer's hot words have their own cache line. */
#ifndef CHATD_SRC_HUB_HEADS_H
#define CHATD_SRC_HUB_HEADS_H

#include "base/other.h"
#include "hub/figures.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/reader.h"
#include "hub/shm.h"
#include "hub/words.h"

enum { SHM_SEEN = 32 /* names that are logged once */ };

#define SHM_MAGIC 0x6d6873647461686dull

/* How many items each table has, and how large an item is. */
struct shm_sizes {
	uint64_t total;
	uint32_t lines, users, channels, charge, payer_bits, slots, segments,
	    chunks, pages, subscriptions;
	uint64_t index, journal;
	uint64_t spill;
	uint16_t heads, worker, entry, slot, chunk, subscription;
	uint16_t readers, events; /* bits, see struct hub */
};

/* How far a reader has come (hub/reader.h): written by that reader alone, once
 * for many entries. */
struct reader_mark {
	OTHER_ONLY(uint64_t other);
	_Atomic uint64_t taken; /* all up to this position */
	_Atomic uint64_t end;	/* bytes ever appended up to there */
};

struct shm_heads {
	uint64_t magic;
	uint64_t layout; /* a program of another layout must not read on */
	struct shm_sizes
	    sizes; /* compared with the program's own, never used */
	_Atomic uint64_t
	    suspect; /* publication whose delivery has just killed workers, and
		      * how many; read often, written by a dying worker */

	OTHER_ONLY(uint64_t other[16]);
	/* of the journal, written under the lock */
	_Atomic uint64_t tail __attribute__((aligned(64)));
	_Atomic uint64_t oldest;
	_Atomic uint64_t redone; /* what follows from the publication at this
				  * position is done */
	_Atomic uint64_t end;	 /* bytes ever appended up to there */
	_Atomic uint64_t fault;	 /* position whose delivery crashed a worker */

	/* in one cache line with the spill's words */
	struct reader_mark reader[READERS] __attribute__((aligned(64)));
	/* Of the spill, written under the lock: entries that a reader still
	 * needs and the ring has no room for. */
	_Atomic uint64_t spill_begin; /* bytes ever freed */
	_Atomic uint64_t spill_end;   /* and ever written: the commit */

	/* 1: that reader waits to be woken; a futex. In a line that publishers
	 * do not write, for each that has published what waits looks at it. */
	_Atomic uint32_t sleeps[READERS] __attribute__((aligned(64)));

	/* of presence, by kind of entry (charge.h): ever used, and where to
	 * look for one to reuse */
	_Atomic uint32_t entries[2] __attribute__((aligned(64)));
	_Atomic uint32_t hand[2];
	_Atomic uint32_t epoch; /* last one given out */
	/* see charge.c */
	_Atomic uint32_t charge_live; /* the copy that counts: 0 or 1 */
	_Atomic uint32_t charge_turn; /* number of the recount at hand */
	_Atomic uint32_t charge_at;   /* entries below it are in the other copy
				       * already */

	_Atomic uint64_t seen[SHM_SEEN]
	    __attribute__((aligned(64))); /* hashes, see seen.h; 0: free */

	struct hub_words words; /* for programs that look from outside */
	struct figures figures;
};

struct index_entry {
	OTHER_ONLY(uint64_t other);
	/* bytes ever appended before this entry, a multiple of 8; the low bits:
	 * the readers that it is for */
	_Atomic uint64_t at;
	_Atomic uint64_t mask;
};

/*
 * An entry in the ring and in a relay: the head, the user, the data. input_end
 * is a publication's input_key, or its order if it has no sender. ordinal is
 * its command and, in the upper byte, its flags, or of an event the link of its
 * subscription (entry_subscription()) or its error (entry_error()). The upper
 * bits of `format` are the readers that require it.
 */
struct entry_head {
	uint64_t position, offset, previous, before, sender, input_end;
	OTHER_ONLY(uint64_t other);
	int64_t time_ms;
	OTHER_EITHER(uint32_t, uint64_t) channel;
	uint32_t epoch, ordinal, data_len;
	uint8_t user_len, format;
	uint16_t sub_info_len, info_len, tags_len;
};
_Static_assert(sizeof(struct entry_head) == JOURNAL_HEAD, "JOURNAL_HEAD");

enum { ENTRY_FLAGS = 24, ENTRY_REQUIRED = 5 }; /* shifts */
#define ENTRY_COMMAND ((1u << ENTRY_FLAGS) - 1)

/* Its format (enum publication_format). */
static inline uint8_t
entry_format(const struct entry_head *e)
{
	return e->format & (FORMATS - 1);
}

/* The readers that require it. */
static inline uint8_t
entry_required(const struct entry_head *e)
{
	return e->format >> ENTRY_REQUIRED;
}

/* Its flags (enum publication_flag); an event has none. */
static inline uint8_t
entry_flags(const struct entry_head *e)
{
	const uint8_t format = entry_format(e);

	return format_is_chained(format) ? (uint8_t)(e->ordinal >> ENTRY_FLAGS)
					 : 0;
}

/* Whether it is a publication of its sender's, and not a reader's repetition.
 */
static inline bool
entry_is_said(const struct entry_head *e)
{
	return entry_format(e) < FORMAT_JOIN &&
	    !(e->ordinal >> ENTRY_FLAGS & PUBLICATION_AGAIN);
}

/* Whether it takes an offset and is in its channel's chain. */
static inline bool
entry_is_chained(const struct entry_head *e)
{
	const uint8_t format = entry_format(e);

	return format_is_chained(format) &&
	    !(e->ordinal >> ENTRY_FLAGS & PUBLICATION_PROPOSED);
}

/* The place in an index entry's `at`, and the readers that it is for. */
static inline uint64_t
index_place(uint64_t at)
{
	return at & ~(uint64_t)7;
}

static inline uint8_t
index_readers(uint64_t at)
{
	return at & 7;
}

/* The record of a join or leave; SHM_NONE: it has none (journal.h). */
static inline uint32_t
entry_subscription(const struct entry_head *e)
{
	return shm_index(e->ordinal);
}

/* The error of a RESULT or OPENED (enum result_error): one that nobody knows is
 * as if nobody knew the outcome. */
static inline uint32_t
entry_error(const struct entry_head *e)
{
	uint32_t error = shm_index(e->ordinal);

	return error < RESULT_ERRORS ? error : RESULT_UNKNOWN;
}

/* No pointers, and every value of every word is handled: see lock.c. */
struct shm_lock {
	/* the owner's thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED; 0: free */
	_Atomic uint32_t word __attribute__((aligned(64)));
	_Atomic uint32_t turns; /* times that it was taken */
	_Atomic uint32_t since; /* turn since which the longest waiter waits; 0:
				 * none waits */
	_Atomic uint32_t first; /* the worker that is the longest waiter */
	_Atomic uint32_t passed; /* waiters since before this turn did not take
				  * the lock when it was free */
};

/* Sees a hub at another address: the caller has mapped it there. */
void hub_move(struct hub *h, uint8_t *base);

/* Places a hub of these sizes at base; false: no hub has them. The journal's
 * size and the numbers of users, channels and slots are within bounds. */
bool hub_plan_as(struct hub *h, const struct shm_sizes *sizes, uint8_t *base);

#endif
