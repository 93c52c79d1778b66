/*
 * quota: what a connection may have of the tables that all share, and what is
 * said when it may not. Layer 3.
 *
 * `users` and `channels` are tables of their own. A channel that nobody was in
 * is charged to the user and the address of who is the first (hub/charge.h). A
 * user is a name: an anonymous connection has none, so there its address alone
 * bounds it; where names are not proved (`insecure`) each has as many as it
 * likes, and again the address does.
 */
#ifndef CHATD_ROOM_QUOTA_H
#define CHATD_ROOM_QUOTA_H

#include "conn/chat.h"
#include "hub/charge.h"

/* What was refused for, each with a key of the configuration and a counter. */
enum quota {
	QUOTA_USERS,	     /* all users there may be are here */
	QUOTA_CHANNELS,	     /* all channels there may be are held */
	QUOTA_SUBSCRIPTIONS, /* all records are in use */
	QUOTA_USERS_SHARE,   /* of one address */
	QUOTA_CHANNELS_SHARE,
	QUOTA_USER_CHANNELS, /* of one user */
	QUOTAS
};

/* What a connection may have, and who it is. */
struct charge_terms quota_terms(const struct chat *ch, uint32_t conn);

/* The quota that refuses an entry of a kind. */
enum quota quota_of(enum charge_kind kind, enum charge_result why);

/*
 * A connection (SHM_NONE: none is to be named) is refused: it is counted,
 * logged once a second at most, and its text is kept for the answer.
 */
void quota_refuse(struct chat *ch, uint32_t conn, enum quota quota);

/* What the command in hand was refused for, as its client is told: once; NULL:
 * for nothing of these. Good until the next refusal. */
const char *quota_text(void);

/* Logs how many were refused since the last line; every 100 ms. */
void quota_tell(struct chat *ch);

#endif
