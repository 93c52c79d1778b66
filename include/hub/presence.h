/*
 * presence: channel name -> the set of workers that have it. A user is the
 * channel "#name"; entry 0 is the lobby. Open addressing over cache lines of
 * sixteen 4-byte buckets (a miss reads one line, a hit one more or two), keyed
 * SipHash. Layer 2.
 *
 * Entries 1 to n_users are users', those behind them are channels': neither
 * kind can take the other's places, and an entry's number says which it is.
 * Names of any length fit into any entry.
 *
 * Masks, not counters: a worker counts its own connections privately and
 * comes here only on 0 -> 1 and 1 -> 0. Changes happen under the lock.
 * Entries whose mask is empty stay (their offsets and epoch count on) until
 * there is no other one of their kind; then the ones without kept publications
 * are reused, then those that were published to longest ago.
 *
 * Where a reader of the journal wants events (hub.events), a mask goes from 0
 * and to 0 by an entry in the journal, from which it follows: so each is told
 * once.
 */
#ifndef CHATD_HUB_PRESENCE_H
#define CHATD_HUB_PRESENCE_H

#include "base/other.h"
#include "hub/charge.h"
#include "hub/journal.h"
#include "hub/shm.h"

#define PRESENCE_LOBBY_NAME "lobby"
enum {
	PRESENCE_LOBBY = 0, /* its entry */
	PRESENCE_LOBBY_LEN = sizeof(PRESENCE_LOBBY_NAME) - 1,
	PRESENCE_NAME_MAX = 256, /* bytes: "#" and a user's name */
	PRESENCE_INLINE =
	    OTHER_EITHER(23, 11) /* bytes of a name in the entry itself */
};

/* Where an entry stands with the reader that knows its channel. */
enum presence_warmth {
	PRESENCE_OPEN,	 /* its offset counts */
	PRESENCE_COLD,	 /* nobody has asked the reader yet */
	PRESENCE_OPENING /* it is asked: FORMAT_OPEN is in the journal, or it
			  * was too far behind for that */
};

/* An entry's flags: readers of its publications (bits), those of them that
 * must miss none, and its warmth. 0: no reader has to do with it. */
enum { PRESENCE_REQUIRED = 3, PRESENCE_WARMTH = 6 }; /* shifts */
#define PRESENCE_READERS(flags) ((flags)&7)
#define PRESENCE_REQUIRES(flags) ((flags) >> PRESENCE_REQUIRED & 7)
#define PRESENCE_WARMTH_OF(flags) \
	((enum presence_warmth)((flags) >> PRESENCE_WARMTH & 3))
#define PRESENCE_WARM(flags, warmth) \
	((uint8_t)(((flags)&0x3f) | (warmth) << PRESENCE_WARMTH))

/* The readers that know where channels stand: the lowest one of a channel's is
 * its *opener*, which is asked before the channel's offset counts. */
enum {
#ifdef CHATD_KILL_POINTS
	PRESENCE_OPENERS =
	    1 << READER_STORE | 1 << READER_ENGINE | 1 << READER_HOOKS
#else
	PRESENCE_OPENERS = 1 << READER_STORE | 1 << READER_ENGINE
#endif
};

/* The opener of an entry with these flags: its bit; 0: it has none. */
static inline uint8_t
presence_opener(uint8_t flags)
{
	uint8_t openers = flags & PRESENCE_OPENERS;

	return openers & (uint8_t)-openers;
}

struct presence_entry {
	_Atomic uint64_t mask; /* bit per worker */
	OTHER_ONLY(uint64_t other);
	_Atomic uint64_t offset; /* of the newest publication; 0: none yet */
	_Atomic uint64_t newest; /* its position in the journal */
	_Atomic uint32_t epoch;	 /* 0: the entry is free */
	uint32_t hash;		 /* high half of the name's */
	uint8_t address[3]; /* keys of the address and the user that it is */
	uint8_t payer[3];   /* charged to (charge.h); 0: none */
	OTHER_EITHER(uint16_t, uint32_t) name_len;
	_Atomic uint8_t flags; /* see PRESENCE_READERS() */
	char name[PRESENCE_INLINE];
};
_Static_assert(sizeof(struct presence_entry) == 64, "one cache line");

/* A copy of an entry with its name in one piece. */
struct presence_view {
	uint64_t mask, offset, newest;
	uint64_t stream; /* epoch of its offsets, as clients are told */
	uint32_t epoch;
	uint32_t name_len;
	uint8_t flags;
	char name[PRESENCE_NAME_MAX + 1]; /* NUL-terminated for convenience */
};

/* Whether a name is a user's, "#name". */
static inline bool
presence_name_is_user(const char *name, size_t len)
{
	return len > 0 && name[0] == '#';
}

/* Called by hub_create. */
void presence_init(struct hub *h);

