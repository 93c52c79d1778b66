/*
 * member: which members of requests and tokens are obeyed here, which are
 * refused, and which are passed over. Centrifugo's published protocol, server
 * API and tokens are the list: what they define, changes what a request means
 * and is not done here is refused, never half carried out; what they do not
 * define is passed over, counted and logged once a name, so that a later
 * client still connects. Not for others than doors.
 */
#ifndef CHATD_SRC_DOOR_MEMBER_H
#define CHATD_SRC_DOOR_MEMBER_H

#include "conn/chat.h"
#include "codec/json.h"

/* Whose members. Of client requests the result is one of enum
 * centrifugo_error. */
enum member_of {
	MEMBER_COMMAND, /* a whole command: its id, and what it asks for */
	MEMBER_CONNECT,
	MEMBER_SUBSCRIBE,
	MEMBER_UNSUBSCRIBE,
	MEMBER_PUBLISH,
	MEMBER_PRESENCE,
	MEMBER_PRESENCE_STATS,
	MEMBER_HISTORY,
	MEMBER_PING,
	MEMBER_RPC,
	MEMBER_SEND,
	MEMBER_REFRESH,
	MEMBER_SUB_REFRESH,
	MEMBER_API_PUBLISH,
	MEMBER_API_HISTORY,
	MEMBER_API_SEARCH, /* chatd's own */
	MEMBER_CLAIMS,	   /* of a token to connect with */
	MEMBER_SUB_CLAIMS, /* of one to subscribe with */
	MEMBERS
};

/* The places of what is taken, in the order of the tables in member.c. */
enum { COMMAND_ID = 12, COMMAND_MEMBERS };
enum {
	CONNECT_TOKEN,
	CONNECT_SUBS,
	CONNECT_NAME,
	CONNECT_VERSION,
	CONNECT_HEADERS,
	CONNECT_MEMBERS
};
enum {
	SUBSCRIBE_CHANNEL,
	SUBSCRIBE_TOKEN,
	SUBSCRIBE_RECOVER,
	SUBSCRIBE_OFFSET,
	SUBSCRIBE_EPOCH,
	SUBSCRIBE_FLAG,
	SUBSCRIBE_POSITIONED,
	SUBSCRIBE_RECOVERABLE,
	SUBSCRIBE_JOIN_LEAVE,
	SUBSCRIBE_MEMBERS
};
enum { CHANNEL_MEMBER, CHANNEL_MEMBERS }; /* presence and its kind */
enum { PUBLISH_CHANNEL, PUBLISH_DATA, PUBLISH_TAGS, PUBLISH_MEMBERS };
enum {
	HISTORY_CHANNEL,
	HISTORY_LIMIT,
	HISTORY_SINCE,
	HISTORY_REVERSE,
	HISTORY_MEMBERS
};
enum {
	SEARCH_CHANNEL,
	SEARCH_TEXT,
	SEARCH_LIMITED,
	SEARCH_OFFSET,
	SEARCH_MEMBERS
}; /* /api/search, and the data of rpc search */
enum { RPC_METHOD, RPC_DATA, RPC_MEMBERS };
enum { REFRESH_TOKEN, REFRESH_CHANNEL, REFRESH_MEMBERS };
enum { CLAIM_EXPIRE_AT, CLAIM_CHANNELS, CLAIM_MEMBERS };

/* Room for what is taken of any of them. */
enum { MEMBERS_TAKEN_MAX = COMMAND_MEMBERS };

/*
 * Takes an object apart: value[] gets those that are taken, each JSON_NONE if
 * there is none. Returns 0, or the error for the first member that is refused,
 * whose name is *refused.
 */
int members_take(struct chat *ch, enum member_of of, struct json_value object,
    struct json_value *value, const char **refused);

#endif
