/* Centrifugo's client protocol, version 2, in JSON: frames into commands, and
 * the connection's own deadlines. */
#include <string.h>

#include "base/log.h"
#include "centrifugo.h"
#include "hub/stats.h"
#include "room/opening.h"
#include "member.h"

/* The server does not take it; its client is not even told an answer. */
static void
command_send(struct command *c)
{
	centrifugo_end(c->ch, c->conn, C_END_NOT_AVAILABLE);
}

static void
command_ping(struct command *c)
{
	reply_empty(c, "ping");
}

/* The commands, in the order of their table in member.c; of several in one
 * object the first of these counts. */
static const struct {
	void (*run)(struct command *);
} commands[] = {{command_connect}, {command_ping}, {command_subscribe},
    {command_unsubscribe}, {command_publish}, {command_presence},
    {command_presence_stats}, {command_history}, {command_rpc}, {command_send},
    {command_refresh}, {command_sub_refresh}};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };
_Static_assert((int)N_COMMANDS == (int)COMMAND_ID, "member.h");

/* An empty object answers our ping. Input that a takeover replays may have been
 * answered already. */
static void
centrifugo_pong(struct command *c)
{
	struct slot *s = command_slot(c);
	uint32_t due = s->flags & (C_PINGED | C_PINGING | C_SPARE_PONG);

	if (!(s->flags & C_CONNECTED) || (due == 0 && !c->ch->replaying)) {
		centrifugo_end(c->ch, c->conn, C_END_BAD_REQUEST);
		return;
	}
	due &= C_PINGED | C_PINGING;
	s->flags &= ~(due & -due); /* the first of them */
	KILL_POINT();
}

/* Sends a ping. It counts once it stands in the output, so that none is waited
 * for that was never sent; a takeover between the two sends another. */
static void
centrifugo_ping(struct chat *ch, uint32_t conn)
{
	static char text[] = "{}";
	struct slot *s = conn_slot(ch, conn);
	uint32_t flags = s->flags;

	if (flags & C_PINGING)
		flags |= C_SPARE_PONG;
	s->flags = flags | C_PINGING;
	KILL_POINT();
	conn_answer(ch, conn, FRAMING_TEXT, &(struct iovec){text, 2}, 1, 0);
	KILL_POINT();
	if (ch->conn[conn].phase != CONN_OPEN)
		return;
	s->ping_ms = (uint32_t)ch->now_ms;
	KILL_POINT();
	s->flags = (s->flags & ~(uint32_t)C_PINGING) | C_PINGED;
	KILL_POINT();
}

/* Whether the connection's rate allows one command more; answers if not. */
static bool
command_rate_allows(struct command *c)
{
	struct slot *s = command_slot(c);
	uint32_t over = (s->flags & C_OVER_MASK) >> C_OVER_SHIFT;

	s->flags &= ~(uint32_t)C_OVER_MASK;
	if (conn_rate(c->ch, c->conn))
		return true;
	if (over + 1 >= C_OVER_MAX) {
		centrifugo_end(c->ch, c->conn, C_END_TOO_MANY);
		return false;
	}
	s->flags |= (over + 1) << C_OVER_SHIFT;
	reply_error(c, C_TOO_MANY_REQUESTS);
	return false;
}

/*
 * Whether a command was done before a takeover, or before it waited: it is
 * answered, or accepted; the last accepted one may lack its answer.
 */
static bool
command_done_before(struct command *c, int which)
{
	struct chat *ch = c->ch;
	struct slot *s = command_slot(c);
	bool answered =
	    SHM_OWN(s->answered) >= KEY(c->position, ch->answers + 1);

	if (which == N_COMMANDS)
		return c->ordinal < ch->done_commands;
	if (answered || c->ordinal + 1 < ch->done_commands) {
		ch->answers++;
		if (c->ordinal + 1 == ch->done_commands)
			hold_answered(ch, c->conn);
		if ((s->flags & (C_ENTERED | C_UNUSABLE)) == C_ENTERED)
			centrifugo_connected(s);
		return true;
	}
	if (c->ordinal >= ch->done_commands)
		return false;
	publish_again(c, commands[which].run == command_rpc);
	return true;
}

/* Runs a command whose object has been taken apart. */
static void
command_dispatch(struct command *c, int which)
{
	uint32_t flags = command_slot(c)->flags;
	bool connect = commands[which].run == command_connect;

	if (connect && c->ch->replaying) /* refused, but not told so */
		flags &= ~(uint32_t)C_UNUSABLE;
	if (flags & C_UNUSABLE || connect == !!(flags & C_CONNECTED))
		centrifugo_end(c->ch, c->conn, C_END_BAD_REQUEST);
	else if (hold_ended(c->ch) != HOLD_NOT || command_rate_allows(c)) {
		if (c->odd)
			reply_error(c, C_BAD_REQUEST);
		else
			commands[which].run(c);
	}
}

