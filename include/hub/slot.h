/*
 * slot: the record of one connection: 192 bytes, three cache lines, found by
 * its number. Its id is use count << 32 | number, never 0, never used twice.
 * Written by the worker that owns it only. Layer 2.
 */
#ifndef CHATD_HUB_SLOT_H
#define CHATD_HUB_SLOT_H

#include <sys/socket.h>

#include "base/other.h"
#include "hub/claim.h"
#include "hub/shm.h"
#include "hub/table.h"

enum slot_state {
	SLOT_FREE,
	SLOT_OPEN,
	SLOT_ENDING, /* no more publications; gets what is pending, then closes
		      */
	SLOT_CLOSING,
	SLOT_TAKEN,   /* by a worker, for a connection that is not open yet */
	SLOT_MOVING,  /* on its way to the worker that is named: the giver's
		       * still, until that one takes it */
	SLOT_ACCEPTED /* it has its socket, and nothing is promised: requests
		       * are read, no door is open */
};

enum { SLOT_DEVICE_MAX = 32 };

/* Why a connection is closed; in its slot, so that the next worker says the
 * same. The texts are in conn.c. */
enum reason {
	REASON_NONE, /* the code says it all */
	REASON_GOING_AWAY,
	REASON_RESTARTING,
	REASON_KICKED,
	REASON_IDLE,
	REASON_NO_PONG,
	REASON_SLOW,
	REASON_RATE,
	REASON_TEXT_ONLY,
	REASON_TOO_BIG,
	REASON_UTF8,
	REASON_PROTOCOL,
	REASON_BUSY,
	REASON_MEMORY,
	REASON_INTERNAL,
	REASONS
};

/* How a waiting publication, or the opening of a channel, went: the error of a
 * RESULT or OPENED. */
enum result_error {
	RESULT_OK,
	RESULT_TEMPORARY, /* it was not done: try again */
	RESULT_UNKNOWN,	  /* nobody knows whether it was done */
	/* of an OPEN_KNOWN: there is no such channel */
	RESULT_NO_CHANNEL,
	RESULT_ERRORS
};

/* Whether the newest publication of a connection waits for a reader's answer:
 * from the journal. */
enum slot_awaits {
	AWAITS_NOTHING,
	AWAITS_RESULT, /* until then nothing more of it is looked at */
	AWAITS_DONE    /* it has come; from here on: + enum result_error */
};

struct slot {
	/* line 0: input and output */
	_Atomic uint64_t life; /* turn << 56 | giver << 48 |
				* use count << 16 | worker << 8 | state;
				* turn and giver: see slot_pass() */
	OTHER_ONLY(uint64_t other[8]);
	_Atomic uint64_t appended; /* references ever appended: the commit */
	_Atomic uint64_t last; /* newest publication in the output: derived */
	_Atomic uint64_t answered; /* key of the newest answer: derived */
	_Atomic uint64_t
	    committed; /* input position, from the journal: derived */
	_Atomic uint64_t
	    committed_at;	/* newest publication from here: derived */
	_Atomic uint64_t part;	/* unfinished input, see input.h; 0: none */
	_Atomic uint32_t chunk; /* first output chunk, a link; 0: all of it is
				 * written */
	_Atomic uint32_t left;	/* input position, low half, of the last
				 * /leave that ended a subscription; with
				 * SLOT_ENTERING: behind its connect */
	/* line 1: who */
	uint32_t user;	/* presence entry, SHM_NONE: nobody */
	uint8_t worker; /* filled in by slot_read: slot_holder() */
	uint8_t door;	/* its id, see conn/door.h */
	uint8_t device_len;
	uint8_t family; /* of peer: 4 or 6 */
	uint8_t peer[16];
	OTHER_EITHER(uint16_t, uint32_t) peer_port;
	uint16_t close_reason; /* enum reason, with close_code */
	uint8_t transport;     /* their numbers: net/transport.h, */
	uint8_t framing;       /* codec/framing.h */
	/* 1: its socket is in its worker's epoll set (shm_worker.watch), for
	 * reading and nothing else; 0: nobody knows. Stored 0 before that may
	 * end to be so, and 1 when it is so. */
	_Atomic uint8_t watched;
	_Atomic uint8_t awaits; /* enum slot_awaits: derived */
	uint64_t connected_ms;	/* clock_ms() */
	uint32_t heard_ms;	/* deadlines count from these; clock_ms(), */
	uint32_t ping_ms;	/* low half: only differences mean anything */
	uint32_t message_ms;
	uint32_t rate_ms;     /* token bucket: last refill */
	uint32_t rate_tokens; /* in 1/1000 messages */
	OTHER_EITHER(uint32_t, uint64_t)
	close_code; /* with SLOT_ENDING: that it is closed with */
	/* line 2 */
	char device[SLOT_DEVICE_MAX];
	uint32_t subscriptions; /* link of the first record */
	uint32_t info;		/* blob of what its token says, a link */
	uint64_t expires_ms;	/* its token does: wall clock; 0: never */
	uint64_t offset;	/* of "#user": nothing up to it is told */
	uint32_t flags;		/* the door's own, SLOT_GAP and those below */
	uint32_t skipped;	/* publications passed over, to be told; with
				 * SLOT_SKIPPED_MORE: and nobody knows how many
				 * more */
} __attribute__((aligned(64)));

