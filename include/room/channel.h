/*
 * channel: anything one can publish to: a room, the lobby, a user's own
 * channel "#name". Layer 3. A worker has a channel (its bit in presence) while
 * a connection here has it: by a subscription, by being of that user, or, of
 * the lobby, by being at a door with the fact `lobby`.
 */
#ifndef CHATD_ROOM_CHANNEL_H
#define CHATD_ROOM_CHANNEL_H

#include "conn/chat.h"
#include "room/user.h"
#include "hub/blob.h"
#include "hub/history.h"
#include "hub/presence.h"
#include "hub/subscription.h"

enum channel_result {
	CHANNEL_OK,
	CHANNEL_FULL,	 /* a table is full, or the client's share of it: see
			  * quota.h */
	CHANNEL_ALREADY, /* subscribed already */
	CHANNEL_LIMIT,	 /* the connection, or its user, has as many as it may
			  * have */
	CHANNEL_ABSENT,	 /* no such channel or subscription */
	CHANNEL_COLD	 /* a reader of the journal is asked where it stands */
};

/* Where a channel stands. */
struct channel_position {
	uint32_t channel; /* presence entry */
	uint32_t epoch;	  /* its incarnation */
	uint64_t offset;  /* of its newest publication, 0: none yet */
	uint64_t stream;  /* epoch of the offset, as clients are told */
};

/*
 * Subscribes a connection to a room or the lobby on terms: flags, expires_ms,
 * info, key; with ALREADY or OK *sub is its record. *at is the channel's
 * position, which the reply tells; only later publications are delivered.
 * ALREADY is no error if the record's key is that of the terms: then a worker
 * died before it could answer. COLD: nothing is changed; *at has the channel's
 * entry and incarnation, and no offset. One of the server's
 * (SUBSCRIPTION_SERVER) is made then, too: at->offset is SUBSCRIPTION_HELD
 * (opening.h).
 */
enum channel_result channel_subscribe(struct chat *ch, uint32_t conn,
    const char *name, size_t len, const struct subscription *terms,
    struct channel_position *at, uint32_t *sub);

/* Ends a subscription; ABSENT if there is none. */
enum channel_result channel_unsubscribe(
    struct chat *ch, uint32_t conn, const char *name, size_t len);

/* Ends all subscriptions of a connection that is ending. */
void channel_unsubscribe_all(struct chat *ch, uint32_t conn);

/* The connection's subscription to a channel of that name, or SHM_NONE. */
uint32_t channel_subscription(
    struct chat *ch, uint32_t conn, const char *name, size_t len);

/*
 * Finds a channel by name, making it if `make`: it has an epoch from then on.
 * FULL, or ABSENT without make. COLD as above, and of a channel that is not
 * there, and that a reader may know, without make, too.
 */
enum channel_result channel_find(struct chat *ch, const char *name, size_t len,
    bool make, struct channel_position *at);

/* A channel's name from its entry; its length, 0 if the entry is corrupted. */
size_t channel_name(
    const struct hub *h, uint32_t channel, char out[PRESENCE_NAME_MAX + 1]);

/* A member of a channel: a connection, of any worker. */
struct channel_member {
	uint64_t id;	   /* connection */
	uint32_t user;	   /* presence entry of "#user", SHM_NONE: anonymous */
	uint32_t info;	   /* blob of the connection's info, 0: none */
	uint32_t sub_info; /* of the subscription's, 0: none */
};

/*
 * Calls member for each member, at most `max`, until it returns false. Members
 * of the lobby are also the connections at doors with the fact `lobby`; of a
 * user's own channel the user's connections. None if the entry has become
 * another channel's since it was found. False if there may be more.
 */
bool channel_members(struct chat *ch, const struct channel_position *at,
    uint32_t max, bool (*member)(const struct channel_member *, void *),
    void *arg);

/* Copies what a client may know of a member: its user's name, *len, and the
 * infos, all of this one connection. False if it has gone meanwhile. */
struct member_text {
	char user[USER_NAME_MAX + 1];
	char info[BLOB_MAX], sub_info[BLOB_MAX];
	size_t user_len, info_len, sub_info_len;
};
bool channel_member_text(const struct hub *h, const struct channel_member *m,
    struct member_text *out);

/* Mends a record of this worker that is not in its connection's chain: puts it
 * there, or drops it if the connection is gone. Returns what was wrong with it;
 * steps as subscription_check(). */
enum subscription_fault
channel_mend(struct chat *ch, uint32_t sub, uint32_t *steps);

/* Drops a chain of this worker's records that the connection's slot does not
 * know, and, if they were entered, their channels. first: a link. */
void channel_drop(struct chat *ch, uint64_t id, uint32_t first, bool entered);

/* Adds or takes away a holder of a channel on this worker (not for "#user").
 * Lock held for channel_hold(), which is presence_enter_for(). */
uint32_t channel_hold(struct chat *ch, const char *name, size_t len,
    const struct charge_terms *terms, enum charge_result *how);
void channel_release(struct chat *ch, uint32_t channel);
/* Counts one more holder of a channel that this worker is in already; a number
 * out of range, which memory that another process may write can have, is
 * passed over. */
void channel_count(struct chat *ch, uint32_t channel);

#endif
