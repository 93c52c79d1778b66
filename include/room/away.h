/*
 * away: users who were away. What is published in a user's own channel that is
 * stored is kept, whether the user is here or not, and told when the user
 * comes: all above what the user has got before, by any connection. How far
 * that is, is what the kernel says that the peers have acknowledged; it goes
 * into the journal (FORMAT_DELIVERED), at most once a second of a user here,
 * and at a connection's end. So after a death some may come twice, none is left
 * out. Layer 3.
 *
 * A door with the function `away` tells it itself, behind the opening of a
 * connection: until then the connection is told nothing of its own channel. At
 * others it is part of the answer to a command.
 */
#ifndef CHATD_ROOM_AWAY_H
#define CHATD_ROOM_AWAY_H

#include "conn/chat.h"
#include "conn/door.h"
#include "hub/slot.h"
#include "room/channel.h"
#include "room/past.h"

enum {
	/* Messages that a user is told at once. Larger: who was away for long
	 * waits for longer, and for more that may not matter any more; smaller:
	 * more has to be asked for. */
	AWAY_MESSAGES = 100,
	/* What came is asked for during that time, meanwhile nothing of its own
	 * channel is told to a connection; then it goes on without. Larger: a
	 * user who comes while the disk is slow is told nothing for longer;
	 * smaller: what came is told at the next connection more often. */
	AWAY_LIMIT_MS = 5000
};

int away_init(struct chat *ch);

/* A connection goes on here, perhaps beside no reader that knows what came. */
void away_adopt(struct chat *ch, uint32_t conn);

/* Whether what comes for a user who is away is kept for later, by the name of
 * the own channel. */
bool away_is_kept(const struct chat *ch, const char *name, size_t len);

/* A connection has entered its user: what came is still to be told. Before the
 * connection is open, or its command is answered. */
void away_enter(struct chat *ch, uint32_t conn);

/* Whether a connection is told nothing of its own channel, until what came is
 * told. */
static inline bool
away_waits(const struct chat *ch, uint32_t conn)
{
	const struct slot *s = &ch->hub->slot[conn];
	const struct conn *c = &ch->conn[conn];

	return s->offset == SLOT_OFFSET_UNKNOWN && s->flags & SLOT_OWED &&
	    c->phase == CONN_OPEN && c->present &&
	    ch->door[c->door]->away != NULL;
}

/* Begins with that: the connection is open. */
void away_begin(struct chat *ch, uint32_t conn);

/* Tells such a connection, if it can be told now: it is open, the channel is,
 * or rows have come. */
void away_try(struct chat *ch, uint32_t conn);

/* What came for a user, up to where the channel stands. */
struct away_found {
	uint64_t delivered; /* nothing up to this offset */
	int64_t since_ms;   /* when the user was here before; 0: never */
	uint32_t n;	    /* of past, which has the newest first */
	bool more;	    /* older ones, which are not among them */
	struct past past;
};

/* Finds it for the command in hand, or for the connection that hold.conn names;
 * archive_done() when it has been used. Of an own channel, which is open. now:
 * it cannot wait. */
enum past_result away_find(struct chat *ch, const struct channel_position *at,
    bool now, struct away_found *out);

/* Every 100 ms: notes what users have got, and tries again. */
void away_sweep(struct chat *ch);

/* A connection is ending, and is in its user's list still. */
void away_end(struct chat *ch, uint32_t conn);

#endif