/*
 * How far a connection's input is done, in one word: all before a position,
 * and so many commands (or answers) of the message that begins there.
 */
enum { KEY_BITS = 13 };
#define KEY(position, n) ((uint64_t)(position) << KEY_BITS | (n))
#define KEY_POSITION(key) ((key) >> KEY_BITS)
#define KEY_COUNT(key) ((uint32_t)((key) & ((1u << KEY_BITS) - 1)))

/* In `flags`: publications were passed over in channels that it has without a
 * subscription: "#user" and the lobby. */
#define SLOT_GAP (1u << OTHER_EITHER(31, 30))
/* It has changed its worker, and between `last` and the new one's cursor there
 * may be publications that it does not have yet. */
#define SLOT_MOVED (1u << OTHER_EITHER(30, 31))
/* The lobby has not been told that it joined by its door, or has been told that
 * it left: derived. Never cleared at a door without the fact `lobby`. */
#define SLOT_AWAY (1u << 29)
/* Its user's own channel has not been told of its join, or has of its leave. */
#define SLOT_OWN_AWAY (1u << 25)
/* With SLOT_ENDING: it is still in presence and its channels, some of which may
 * have been told. Its worker goes on with that. */
#define SLOT_LEAVING (1u << 28)
/* Its user is entered, and its client may not have been told yet. */
#define SLOT_ENTERING (1u << 26)
/* With SLOT_ENDING: the client's close frame has come: ours answers it, and our
 * FIN need not wait. */
#define SLOT_CLOSE_HEARD (1u << 24)
/* A subscription's token has had an info. */
#define SLOT_SUB_INFO (1u << 27)
/* Readers have been told that it is open, and not that it has ended: derived
 * from FORMAT_CONNECT and FORMAT_DISCONNECT. */
#define SLOT_TOLD (1u << 23)
/* A token says who its user is. */
#define SLOT_PROVED (1u << 22)
/* Its user may not have got all of the own channel by it: what it has got says
 * nothing of that (room/away.h). */
#define SLOT_OWED (1u << 21)
#define SLOT_FLAGS                                                          \
	(SLOT_GAP | SLOT_MOVED | SLOT_AWAY | SLOT_OWN_AWAY | SLOT_LEAVING | \
	    SLOT_ENTERING | SLOT_CLOSE_HEARD | SLOT_SUB_INFO | SLOT_TOLD |  \
	    SLOT_PROVED | SLOT_OWED)
_Static_assert(
    (SLOT_GAP ^ SLOT_MOVED ^ SLOT_AWAY ^ SLOT_OWN_AWAY ^ SLOT_LEAVING ^
	SLOT_ENTERING ^ SLOT_CLOSE_HEARD ^ SLOT_SUB_INFO ^ SLOT_TOLD ^
	SLOT_PROVED ^ SLOT_OWED) == SLOT_FLAGS,
    "two flags are one bit");
/* In `offset`: the channel is not open, and its client has not been told where
 * it stands; nothing of it is told. */
#define SLOT_OFFSET_UNKNOWN UINT64_MAX
/* In `skipped`. */
#define SLOT_SKIPPED_MORE (1u << 31)

static inline uint64_t
slot_id(const struct hub *h, uint32_t i)
{
	return SHM_LOAD(h->slot[i].life) >> 16 << 32 | i;
}

static inline enum slot_state
slot_state(const struct hub *h, uint32_t i)
{
	return SHM_LOAD(h->slot[i].life) & 7;
}

/* Whether its client is still to be told who it is: until then it gets nothing
 * of "#user". */
static inline bool
slot_is_entering(const struct slot *s)
{
	return s->flags & SLOT_ENTERING &&
	    (int32_t)((uint32_t)KEY_POSITION(SHM_LOAD(s->answered)) -
		SHM_LOAD(s->left)) < 0;
}

/* How often the slot has been used: with its number, who has it (slot_id()).
 * Never 0 in a slot that was ever taken. */
static inline uint32_t
slot_use(const struct hub *h, uint32_t i)
{
	return (uint32_t)(SHM_LOAD(h->slot[i].life) >> 16);
}

/* The worker that its life word names: of one that is SLOT_MOVING the one that
 * may take it. Whose it is, says slot_holder(). */
static inline int
slot_worker(const struct hub *h, uint32_t i)
{
	return (int)(SHM_LOAD(h->slot[i].life) >> 8 & 0xff);
}

/* Whose it is while it is SLOT_MOVING. */
static inline int
slot_giver(const struct hub *h, uint32_t i)
{
	return (int)(SHM_LOAD(h->slot[i].life) >> 48 & 0xff);
}

