/* centrifugo: what the files of this door share. Private to the folder. */
#ifndef CHATD_SRC_DOOR_CENTRIFUGO_H
#define CHATD_SRC_DOOR_CENTRIFUGO_H

#include "room/channel.h"
#include "room/past.h"
#include "conn/conn.h"
#include "room/publish.h"
#include "room/user.h"
#include "codec/json.h"
#include "door/door.h"
#include "hub/blob.h"
#include "hub/history.h"
#include "member.h"

extern const struct door centrifugo_door;

/* In slot.flags: where the connection stands. Bits 8 to 15 count the commands
 * in a row that came over its rate. */
enum {
	C_ENTERED = 1,	   /* who it is has been stored */
	C_CONNECTED = 2,   /* and it has been told so */
	C_PINGED = 4,	   /* a pong is to come */
	C_UNUSABLE = 8,	   /* its connect was refused */
	C_NAMED = 16,	   /* until ENTERED: slot.info is a name from the URL */
	C_PINGING = 32,	   /* a ping is being sent, or was as its worker died */
	C_SPARE_PONG = 64, /* one was sent again: any later pong may be one
			    * more, as those who read slowly answer late */
	C_OVER_SHIFT = 8,
	C_OVER_MASK = 0xff00
};

enum {
	C_OVER_MAX = 10, /* commands in a row over the rate: 3013 */
#ifdef CHATD_KILL_POINTS
	C_EXPIRED_DELAY_MS = 300, /* tests have no time */
#else
	C_EXPIRED_DELAY_MS = 25000, /* from expiry to the end: a refresh may
				     * come (as centrifuge) */
#endif
	C_CLIENT_ID = 17 /* bytes of a client id, with its NUL */
};

/* Error codes of replies (centrifuge, errors.go). */
enum centrifugo_error {
	C_OK = 0,
	C_WAITS = 1, /* none: the command waits, and is answered later */
	C_INTERNAL = 100,
	C_UNKNOWN_CHANNEL = 102,
	C_PERMISSION_DENIED = 103,
	C_ALREADY_SUBSCRIBED = 105,
	C_LIMIT_EXCEEDED = 106,
	C_BAD_REQUEST = 107,
	C_NOT_AVAILABLE = 108,
	C_TOKEN_EXPIRED = 109,
	C_EXPIRED = 110,
	C_TOO_MANY_REQUESTS = 111,
	C_UNRECOVERABLE = 112,
	C_OUTCOME_UNKNOWN = 504, /* not one of centrifuge's, which end at 399 */
	/* not told as an error: the connection ends with that code */
	C_END_SHUTDOWN = 3001,
	C_END_SERVER_ERROR = 3004,
	C_END_EXPIRED = 3005,
	C_END_SLOW = 3008,
	C_END_INSUFFICIENT = 3010,
	C_END_NO_PONG = 3012,
	C_END_TOO_MANY = 3013,
	C_END_INVALID_TOKEN = 3500,
	C_END_BAD_REQUEST = 3501,
	C_END_STALE = 3502,
	C_END_FORCED = 3503,
	C_END_CHANNEL_LIMIT = 3505,
	C_END_NOT_AVAILABLE = 3508
};

/* One command of a frame. */
struct command {
	struct chat *ch;
	uint32_t conn;
	uint32_t id;
	uint64_t position; /* input position after its frame */
	uint32_t ordinal;  /* in the frame, from 0 */
	bool odd;	   /* it is not valid: only to be refused */
	bool told;	   /* connect: it has all of its user's own channel */
	struct json_value request;
};

/* A channel's name out of a request, and what holds for it. */
struct channel_name {
	char text[PRESENCE_NAME_MAX + 1];
	size_t len;
	const struct conf_channel *rule;
};

static inline struct slot *
command_slot(const struct command *c)
{
	return conn_slot(c->ch, c->conn);
}

/* reply.c */

/* A command or request needs a channel that is not open: C_WAITS, for which
 * reply_error() says nothing, or C_INTERNAL if it has waited in vain. */
enum centrifugo_error
cold_error(struct chat *ch, const struct channel_position *at);

/* The error for what is known of a publication that waits for its result. */
enum centrifugo_error outcome_error(enum hold_outcome outcome);

/* The text of an error or a close code; "" for other numbers. */
const char *centrifugo_text(enum centrifugo_error code);

/* Ends the connection with one of the codes from 3000. */
void centrifugo_end(struct chat *ch, uint32_t conn, enum centrifugo_error code);

