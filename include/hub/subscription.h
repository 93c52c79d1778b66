/*
 * subscription: a connection has a channel. Records in shared memory, chained
 * for each connection and for each worker and channel. Layer 2.
 *
 * A record is written by the worker that owns its connection; others may read
 * the chain of a channel (who is there?), each record checked, a bounded
 * number of steps. The store of `channel` commits a record; chains follow
 * from the records and are made anew at a takeover.
 *
 * A slot's number is used again: a record is a connection's only if the use
 * count in it is the slot's, too (slot_use()). Each reader of a record or of a
 * connection's chain checks both.
 */
#ifndef CHATD_HUB_SUBSCRIPTION_H
#define CHATD_HUB_SUBSCRIPTION_H

#include "base/other.h"
#include "hub/claim.h"
#include "hub/shm.h"

enum subscription_flags {
	SUBSCRIPTION_JOIN_LEAVE =
	    OTHER_EITHER(1, 4), /* is told of joins and leaves */
	SUBSCRIPTION_GAP = 2,	/* passed over: to be told once it drains */
	SUBSCRIPTION_PRESENT =
	    OTHER_EITHER(4, 1),	  /* counts in the channel's presence */
	SUBSCRIPTION_SERVER = 8,  /* the server's doing, not the client's */
	SUBSCRIPTION_TOLD = 16,	  /* stands in the reply to connect already;
				   * if REVOKED: its client has been told */
	SUBSCRIPTION_AWAY = 32,	  /* of JOIN_LEAVE: its join has not been told,
				   * or its leave has: derived */
	SUBSCRIPTION_REVOKED = 64 /* its end is decided, but not done */
};

struct subscription {
	_Atomic uint32_t channel; /* link of its presence entry; 0: free */
	uint32_t slot;
	_Atomic uint64_t offset; /* nothing up to it is delivered (again) */
	OTHER_ONLY(uint64_t other);
	uint64_t expires_ms;		 /* wall clock; 0: never */
	_Atomic uint32_t next, previous; /* links: of this worker and channel */
	uint32_t slot_next;		 /* link: of this connection */
	uint32_t epoch;
	uint32_t info; /* blob (blob.h) of the token's info, a link */
	uint32_t flags;
	uint64_t key; /* see subscription_key(), subscription_revoked_at() */
	uint32_t use; /* the slot's use count: which connection's it is */
	uint32_t spare;
};
_Static_assert(
    sizeof(struct subscription) == OTHER_EITHER(64, 72), "one cache line");

/* In `offset`: nothing is delivered, for its client does not know yet that it
 * has subscribed. */
#define SUBSCRIPTION_HELD UINT64_MAX

/* A connection has no more of them; conf.h's limit is not above it. */
enum { SUBSCRIPTIONS_MAX = 1024 };

/* The id of the connection that a record is of. */
static inline uint64_t
subscription_conn(const struct subscription *s)
{
	return (uint64_t)SHM_ONCE(s->use) << 32 | SHM_ONCE(s->slot);
}

/* The presence entry of a record's channel; SHM_NONE: the record is free. */
static inline uint32_t
subscription_channel(const struct subscription *s)
{
	return shm_index(SHM_LOAD(s->channel));
}

/* The key (slot.h) of the answer to the command that made a record; 0: that is
 * not known (any more). */
static inline uint64_t
subscription_key(const struct subscription *s)
{
	return s->flags & SUBSCRIPTION_REVOKED ? 0 : s->key;
}

/* Of a REVOKED one: what its slot had appended before the client is told. */
static inline uint64_t
subscription_revoked_at(const struct subscription *s)
{
	return s->key;
}

/* Decides its end, which its client is told by what is appended next. */
static inline void
subscription_set_revoked(struct subscription *s, uint64_t appended)
{
	s->key = appended;
	s->flags |= SUBSCRIPTION_REVOKED;
}

/* Makes one out of all that `new` says but its links, for the connection that
 * has the slot now, and chains it. Returns its number, or SHM_NONE: none
 * left. */
uint32_t subscription_add(
    struct hub *h, struct claim *pool, const struct subscription *new);

/* subscription_add() for the connection that `new` names, which still is
 * another worker's: the record of `link` follows in a chain that the slot does
 * not name yet. The record is HELD if that worker died before it had
 * answered. */
uint32_t subscription_prepare(struct hub *h, struct claim *pool,
    const struct subscription *new, uint32_t link);

/* Takes one of this worker away. */
void subscription_remove(struct hub *h, struct claim *pool, uint32_t sub);

/* Takes one of this worker away whose connection has moved: the connection's
 * chain is another worker's and stays as it is. */
void subscription_drop(struct hub *h, struct claim *pool, uint32_t sub);

/* The connection's in that channel, or SHM_NONE. */
uint32_t
subscription_find(const struct hub *h, uint32_t slot, uint32_t channel);

/* How many the connection has. */
uint32_t subscription_count(const struct hub *h, uint32_t slot);

/* First of a worker in a channel, and the next one; SHM_NONE: no more. For
 * the owner; others use subscription_members. */
uint32_t subscription_first(const struct hub *h, int worker, uint32_t channel);
uint32_t subscription_next(const struct hub *h, uint32_t sub);

/*
 * A connection's subscriptions, one after another: as many as it can have, and
 * none that is not its own, even if the chain is corrupted. The one that it is
 * at may be taken away. Of the connection that has the slot now, or of one by
 * its id, from a link on.
 */
struct subscription_walk {
	uint64_t conn; /* id */
	uint32_t link; /* of the next one */
	uint32_t left;
};
struct subscription_walk subscription_walk(const struct hub *h, uint32_t slot);
struct subscription_walk subscription_walk_of(uint64_t conn, uint32_t link);

/* The next one's number, or SHM_NONE. */
uint32_t
subscription_walk_next(const struct hub *h, struct subscription_walk *w);

/*
 * What is wrong with a record of this worker's. *steps counts the records that
 * were looked at for that: its own and those of its connection before it.
 */
enum subscription_fault {
	SUBSCRIPTION_SOUND,    /* or free */
	SUBSCRIPTION_ORPHAN,   /* its connection is not this worker's */
	SUBSCRIPTION_UNCHAINED /* it is not in its connection's chain */
};
enum subscription_fault subscription_check(const struct hub *h,
    const struct claim *pool, uint32_t sub, uint32_t *steps);

/* Puts one that is UNCHAINED into its connection's chain. */
void subscription_chain(struct hub *h, uint32_t sub);

/*
 * Calls member with a copy of each of a worker's records in a channel, from
 * any process, at most `max` of them, until it returns false. False if the
 * chain says nonsense or was changed on the way: what came so far may be
 * incomplete.
 */
bool subscription_members(const struct hub *h, int worker, uint32_t channel,
    uint32_t max, bool (*member)(const struct subscription *, void *),
    void *arg);

/*
 * At a takeover: marks this worker's records whose connection `lives` and
 * chains them anew; the others are freed. Calls kept for each that stays; those
 * that were not answered are HELD until the command is done again.
 */
void subscription_adopt(struct hub *h, struct claim *pool,
    bool (*lives)(void *arg, uint32_t slot),
    void (*kept)(void *arg, uint32_t sub), void *arg);

/*
 * Chains a dead worker's records anew at the connections that are still its,
 * before another worker goes on with these connections: the worker's last
 * process may have died in subscription_adopt().
 */
void subscription_rechain(struct hub *h, int worker);

/* Frees what a dead worker had. */
void subscription_clear(struct hub *h, int worker);

#endif