/* Takes a line apart: its command's place; N_COMMANDS: a pong, -1: none. */
static int
command_judge(struct command *c, struct json_value object)
{
	struct json_value v[COMMAND_MEMBERS], *id = &v[COMMAND_ID];
	const char *ignored;
	int k;

	if (object.type != JSON_OBJECT)
		return -1;
	(void)members_take(c->ch, MEMBER_COMMAND, object, v, &ignored);
	for (k = 0; k < N_COMMANDS && json_absent(v[k]); k++)
		;
	c->id = 0;
	if (json_absent(*id) && k == N_COMMANDS)
		return k;
	if (!json_absent(*id) && (!json_uint32(*id, &c->id) || c->id == 0))
		return -1;
	if (k == N_COMMANDS || v[k].type != JSON_OBJECT ||
	    (c->id == 0 && commands[k].run != command_send))
		return -1;
	c->request = v[k];
	return k;
}

/*
 * Finds the line at the front of the rest of a frame; *n is its length. A line
 * that is not JSON, or nested too deep, is still one line, and *odd, if its
 * brackets end at a line feed outside of strings. False: its end cannot be
 * found.
 */
static bool
command_line_find(const char *text, size_t left, size_t *n,
    struct json_value *object, bool *odd)
{
	const char *stop = memchr(text, '\n', left);

	*n = stop != NULL ? (size_t)(stop - text) : left;
	*odd = false;
	if (json_validate(text, *n, object))
		return true;
	if (!json_outline(text, left, object) || object->p >= text + *n)
		return false;
	*odd = true;
	*n = (size_t)(object->p + object->len - text);
	while (*n < left && text[*n] != '\n')
		if (memchr(" \t\r", text[(*n)++], 3) == NULL)
			return false;
	return true;
}

/* Finds the next line and takes it apart. An odd one is refused alone if it
 * can be told which it is: its data is to blame, then. */
static int
command_next(struct command *c, const char *text, size_t left, size_t *n)
{
	struct json_value object;
	bool found = command_line_find(text, left, n, &object, &c->odd);
	int which = found ? command_judge(c, object) : -1;

	return !c->odd || c->id != 0 ? which : -1;
}

/* One line of a frame, of which so much is left; returns the line's length. */
static size_t
command_line(struct command *c, const char *text, size_t left)
{
	size_t n;
	int which = command_next(c, text, left, &n);

	hold_command(c->ch, c->ordinal);
	if (which < 0 || c->ordinal >= CHAT_COMMANDS)
		centrifugo_end(c->ch, c->conn, C_END_BAD_REQUEST);
	else if (command_done_before(c, which))
		;
	else if (which == N_COMMANDS)
		centrifugo_pong(c);
	else
		command_dispatch(c, which);
	return n;
}

/* Passes over the commands that were done in the turns before: all of them are
 * answered, but for the last one if it waits for its result. Returns where the
 * next line begins: behind len if there is none. After a takeover that is done
 * one by one: see command_done_before(). */
static size_t
command_pass_done(struct command *c, const char *data, size_t len)
{
	const struct slot *s = command_slot(c);
	const bool waits = SHM_LOAD(s->awaits) != AWAITS_NOTHING;
	const uint32_t done = c->ch->done_commands - (waits ? 1 : 0);
	uint64_t answered = SHM_OWN(s->answered);
	struct json_value object;
	const char *stop;
	size_t at = 0;

	for (; c->ordinal < done && at <= len; c->ordinal++) {
		/* a break within a string ends no line */
		if (json_outline(data + at, len - at, &object))
			at = (size_t)(object.p + object.len - data);
		stop = memchr(data + at, '\n', len - at);
		at = (stop != NULL ? (size_t)(stop - data) : len) + 1;
	}
	if (KEY_POSITION(answered) == c->position)
		c->ch->answers = KEY_COUNT(answered);
	return at;
}

/* A frame: lines, each a command. One is answered before the next is looked
 * at; those for which there is no time left in this turn wait. A line break may
 * end the last one, too. */
