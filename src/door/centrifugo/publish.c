/* publish, and private messages by rpc. */
#include <string.h>

#include "base/log.h"
#include "centrifugo.h"

/* Publishes for a command. C_WAITS: it has been accepted and waits for its
 * result, or the channel is not open yet. */
static enum centrifugo_error
publish_accept(const struct command *c, const char *name, size_t len,
    enum publish_to to, struct json_value data, struct publication *p,
    uint64_t *mask)
{
	const struct publishing what = {.conn = c->conn,
	    .command = c->ordinal,
	    .format = FORMAT_JSON,
	    .data = data.p,
	    .len = data.len};

	switch (publish(c->ch, name, len, to, &what, p, mask)) {
	case PUBLISH_OK:
		return p->flags & PUBLICATION_WAITS
		    ? outcome_error(hold_accepted(c->ch, c->conn))
		    : C_OK;
	case PUBLISH_COLD:
		return cold_error(c->ch,
		    &(struct channel_position){
			.channel = p->channel, .epoch = p->epoch});
	case PUBLISH_ABSENT:
		return C_UNKNOWN_CHANNEL;
	case PUBLISH_TOO_BIG:
		return C_LIMIT_EXCEEDED;
	default: /* full, or a reader is too far behind */
		return C_INTERNAL;
	}
}

/* Whether the connection may publish to a channel. */
static bool
may_publish(const struct command *c, const struct channel_name *name)
{
	switch (name->rule->publish) {
	case CONF_PUBLISH_ALL:
		return true;
	case CONF_PUBLISH_SUBSCRIBERS:
		return is_in(c, name);
	default:
		return false;
	}
}

void
command_publish(struct command *c)
{
	struct json_value v[PUBLISH_MEMBERS];
	struct channel_name name;
	enum centrifugo_error bad = take_request(c, MEMBER_PUBLISH, v, &name);
	struct publication p;
	uint64_t mask;

	p.flags = 0; /* clearing all of it costs too much */
	if (bad == C_OK && v[PUBLISH_DATA].type == JSON_NONE)
		bad = C_BAD_REQUEST;
	if (bad == C_OK && !may_publish(c, &name))
		bad = C_PERMISSION_DENIED;
	if (bad == C_OK)
		bad = publish_accept(c, name.text, name.len, PUBLISH_MAKE,
		    v[PUBLISH_DATA], &p, &mask);
	if (bad == C_OK)
		reply_empty(c, "publish");
	else
		reply_error(c, bad);
	if (p.flags & PUBLICATION_WAITS && bad != C_WAITS)
		hold_answered(c->ch, c->conn);
}

/* Answers rpc message: the publication's offset in the user's channel. */
static void
rpc_reply(const struct command *c, const struct publication *p, bool online)
{
	struct json_writer *w = reply_begin(c, "rpc");

	json_open(w, '{');
	json_put_name(w, "data");
	json_open(w, '{');
	json_put_name(w, "offset");
	json_put_uint(w, p->offset);
	put_epoch(w, presence_stream(c->ch->hub, p->channel, p->epoch));
	json_put_name(w, "online");
	json_put_bool(w, online);
	json_close(w, '}');
	json_close(w, '}');
	reply_end(c, w);
}

/* rpc message {to, data}: to all of a user's connections, now or later. */
static void
rpc_message(struct command *c, struct json_value request)
{
	static const char *const names[] = {"to", "data"};
	char channel[USER_NAME_MAX + 1] = "#";
	struct json_value v[2];
	struct publication p;
	enum centrifugo_error bad;
	uint64_t mask;
	size_t len;

	if (!is_among(c, c->ch->live.private)) {
		reply_error(c, C_PERMISSION_DENIED);
		return;
	}
	json_members(request, names, 2, v);
	if (!take_string(v[0], channel + 1, USER_NAME_MAX, &len) || len == 0 ||
	    v[1].type == JSON_NONE) {
		reply_error(c, C_BAD_REQUEST);
		return;
	}
	p.flags = 0; /* clearing all of it costs too much */
	bad = len == SIZE_MAX ? C_UNKNOWN_CHANNEL
			      : publish_accept(c, channel, len + 1,
				    PUBLISH_KNOWN, v[1], &p, &mask);
	if (bad == C_OK)
		rpc_reply(c, &p, mask != 0);
	else
		reply_error(c, bad);
	if (p.flags & PUBLICATION_WAITS && bad != C_WAITS)
		hold_answered(c->ch, c->conn);
}

