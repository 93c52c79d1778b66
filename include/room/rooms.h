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
 * The users who have connections here, hashed by presence entry. A table by
 * entry would have a page in each worker for a few users of each page: entries
 * follow each other as users come, whichever worker they come to.
 */
struct users_here {
	uint32_t *bucket;	  /* [n_slots]: links, see user_here.c */
	uint32_t n;		  /* users */
	uint32_t n_buckets, half; /* buckets in use, the largest power of two
				   * that is not above that */
};

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
	uint32_t *members; /* [n_entries]: connections here that have it, of
			    * users 0 */
	struct users_here users;
	char *copy; /* journal entries are copied out to here */
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

/* Whether anybody here has a presence entry. */
bool rooms_have(const struct chat *ch, uint32_t entry);

/* Makes them, once the hub is known; returns 0, or -1 and errno. */
int rooms_init(struct chat *ch);

#endif