static void
centrifugo_message(struct chat *ch, uint32_t conn, int kind, const char *data,
    size_t len, uint64_t position)
{
	struct command c = {.ch = ch, .conn = conn, .position = position};
	size_t n;

	if (len > 0 && data[len - 1] == '\n')
		len--;
	if (ch->done_commands > 0 && !ch->replaying) {
		n = command_pass_done(&c, data, len);
		if (n > len)
			return;
		data += n;
		len -= n;
	}
	for (;; c.ordinal++, data += n + 1, len -= n + 1) {
		n = command_line(&c, data, len);
		line_tick(ch->hub); /* of thousands, each may take long */
		if (n == len || ch->conn[conn].phase != CONN_OPEN ||
		    hold_is_wanted(ch))
			return;
		/* each time at least one that was not done before */
		if (c.ordinal >= ch->done_commands && conn_is_spent(ch, conn)) {
			ch->rest_from = c.ordinal + 1;
			return;
		}
	}
}

/* Deadlines: connect, ping and pong, expiry. */
static void
centrifugo_sweep(struct chat *ch, uint32_t conn)
{
	struct slot *s = conn_slot(ch, conn);

	if (!(s->flags & C_CONNECTED)) {
		if (ch->now_ms - s->connected_ms >= ch->live.connect_ms &&
		    !conn_unread(ch, conn))
			centrifugo_end(ch, conn, C_END_STALE);
		return;
	}
	if (s->flags & C_PINGED) {
		if (conn_age_ms(ch, s->ping_ms) >= ch->live.pong_ms &&
		    !conn_unread(ch, conn)) {
			centrifugo_end(ch, conn, C_END_NO_PONG);
			return;
		}
	} else if (conn_age_ms(ch, s->ping_ms) >= ch->live.ping_ms) {
		centrifugo_ping(ch, conn);
		if (ch->conn[conn].phase != CONN_OPEN)
			return;
	}
	if (s->expires_ms != 0 &&
	    ch->wall_ms >= (int64_t)s->expires_ms + C_EXPIRED_DELAY_MS) {
		centrifugo_end(ch, conn, C_END_EXPIRED);
		return;
	}
	if (s->offset == SLOT_OFFSET_UNKNOWN && opening_is_lost(ch, s->user)) {
		centrifugo_end(ch, conn, C_END_INSUFFICIENT);
		return;
	}
	subscriptions_sweep(ch, conn);
}

/* The door's own code for a close code that all doors share. */
static uint16_t
centrifugo_close_code(uint16_t code, enum reason reason, const char **text)
{
	enum centrifugo_error to;

	if (reason == REASON_NONE) { /* the door's, or the peer's given back */
		*text = centrifugo_text((enum centrifugo_error)code);
		return code;
	}
	switch (code) {
	case CLOSE_GOING_AWAY:
	case CLOSE_RESTART:
		to = C_END_SHUTDOWN;
		break;
	case CLOSE_INTERNAL:
		to = C_END_SERVER_ERROR;
		break;
	case CLOSE_KICKED:
		to = C_END_FORCED;
		break;
	case CLOSE_POLICY:
		to = reason == REASON_SLOW ? C_END_SLOW : C_END_TOO_MANY;
		break;
	default:
		return code;
	}
	*text = centrifugo_text(to);
	return (uint16_t)to;
}

/* Whether a query asks for protobuf, which this door does not speak. */
static bool
centrifugo_wants_protobuf(const struct http_request *r)
{
	static const char *const names[] = {"format", "cf_protocol"};
	struct http_span v;
	size_t k;

	for (k = 0; k < 2; k++)
		if (http_parameter(r->query, names[k], &v) &&
		    http_span_is(v, "protobuf"))
			return true;
	return false;
}

/* Its subprotocol, if the client offers that, and who it may be. */
static const char *
centrifugo_open(const struct http_request *r, struct route *out)
{
	if (centrifugo_wants_protobuf(r) ||
	    (http_offers(r, "centrifuge-protobuf") &&
		!http_offers(r, "centrifuge-json")))
		return "only JSON is spoken here, not protobuf";
	if (http_offers(r, "centrifuge-json"))
		out->protocol = "centrifuge-json";
	return route_names(r, NULL, out);
}

static const struct door_route centrifugo_routes[] = {
    {.path = "/connection/websocket",
	.allow = DOOR_READS,
	.named = true,
	.open = centrifugo_open},
    {.path = "/api/",
	.at = ROUTE_FOR_BACKENDS,
	.below = true,
	.allow = DOOR_POSTS,
	.served = api_served,
	.judge = api_judge,
	.body_max = api_body_max,
	.answer = api_answer},
    {.path = NULL}};

const struct door centrifugo_door = {.name = "centrifugo",
    .id = 3,
    .own_ping = true,
    .own_rate = true,
    .keep_name = centrifugo_keep_name,
    .message = centrifugo_message,
    .render = centrifugo_render,
    .sweep = centrifugo_sweep,
    .drained = centrifugo_drained,
    .close_code = centrifugo_close_code,
    .routes = centrifugo_routes};