/* Where a publication is that was proposed, or that the journal has no more, is
 * told by its result, perhaps not delivered to this worker yet: near the tail,
 * except after a takeover. False: the journal has that no more either. */
static bool
result_find(struct chat *ch, uint64_t position, struct publication *result)
{
	uint64_t at = journal_tail(ch->hub);

	for (; at > position && at >= journal_oldest(ch->hub); at--)
		if (journal_peek(ch->hub, at, result) == JOURNAL_OK &&
		    result->format == FORMAT_RESULT &&
		    result->answers == position)
			return true;
	return false;
}

/* Answers rpc message that was accepted before: where it is, or that nobody
 * knows, but never that it was refused. */
static void
rpc_again(const struct command *c)
{
	const uint64_t position = SHM_OWN(command_slot(c)->committed_at);
	struct hub *h = c->ch->hub;
	struct publication p = {0};
	struct presence_view v;

	if ((journal_peek(h, position, &p) == JOURNAL_OK &&
		!(p.flags & PUBLICATION_PROPOSED)) ||
	    result_find(c->ch, position, &p))
		/* the entry may be another user's by now */
		rpc_reply(c, &p,
		    presence_read(h, p.channel, &v) && v.epoch == p.epoch &&
			v.mask != 0);
	else
		reply_error(c, C_OUTCOME_UNKNOWN);
}

void
publish_again(const struct command *c, bool rpc)
{
	const enum centrifugo_error bad =
	    outcome_error(hold_accepted(c->ch, c->conn));

	if (bad == C_WAITS)
		return;
	if (bad != C_OK)
		reply_error(c, bad);
	else if (rpc)
		rpc_again(c);
	else
		reply_empty(c, "publish");
	hold_answered(c->ch, c->conn);
}

/* rpc who: how many users are here, and the first hundred names. */
static void
rpc_who(struct command *c)
{
	const struct user_name *name;
	struct json_writer *w;
	size_t k, n, users;

	if (!is_among(c, c->ch->live.who)) {
		reply_error(c, C_PERMISSION_DENIED);
		return;
	}
	w = reply_begin(c, "rpc");
	json_open(w, '{');
	json_put_name(w, "data");
	json_open(w, '{');
	users = user_first(c->ch, &n);
	json_put_name(w, "count");
	json_put_uint(w, users);
	json_put_name(w, "users");
	json_open(w, '[');
	for (k = 0; k < n; k++) {
		name = user_nth(k);
		json_put_string(w, name->text, name->len);
	}
	json_close(w, ']');
	json_close(w, '}');
	json_close(w, '}');
	reply_end(c, w);
}

void
command_rpc(struct command *c)
{
	struct json_value v[RPC_MEMBERS];
	const char *ignored;

	(void)members_take(c->ch, MEMBER_RPC, c->request, v, &ignored);
	if (!take_type(v[RPC_METHOD], JSON_STRING))
		reply_error(c, C_END_BAD_REQUEST);
	else if (json_string_equals(v[RPC_METHOD], "message"))
		rpc_message(c, v[RPC_DATA]);
	else if (json_string_equals(v[RPC_METHOD], "who"))
		rpc_who(c);
	else if (json_string_equals(v[RPC_METHOD], "search"))
		rpc_search(c, v[RPC_DATA]);
	else
		reply_error(c, C_NOT_AVAILABLE);
}