/* Has the index, of which each worker soon uses all pages, in large ones. */
void presence_populate(struct hub *h);

/* The entry of that name, or SHM_NONE. Lock held. */
uint32_t presence_find(struct hub *h, const char *name, size_t len);

/* The entry of that name, made if need be (no worker has it then); SHM_NONE:
 * all entries of its kind are held. Lock held. */
uint32_t presence_make(struct hub *h, const char *name, size_t len);

/* The entry of that name, made if its opener may know such a channel; SHM_NONE:
 * there is none. Lock held. */
uint32_t presence_recall(struct hub *h, const char *name, size_t len);

/* presence_recall() for who is about to enter: an entry is made only if those
 * terms would allow it. Lock held. */
uint32_t presence_recall_for(struct hub *h, const char *name, size_t len,
    const struct charge_terms *terms);

/*
 * Sets this worker's bit in the entry of that name, made if need be. Returns
 * the entry with *how telling whether a worker had it before, or SHM_NONE with
 * *how telling why: an entry that no worker has is charged to, and may be
 * refused by, the terms. Lock held.
 */
uint32_t presence_enter_for(struct hub *h, const char *name, size_t len,
    const struct charge_terms *terms, enum charge_result *how);

/* Clears a worker's bit; true if no worker has the entry any more. Lock
 * held. */
bool presence_leave(struct hub *h, uint32_t entry, int worker);

/* Whether an entry is a user's. Of a user a worker has a list of connections,
 * of a channel it counts its own. An entry's number that another process has
 * written may be either's. */
static inline bool
presence_is_user(const struct hub *h, uint32_t entry)
{
	return entry >= 1 && entry <= h->n_users;
}

/*
 * Whether an entry is not open: then nothing is published to it, and where it
 * stands is not known. Its opener is asked if nobody has yet. The caller wakes
 * it when it has given the lock back. Lock held.
 */
bool presence_is_cold(struct hub *h, uint32_t entry);

/* presence_is_cold() for who needs a channel that is known already: it is not
 * begun by that (OPEN_KNOWN). */
bool presence_is_cold_known(struct hub *h, uint32_t entry);

/*
 * Whether a publication to an entry that these readers require is to be refused
 * for now: they have not taken what is in half of the entries of its kind,
 * which are held until they have, and it would be one more. Lock held.
 */
bool presence_is_crowded(struct hub *h, uint32_t entry, uint8_t readers);

/*
 * Gives an entry other readers: those that its channel has by a new
 * configuration. An entry that gets another opener is cold if no worker has it
 * and the ring has nothing of it: nobody knows of it where it stands. Else it
 * stays open, as clients have been told its offset: it goes on from there, and
 * the opener learns that from its next publication. Without an opener an entry
 * is open. Lock held.
 */
void presence_flags_set(struct hub *h, uint32_t entry, uint8_t flags);

/* An entry's flags; 0 for an index out of range. Lock-free. */
uint8_t presence_flags(const struct hub *h, uint32_t entry);

/* What clients are told as the epoch of a channel's offsets: that of its entry
 * if the entry still is that incarnation, else the incarnation itself. */
uint64_t
presence_stream(const struct hub *h, uint32_t entry, uint32_t incarnation);

/* Workers that have it; 0 for an index out of range. Lock-free. */
uint64_t presence_mask(const struct hub *h, uint32_t entry);

/*
 * Copies an entry, also without the lock. False if it is free, out of range,
 * inconsistent or changes meanwhile.
 */
bool
presence_read(const struct hub *h, uint32_t entry, struct presence_view *out);

/* The name of the user whose entry it is, NUL-terminated; its length, 0 and ""
 * if it is no user's. */
size_t
presence_user(const struct hub *h, uint32_t entry, char out[PRESENCE_NAME_MAX]);

/* The next entry from e on that may ever have been used; n_entries: none. Pages
 * of entries that were never used do not exist yet: reading them would make
 * them. */
uint32_t presence_next(const struct hub *h, uint32_t e);

/* Where the users' entries end that may ever have been used: iterate over
 * [1, end). */
uint32_t presence_users_end(const struct hub *h);

/* Sets this worker's bit in an entry that another worker has. Lock held. */
void presence_set(struct hub *h, uint32_t entry);

/*
 * At a takeover: sets this worker's bit exactly where has() is true,
 * calling left with a copy of each entry that no worker has any more. Counts
 * what is charged (charge.h) anew. Takes the lock, for a few entries at a time.
 */
void presence_match(struct hub *h, bool (*has)(const void *arg, uint32_t entry),
    void (*left)(const struct presence_view *, void *), void *arg);

/* Clears a dead worker's bit everywhere, calling left in the same way. */
void presence_clear(struct hub *h, int worker,
    void (*left)(const struct presence_view *, void *), void *arg);

#endif
