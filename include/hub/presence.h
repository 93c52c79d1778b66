/*
 * presence: channel name -> the set of workers that have it. A user is the
 * channel "#name"; entry 0 is the lobby. Open addressing over cache lines of
 * sixteen 4-byte buckets (a miss reads one line, a hit one more or two), keyed
 * SipHash. Layer 2.
 *
 * Masks, not counters: a worker counts its own connections privately and
 * comes here only on 0 -> 1 and 1 -> 0. Changes happen under the lock.
 * Entries whose mask is empty stay (their offsets and epoch count on) until
 * the table is full; then the ones without kept publications are reused, then
 * those that were published to longest ago.
 */
#ifndef CHATD_HUB_PRESENCE_H
#define CHATD_HUB_PRESENCE_H

#include "hub/shm.h"

enum {
	PRESENCE_LOBBY = 0,	 /* its entry */
	PRESENCE_NAME_MAX = 256, /* bytes: "#" and a user's name */
	PRESENCE_INLINE = 26	 /* bytes of a name in the entry itself */
};

struct presence_entry {
	_Atomic uint64_t mask;	 /* bit per worker */
	_Atomic uint64_t offset; /* of the newest publication; 0: none yet */
	_Atomic uint64_t newest; /* its position in the journal */
	_Atomic uint32_t epoch;	 /* 0: the entry is free */
	uint32_t hash;		 /* high half of the name's */
	uint32_t extra;		 /* first extension + 1; 0: none */
	uint16_t name_len;
	char name[PRESENCE_INLINE];
};

/* A piece of a name that is too long for its entry. */
struct presence_extra {
	_Atomic uint32_t owner; /* entry + 1; 0: free */
	uint32_t next;		/* extension + 1; 0: last */
	char bytes[56];
};

/* A copy of an entry with its name in one piece. */
struct presence_view {
	uint64_t mask, offset, newest;
	uint32_t epoch;
	uint32_t name_len;
	char name[PRESENCE_NAME_MAX + 1]; /* NUL-terminated for convenience */
};

/* Called by hub_create. */
void presence_init(struct hub *h);

/* The entry of that name, or SHM_NONE. Lock held. */
uint32_t presence_find(struct hub *h, const char *name, size_t len);

/* The same, made if need be (nobody has it then); SHM_NONE: full. */
uint32_t presence_make(struct hub *h, const char *name, size_t len);

/*
 * Sets this worker's bit in the entry of that name, made if need be. Returns
 * the entry with *first telling whether nobody had it before, or SHM_NONE if
 * the table is full. Lock held.
 */
uint32_t
presence_enter(struct hub *h, const char *name, size_t len, bool *first);

/* Clears a worker's bit; true if nobody has the entry any more. Lock held. */
bool presence_leave(struct hub *h, uint32_t entry, int worker);

/* Whether an entry is a user's: of these a worker has a list of connections, of
 * others it counts its own. What a slot or record of somebody else names may be
 * either. */
static inline bool
presence_is_user(const struct hub *h, uint32_t entry)
{
	return entry < h->n_entries && h->entry[entry].name[0] == '#';
}

/* Workers that have it; 0 for an index out of range. Lock-free. */
uint64_t presence_mask(const struct hub *h, uint32_t entry);

/*
 * Copies an entry, also without the lock. False if it is free, out of range,
 * inconsistent or changes meanwhile.
 */
bool
presence_read(const struct hub *h, uint32_t entry, struct presence_view *out);

/* Entries ever used: iterate over [0, n). */
uint32_t presence_count(const struct hub *h);

/* Sets this worker's bit in an entry that somebody has. Lock held. */
void presence_set(struct hub *h, uint32_t entry);

/*
 * At a takeover: sets this worker's bit exactly where has[entry] is not 0,
 * calling left for each entry that nobody has any more, as it was. Takes the
 * lock, for a few entries at a time.
 */
void presence_match(struct hub *h, const uint32_t *has,
    void (*left)(const struct presence_view *, void *), void *arg);

/* Clears a dead worker's bit everywhere, calling left in the same way. */
void presence_clear(struct hub *h, int worker,
    void (*left)(const struct presence_view *, void *), void *arg);

#endif
