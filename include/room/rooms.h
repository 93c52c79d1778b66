/* rooms: what a worker's rooms have in this process. Connections know nothing
 * of it. Layer 3. */
#ifndef CHATD_ROOM_ROOMS_H
#define CHATD_ROOM_ROOMS_H

#include <stdbool.h>
#include <stdint.h>

#include "conn/chat.h"
#include "hub/claim.h"
#include "hub/follower.h"
#include "hub/publisher.h"
#include "room/kept.h"

/* Positions that the ring has overwritten before they were delivered: above
 * `from`, below `to`. `until` was the newest when that was noticed. */
struct hole {
	uint64_t from, to, until;
};

/*
 * What a worker knows of a presence entry: of a user the link of the first of
 * that user's connections here, of any other channel how many connections here
 * have it. 0: nobody here. Which of the two an entry is, a user or a channel,
 * stands in shared memory: user_list_first() checks what it finds.
 */
union local {
	uint32_t first;
	uint32_t members;
};
_Static_assert(sizeof(union local) == sizeof(uint32_t), "presence_match()");

/* What a turn has delivered so far. */
struct turn_share {
	uint32_t n, to; /* publications, and to how many connections in all */
	size_t bytes;	/* that they count against the `queue` of each */
	uint32_t vain;	/* looks at input on end that found none */
	bool gathers;	/* those of the turn before had many receivers */
};

struct archive;
struct away;
struct relay;

struct rooms {
	struct publisher publisher;
	struct follower follower; /* from the journal to those who are here */
	struct claim subscriptions;
	union local *local; /* [n_entries] */
	char *copy;	    /* journal entries are copied out to here */
	struct relay *relay;
	struct away *away;	 /* NULL: nothing is kept for who is away */
	struct archive *archive; /* who has more than the ring */
	struct hole hole;	 /* what no connection here will get */
	uint32_t record_at;	 /* next subscription to look at */
	struct kept_rules rules; /* which channels are readers' */
	uint32_t kept_at;	 /* next presence entry to look at */
	uint64_t kept_ms;	 /* then all are looked at again */
	bool unsettled;		 /* this turn published something */
	struct turn_share turn;	 /* what this turn has delivered */
};

/* Makes them, once the hub is known; returns 0, or -1 and errno. */
int rooms_init(struct chat *ch);

#endif