/* Begins a reply: {"id":1,"what": follows. One at a time. */
struct json_writer *reply_begin(const struct command *c, const char *what);

/* Closes and sends it; too large a one becomes error 106. */
void reply_end(const struct command *c, struct json_writer *w);

/* {"id":1,"what":{}}. */
void reply_empty(const struct command *c, const char *what);

/* {"code":..,"message":..}; why NULL: what quota_text() says, or else in the
 * words of the code. */
void
put_error(struct json_writer *w, enum centrifugo_error code, const char *why);

/* An error, or the end of the connection for codes from 3000; of C_WAITS
 * nothing. */
void reply_error(const struct command *c, enum centrifugo_error code);

/* Sends a push or ping of its own accord. */
void push_send(struct chat *ch, uint32_t conn, struct json_writer *w);

/* A writer for a push: {"push":{"channel":"..." so far. */
struct json_writer *push_begin(const char *channel, size_t len);

/* "1a2b..." of a connection's id. */
void client_id(uint64_t id, char out[C_CLIENT_ID]);

/* The name of a member, any text. */
void put_name(struct json_writer *w, const char *name, size_t len);

/* "epoch" as text of an epoch; whether a client's text is that epoch. */
void put_epoch(struct json_writer *w, uint64_t epoch);
bool is_epoch(struct json_value text, uint64_t epoch);

/* take.c: fields of requests. False: of a wrong type. */

/* A string, at most cap bytes; *len SIZE_MAX: longer, or with a lone surrogate,
 * which names nothing. Absent: 0. */
bool take_string(struct json_value v, char *out, size_t cap, size_t *len);

/* Absent: left as it is. */
bool take_bool(struct json_value v, bool *out);
bool take_int(struct json_value v, int64_t *out);
bool take_offset(struct json_value v, uint64_t *out);

/* A member that must be a string, an object: absent or of that type. */
bool take_type(struct json_value v, enum json_type type);

/*
 * Takes a request apart by its table, value[] having room for it, and its
 * channel with its rule; else the error to answer. *out is set in any case: its
 * text is "" if there is no name.
 */
enum centrifugo_error take_request(const struct command *c, enum member_of of,
    struct json_value *value, struct channel_name *out);

/* Takes a value that must be a channel's name, as the functions above. */
enum centrifugo_error
take_channel(struct chat *ch, struct json_value v, struct channel_name *out);

/* push.c */

/* What a publication looks like: {"data":...}. */
void put_publication(struct json_writer *w, const struct publication *p);

/* One that was found by its words: {"channel":..,"data":...}; its sub_info is
 * the channel's name. */
void put_match(struct json_writer *w, const struct publication *p);

/* {"user":..,"client":..,"conn_info":..,"chan_info":..}. */
void put_client(struct json_writer *w, uint64_t id, const char *user,
    size_t user_len, const char *info, size_t info_len, const char *sub_info,
    size_t sub_info_len);

int
centrifugo_render(struct chat *ch, const struct publication *p, struct iovec *);

/* publish.c */

/* Answers a publication that was accepted before a takeover, or before it
 * waited for its result: the newest one of this connection. */
void publish_again(const struct command *c, bool rpc);

/* api.c: the server API. */
bool api_served(const struct conf_live *live, struct http_span path);
void api_judge(const struct conf_live *live, const struct http_request *r,
    struct route *out);
size_t api_body_max(const struct conf_live *live);
void api_answer(struct chat *ch, const struct http_request *r, const char *body,
    size_t len, struct route *out);

/* connect.c */

/* Keeps the name that came in the URL: the connect command enters it. */
bool centrifugo_keep_name(
    struct chat *ch, uint32_t conn, const char *name, size_t len);

/* The answer to its connect stands in its output. */
void centrifugo_connected(struct slot *s);

/* claims.c */

/* Judges the claims of a token that is genuine: those that are not done here
 * refuse it. of: MEMBER_CLAIMS or MEMBER_SUB_CLAIMS. */
struct claims;
enum centrifugo_error
claims_judge(const struct command *c, enum member_of of, struct claims *claims);

/* token.c */

/* What a token says. */
struct claims {
	struct json_value all;
	char user[USER_NAME_MAX];
	size_t user_len;
	char info[BLOB_MAX];
	size_t info_len;
	int64_t expires_ms; /* wall clock, 0: never */
};

/* The use that a client makes of a token. A token with a `channel` is for a
 * subscription alone. */
enum token_use { TOKEN_CONNECTS, TOKEN_SUBSCRIBES };