/* The worker whose it is, which alone writes it and has its records: its giver
 * while it is SLOT_MOVING. One look: it may be taken or taken back meanwhile.
 */
static inline int
slot_holder(const struct hub *h, uint32_t i)
{
	uint64_t life = SHM_LOAD(h->slot[i].life);

	return (
	    int)(((life & 7) == SLOT_MOVING ? life >> 48 : life >> 8) & 0xff);
}

/* Whether a connection of that id is there and may chat. One look: what was
 * read of it before this was its own. */
static inline bool
slot_is_live(const struct hub *h, uint64_t id)
{
	uint32_t i = (uint32_t)id;
	uint64_t life = i < h->n_slots ? SHM_LOAD(h->slot[i].life) : 0;

	return ((life & 7) == SLOT_OPEN || (life & 7) == SLOT_MOVING) &&
	    (life >> 16 << 32 | i) == id;
}

/* Whether a connection has it: from its 101 on to its end. */
static inline bool
slot_in_use(const struct hub *h, uint32_t i)
{
	enum slot_state state = slot_state(h, i);

	return state != SLOT_FREE && state != SLOT_TAKEN &&
	    state != SLOT_ACCEPTED;
}

/*
 * Its socket, as table.h has it. Stored before the slot says SLOT_ACCEPTED, and
 * the slot is free before the descriptor is closed: so a slot that is neither
 * free nor taken claims that very descriptor, which is open. Of one that has
 * just changed its worker the former one's: move_redo() comes first.
 */
static inline uint64_t
slot_socket(const struct hub *h, uint32_t i)
{
	return SHM_LOAD(h->socket[i]);
}

static inline void
slot_socket_set(struct hub *h, uint32_t i, int fd)
{
	SHM_STORE(h->slot[i].watched, 0);
	SHM_STORE(h->socket[i], table_word(h, fd));
}

/* The descriptor that a slot claims in this process's table; -1: none there.
 * Of a slot that this worker holds. */
static inline int
slot_fd(const struct hub *h, uint32_t i)
{
	enum slot_state state = slot_state(h, i);

	return state != SLOT_FREE && state != SLOT_TAKEN
	    ? table_fd(h, slot_socket(h, i))
	    : -1;
}

/* Whether it is an open connection's, also while that moves. */
static inline bool
slot_is_open(const struct hub *h, uint32_t i)
{
	enum slot_state state = slot_state(h, i);

	return state == SLOT_OPEN || state == SLOT_MOVING;
}

/* Whether it is ending and has not left all that it was in. */
static inline bool
slot_is_leaving(const struct hub *h, uint32_t i)
{
	return slot_state(h, i) == SLOT_ENDING &&
	    h->slot[i].flags & SLOT_LEAVING;
}

/* The number in an id if the slot is still that connection's, else SHM_NONE. */
uint32_t slot_find(const struct hub *h, uint64_t id);

/*
 * Takes a free slot: TAKEN by this worker, all else zero. SHM_NONE: there is
 * none. Workers take slots of their own blocks, so that what they touch lies
 * together; but a connection may move to another worker and keeps its slot, so
 * which slots are free is told by the slots alone.
 */
uint32_t slot_take(struct hub *h, struct claim *slots);

/* Of a slot of this worker. */
void slot_set(struct hub *h, uint32_t i, enum slot_state state);

/* From one worker and state to another in one step; false if it is not in the
 * former. To SLOT_MOVING: `from` is the giver, and the life word differs from
 * what it was each time before that a connection was given. */
bool slot_pass(struct hub *h, uint32_t i, int from, enum slot_state was, int to,
    enum slot_state is);

/* slot_pass() from a life word that was read before: false if the slot has
 * changed since, even if it has changed back. */
bool slot_pass_exact(
    struct hub *h, uint32_t i, uint64_t life, int to, enum slot_state is);

/* Frees a slot: its connection's id is never valid again. */
void slot_release(struct hub *h, struct claim *slots, uint32_t i);

/* The next slot from i on that may ever have been taken; n_slots: none.
 * Iterate with it: the others' pages do not exist yet. */
uint32_t slot_ever(const struct hub *h, uint32_t i);

/* Fills peer from a socket address; "127.0.0.1:1234" from a copy. */
void slot_set_peer(struct slot *s, const struct sockaddr *sa);
const char *slot_peer_name(const struct slot *s, char out[64]);

/* A copy of a slot that any process may make. False if it is free, says
 * nonsense, or changes meanwhile. */
bool slot_read(const struct hub *h, uint32_t i, struct slot *out, uint64_t *id);

/* All that were on their way from a dead worker and have not been taken are its
 * own again: open. */
void slot_recall(struct hub *h, int worker);

/* How many connections a worker has. Looks at all slots. */
uint32_t slot_held(const struct hub *h, int worker);

/* Frees all slots of a dead worker, but for those on their way to it, and gives
 * its blocks back to all. */
void slot_clear(struct hub *h, int worker);

#endif
