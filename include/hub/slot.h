/*
 * slot: the record of one connection: 192 bytes, three cache lines, found by
 * its number. Its id is use count << 32 | number, never 0, never used twice.
 * Written by the worker that owns it only. Layer 2.
 */
#ifndef CHATD_HUB_SLOT_H
#define CHATD_HUB_SLOT_H

#include <sys/socket.h>

#include "hub/claim.h"
#include "hub/shm.h"

enum slot_state {
	SLOT_FREE,
	SLOT_OPEN,
	SLOT_ENDING, /* no more publications; gets what is pending, then closes
		      */
	SLOT_CLOSING
};

enum { SLOT_DEVICE_MAX = 32 };

enum slot_door { DOOR_PLAIN = 1, DOOR_ECHO = 2, DOOR_CENTRIFUGO = 3 };

struct slot {
	/* line 0: input and output */
	_Atomic uint64_t life;	   /* use count << 3 | state: one store */
	_Atomic uint64_t appended; /* references ever appended: the commit */
	_Atomic uint64_t last; /* newest publication in the output: derived */
	_Atomic uint64_t answered; /* key of the newest answer: derived */
	_Atomic uint64_t
	    committed; /* input position, from the journal: derived */
	_Atomic uint64_t
	    committed_at;	/* newest publication from here: derived */
	_Atomic uint64_t part;	/* unfinished input, see input.h; 0: none */
	_Atomic uint32_t first; /* first output chunk */
	uint32_t spare;
	/* line 1: who */
	uint32_t user; /* presence entry, SHM_NONE: nobody */
	uint8_t worker;
	uint8_t door; /* enum slot_door */
	uint8_t device_len;
	uint8_t family; /* of peer: 4 or 6 */
	uint8_t peer[16];
	uint16_t peer_port;
	uint16_t spare1;
	uint64_t connected_ms; /* clock_ms() */
	uint32_t heard_ms;     /* deadlines count from these; clock_ms(), */
	uint32_t ping_ms;      /* low half: only differences mean anything */
	uint32_t message_ms;
	uint32_t rate_ms;     /* token bucket: last refill */
	uint32_t rate_tokens; /* in 1/1000 messages */
	uint32_t close_code;  /* that we sent, with SLOT_ENDING */
	/* line 2 */
	char device[SLOT_DEVICE_MAX];
	uint32_t subscriptions; /* first block of them; 0: none */
	uint32_t info;		/* blob of what its token says; 0: none */
	uint64_t expires_ms;	/* its token does: wall clock; 0: never */
	uint64_t offset;	/* of "#user": nothing up to it is told */
	uint32_t flags;		/* the door's own, and SLOT_GAP */
	uint32_t skipped;	/* publications passed over: to be told */
} __attribute__((aligned(64)));

/*
 * How far a connection's input is done, in one word: all before a position,
 * and so many commands (or answers) of the message that begins there.
 */
enum { KEY_BITS = 13 };
#define KEY(position, n) ((uint64_t)(position) << KEY_BITS | (n))
#define KEY_POSITION(key) ((key) >> KEY_BITS)
#define KEY_COUNT(key) ((uint32_t)((key) & ((1u << KEY_BITS) - 1)))

/* In `flags`: publications were passed over that it gets without a
 * subscription: of "#user", and of the lobby at the plain door. */
#define SLOT_GAP (1u << 31)

static inline uint64_t
slot_id(const struct hub *h, uint32_t i)
{
	return SHM_LOAD(h->slot[i].life) >> 3 << 32 | i;
}

static inline enum slot_state
slot_state(const struct hub *h, uint32_t i)
{
	return SHM_LOAD(h->slot[i].life) & 7;
}

/* The number in an id if the slot is still that connection's, else SHM_NONE. */
uint32_t slot_find(const struct hub *h, uint64_t id);

/*
 * Takes a free slot: all zero but for its use count, state still FREE.
 * SHM_NONE: all are taken. slot_open() then makes it visible.
 */
uint32_t slot_take(struct hub *h, struct claim *slots);
void slot_set(struct hub *h, uint32_t i, enum slot_state state);

/* Frees one that is not in a claim (at a takeover): the id is never valid
 * again. */
void slot_forget(struct hub *h, uint32_t i);

/* Frees it: the id is never valid again. */
void slot_release(struct hub *h, struct claim *slots, uint32_t i);

/* Fills peer from a socket address; "127.0.0.1:1234" from a copy. */
void slot_set_peer(struct slot *s, const struct sockaddr *sa);
const char *slot_peer_name(const struct slot *s, char out[64]);

/* A copy of a slot that any process may make. False if it is free, says
 * nonsense, or changes meanwhile. */
bool slot_read(const struct hub *h, uint32_t i, struct slot *out, uint64_t *id);

/* Frees all slots of a dead worker and gives its blocks back to all. */
void slot_clear(struct hub *h, int worker);

#endif