/* Says in the log whose token is refused, and why; returns
 * C_END_INVALID_TOKEN. */
enum centrifugo_error token_refuse(const struct command *c, const char *why);

/* Judges a token (a JSON string), and logs why it is refused. C_OK,
 * C_TOKEN_EXPIRED or C_END_INVALID_TOKEN. The claims are good until the next
 * call. */
enum centrifugo_error token_read(const struct command *c,
    struct json_value token, enum token_use use, struct claims *out);

/* Keeps the info of claims for a connection; a blob. */
uint32_t info_keep(struct chat *ch, uint32_t conn, const struct claims *claims);

/* Keeps it in place of another one. */
void info_replace(struct chat *ch, uint32_t conn, uint32_t *info,
    const struct claims *claims);

/* "expires" and "ttl" of what ends at that time. */
void put_expiry(struct chat *ch, struct json_writer *w, uint64_t expires_ms);

/* The commands. */
void command_connect(struct command *c);
void command_subscribe(struct command *c);
void command_unsubscribe(struct command *c);
void command_publish(struct command *c);
void command_history(struct command *c);
void command_presence(struct command *c);
void command_presence_stats(struct command *c);
void command_rpc(struct command *c);
void command_refresh(struct command *c);
void command_sub_refresh(struct command *c);

/* history.c */

/* Whether a connection may look at a channel's history and presence. */
enum centrifugo_error
may_look(const struct command *c, const struct channel_name *name);

/* A history result as a request asks for it that was taken apart. */
enum centrifugo_error put_history(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct json_value *value);

/* search.c */

/* What has certain words, as a request asks for it that was taken apart. */
enum centrifugo_error
api_search(struct chat *ch, const struct json_value *v, struct json_writer *w);

/* rpc search {channel, text, limit, offset}: in a channel of the caller's own.
 */
void rpc_search(struct command *c, struct json_value request);

/* history.c */

/* The error for how looking for publications ended. */
enum centrifugo_error past_error(enum past_result r);

/* subscribe.c */

/* Whether a channel is that of the connection's user. */
bool is_own(const struct command *c, const struct channel_name *name);

/* Whether the connection is in a channel: subscribed, or it is that one. */
bool is_in(const struct command *c, const struct channel_name *name);

/* Whether the connection is among those who may do something (enum
 * conf_whom). */
bool is_among(const struct command *c, uint8_t whom);

/* A request to go on where a subscription was lost; zero: none. */
struct recovery {
	bool wanted;
	bool or_error; /* 112 if it cannot be */
	bool away;     /* instead: what came while the user was away */
	bool told;     /* put_subscription(): the client has all from now on */
	uint64_t offset;
	struct json_value epoch;
	/* recovery_waits(): what was missed up to there has been found, and
	 * whether that is all of it */
	bool found, whole;
	struct channel_position at;
};

/* Takes it out of the members of a subscribe request; false: one is of a wrong
 * type. */
bool recovery_take(const struct json_value *value, struct recovery *out);

/* Whether a client that asks to go on in a channel, which stands there, is to
 * wait for what it has missed: C_WAITS; C_INTERNAL: it has waited in vain. */
enum centrifugo_error
recovery_waits(struct chat *ch, const struct channel_name *name,
    const struct channel_position *at, struct recovery *r);

/* The members of a subscribe result; C_UNRECOVERABLE if that was asked for. */
enum centrifugo_error put_subscription(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct channel_position *at,
    struct recovery *r, uint64_t expires_ms);

/* Whether what came for a connection's user is still to be found: C_WAITS. at:
 * of the user's own channel, which is open. */
enum centrifugo_error
away_find_waits(struct chat *ch, const struct channel_position *at);

/* Writes it as publications of a subscribe result, if all of it fits there. If
 * not, it writes that nothing is recovered: SDKs pass over publications of a
 * result without `recovered`, and with it take them for all that were missed.
 * False: what came is still owed to the user. */
bool put_away(
    struct chat *ch, struct json_writer *w, const struct channel_position *at);

/* Subscribes under a rule, with what its token says, or takes up what this very
 * command did before a takeover. *sub is the record. */
enum centrifugo_error subscription_begin(const struct command *c,
    const struct channel_name *name, const struct claims *claims,
    uint32_t flags, struct channel_position *at, uint32_t *sub);

/* Deadlines of its subscriptions; gaps to be told once it has drained. */
void subscriptions_sweep(struct chat *ch, uint32_t conn);
void centrifugo_drained(struct chat *ch, uint32_t conn);

#endif
