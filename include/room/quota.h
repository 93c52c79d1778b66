/*
 * quota: how much a connection may take of the tables that all share, and the
 * words when it is refused. Layer 3.
 *
 * `users` and `channels` are tables of their own. A channel is charged to the
 * user and the address of the first connection in it (hub/charge.h). A user is
 * a name. Anonymous connections have none, and where names are not proved
 * (`insecure`) a client may use many: there the limit by address alone counts.
 */
#ifndef CHATD_ROOM_QUOTA_H
#define CHATD_ROOM_QUOTA_H

#include "conn/chat.h"
#include "hub/charge.h"

/* The reasons of a refusal, each with a key of the configuration and a
 * counter. */
enum quota {
	QUOTA_USERS,	     /* the table of users is full */
	QUOTA_CHANNELS,	     /* the table of channels is full */
	QUOTA_SUBSCRIPTIONS, /* all records are in use */
	QUOTA_USERS_SHARE,   /* of one address */
	QUOTA_CHANNELS_SHARE,
	QUOTA_USER_CHANNELS, /* of one user */
	QUOTAS
};

/* The user and address of a connection, and their limits. */
struct charge_terms quota_terms(const struct chat *ch, uint32_t conn);

/* The quota that refuses an entry of a kind. */
enum quota quota_of(enum charge_kind kind, enum charge_result why);

/*
 * A connection (SHM_NONE: none is to be named) is refused: it is counted,
 * logged once a second at most, and its text is kept for the answer.
 */
void quota_refuse(struct chat *ch, uint32_t conn, enum quota quota);

/* The reason for which the command in hand was refused, as its client is told:
 * given out once; NULL: none of these. Good until the next refusal. */
const char *quota_text(void);

/* Logs how many were refused since the last line; every 100 ms. */
void quota_tell(struct chat *ch);

#endif
