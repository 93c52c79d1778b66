/* connect and refresh: who a connection is. */
#include <string.h>

#include "base/log.h"
#include "room/away.h"
#include "room/event.h"
#include "conn/head.h"
#include "centrifugo.h"

bool
centrifugo_keep_name(
    struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	struct slot *s = conn_slot(ch, conn);

	blob_drop(&ch->input, s->info);
	s->info = head_blob(ch, slot_id(ch->hub, conn), name, len);
	s->flags = s->info != 0 ? C_NAMED : 0;
	return len == 0 || s->info != 0;
}

/* The name from the URL, with `insecure`, where a client may use any. */
static void
claims_from_url(const struct command *c, struct claims *out)
{
	const struct slot *s = command_slot(c);
	char name[BLOB_MAX];
	size_t len = 0;

	if (s->flags & C_NAMED)
		len = blob_get(
		    c->ch->hub, s->info, slot_id(c->ch->hub, c->conn), name);
	if (len > sizeof(out->user))
		len = 0;
	memcpy(out->user, name, len);
	out->user_len = len;
	out->info_len = 0;
	out->expires_ms = 0;
	out->all = (struct json_value){0};
}

/* Finds out who it is. */
static enum centrifugo_error
connect_identify(
    const struct command *c, struct json_value token, struct claims *out)
{
	enum centrifugo_error bad;
	char peer[64];

	if (token.type == JSON_STRING && token.len > 2) {
		bad = token_read(c, token, TOKEN_CONNECTS, out);
		return bad == C_OK ? claims_judge(c, MEMBER_CLAIMS, out) : bad;
	}
	if (!c->ch->live.insecure) {
		log_info("%s: connect without a token is refused",
		    slot_peer_name(command_slot(c), peer));
		return C_END_BAD_REQUEST; /* as centrifuge */
	}
	claims_from_url(c, out);
	return C_OK;
}

/* Where the connection's own channel stands: of one that is not open its offset
 * is SLOT_OFFSET_UNKNOWN. False: it has none. */
static bool
connect_own_position(const struct command *c, struct channel_name *name,
    struct channel_position *at)
{
	uint32_t user = command_slot(c)->user;
	enum channel_result r;

	if (user == SHM_NONE)
		return false;
	name->len = channel_name(c->ch->hub, user, name->text);
	name->rule = conf_channel_find(&c->ch->live, name->text, name->len);
	if (name->rule == NULL)
		return false;
	r = channel_find(c->ch, name->text, name->len, false, at);
	if (r == CHANNEL_COLD)
		at->offset = SLOT_OFFSET_UNKNOWN;
	return r == CHANNEL_OK || r == CHANNEL_COLD;
}

void
centrifugo_connected(struct slot *s)
{
	s->flags = (s->flags & ~SLOT_ENTERING) | C_CONNECTED;
}

/* Stores who it is, and enters it in presence. */
static enum centrifugo_error
connect_enter(const struct command *c, const struct claims *claims)
{
	struct slot *s = command_slot(c);
	struct channel_position at;
	struct channel_name name;
	uint32_t user = SHM_NONE;

	if (s->flags & C_ENTERED)
		return C_OK; /* before a takeover */
	/* half of it may have been done before a takeover: until ENTERED all
	 * of it is done again */
	SHM_STORE(s->left, (uint32_t)c->position);
	s->flags |= SLOT_ENTERING;
	KILL_POINT();
	if (claims->user_len > 0 && !c->ch->conn[c->conn].present) {
		user =
		    user_enter(c->ch, c->conn, claims->user, claims->user_len);
		if (user == SHM_NONE)
			return C_INTERNAL; /* quota_text() says why */
		away_enter(c->ch, c->conn);
		user_list_add(c->ch, c->conn, user);
	}
	if (connect_own_position(c, &name, &at))
		s->offset = at.offset;
	s->expires_ms = (uint64_t)claims->expires_ms;
	if (!json_absent(claims->all))
		s->flags |= SLOT_PROVED;
	KILL_POINT();
	info_replace(c->ch, c->conn, &s->info, claims);
	s->flags = (s->flags & ~(uint32_t)C_NAMED) | C_ENTERED;
	KILL_POINT();
	return C_OK;
}

/* The request to recover a channel out of connect's `subs`. */
static enum centrifugo_error
connect_recovery(const struct command *c, struct json_value subs,
    const char *channel, struct recovery *r)
{
	struct json_value request, v[SUBSCRIBE_MEMBERS];
	const char *ignored;
	int refused;

	json_member(subs, channel, &request);
	refused = members_take(c->ch, MEMBER_SUBSCRIBE, request, v, &ignored);
	if (!take_type(request, JSON_OBJECT) || !recovery_take(v, r))
		return C_END_BAD_REQUEST;
	return (enum centrifugo_error)refused;
}

/* Whether a channel is the connection's own, and what came there while its user
 * was away is to be told to who knows no position. */
static bool
connect_is_owed(const struct command *c, const struct channel_name *name)
{
	return presence_name_is_user(name->text, name->len) &&
	    name->rule->offline && command_slot(c)->flags & SLOT_OWED &&
	    away_is_kept(c->ch, name->text, name->len);
}

/* Whether the client asks to go on in a channel that is not open, or where the
 * ring has not all that it missed. It does so with a command that is carried
 * out as a whole: nothing is subscribed before all such channels are open, and
 * all rows there, or have been waited for in vain. Of who hangs it waits for
 * none. */
static bool
connect_waits_for(const struct command *c, struct json_value subs,
    const struct channel_name *name)
{
	struct channel_position at;
	struct recovery r;

	if (connect_recovery(c, subs, name->text, &r) != C_OK ||
	    (!r.wanted && !connect_is_owed(c, name)))
		return false;
	switch (channel_find(c->ch, name->text, name->len, true, &at)) {
	case CHANNEL_COLD:
		return cold_error(c->ch, &at) == C_WAITS;
	case CHANNEL_OK:
		if (archive_hangs(c->ch))
			return false;
		return (r.wanted ? recovery_waits(c->ch, name, &at, &r)
				 : away_find_waits(c->ch, &at)) == C_WAITS;
	default:
		return false;
	}
}

/* connect_waits_for() of the connection's own channel, and of its token's. All
 * of them are asked for at once. */
static bool
connect_waits(
    const struct command *c, struct json_value channels, struct json_value subs)
{
	struct json_iter iter = json_iter(channels, JSON_ARRAY);
	struct channel_position at;
	struct channel_name name;
	struct json_value v;
	bool waits;

	if (c->ch->hub->readers == 0)
		return false;
	waits = connect_own_position(c, &name, &at) &&
	    connect_waits_for(c, subs, &name);
	while (json_next_element(&iter, &v))
		if (take_channel(c->ch, v, &name) == C_OK &&
		    !presence_name_is_user(name.text, name.len))
			waits |= connect_waits_for(c, subs, &name);
	return waits;
}

/* Writes what is known of a channel that opens behind the connect: that the
 * client cannot go on in it. It is told by a push where the channel stands. */
static void
put_opening(struct json_writer *w, const struct channel_name *name,
    const struct recovery *r)
{
	if (!r->wanted)
		return;
	put_name(w, name->text, name->len);
	json_open(w, '{');
	json_put_name(w, "was_recovering");
	json_put_bool(w, true);
	json_close(w, '}');
}

/* One of the channels that the token subscribes to. */
static enum centrifugo_error
put_server_channel(struct command *c, struct json_writer *w,
    struct json_value channel, struct json_value subs)
{
	struct channel_position at;
	struct channel_name name;
	enum centrifugo_error bad;
	struct recovery r;
	uint32_t sub, *flags;

	bad = take_channel(c->ch, channel, &name);
	if (bad == C_END_BAD_REQUEST || bad == C_BAD_REQUEST)
		return C_END_INVALID_TOKEN;
	if (bad != C_OK || presence_name_is_user(name.text, name.len))
		return C_UNKNOWN_CHANNEL;
	bad = connect_recovery(c, subs, name.text, &r);
	if (bad != C_OK)
		return bad;
	bad =
	    subscription_begin(c, &name, NULL, SUBSCRIPTION_SERVER, &at, &sub);
	if (bad != C_OK)
		return bad == C_LIMIT_EXCEEDED ? C_END_CHANNEL_LIMIT : bad;
	flags = &c->ch->hub->subscription[sub].flags;
	if (*flags & SUBSCRIPTION_TOLD) /* the token has it twice */
		return C_OK;
	*flags |= SUBSCRIPTION_TOLD;
	r.or_error = false;
	if (at.offset == SUBSCRIPTION_HELD) {
		put_opening(w, &name, &r);
		return C_OK;
	}
	put_name(w, name.text, name.len);
	return put_subscription(c->ch, w, &name, &at, &r, 0);
}

/* Calls f with each of its subscriptions. */
static void
each_subscription(
    const struct command *c, void (*f)(struct chat *ch, uint32_t sub))
{
	struct subscription_walk w = subscription_walk(c->ch->hub, c->conn);
	uint32_t sub;

	while ((sub = subscription_walk_next(c->ch->hub, &w)) != SHM_NONE)
		f(c->ch, sub);
}

/* A subscription that a dead worker had written into a reply which was never
 * sent is to be told again. */
static void
connect_untold(struct chat *ch, uint32_t sub)
{
	ch->hub->subscription[sub].flags &= ~(uint32_t)SUBSCRIPTION_TOLD;
}

/* The channels that the server subscribes it to: its own, and its token's. */
static enum centrifugo_error
put_subs(struct command *c, struct json_writer *w, struct json_value channels,
    struct json_value subs)
{
	struct json_iter iter = json_iter(channels, JSON_ARRAY);
	struct slot *s = command_slot(c);
	enum centrifugo_error bad = C_OK;
	struct channel_position at;
	struct channel_name name;
	struct json_value v;
	struct recovery r;

	each_subscription(c, connect_untold);
	if (connect_own_position(c, &name, &at)) {
		/* also after a takeover: the client did not get what came
		 * meanwhile */
		if (slot_is_entering(s))
			s->offset = at.offset;
		at.offset = s->offset;
		bad = connect_recovery(c, subs, name.text, &r);
		if (bad != C_OK)
			return bad;
		r.or_error = false;
		r.away = !r.wanted && connect_is_owed(c, &name);
		if (at.offset == SLOT_OFFSET_UNKNOWN)
			put_opening(w, &name, &r);
		else {
			put_name(w, name.text, name.len);
			put_subscription(c->ch, w, &name, &at, &r, 0);
		}
		c->told = r.told;
	}
	while (bad == C_OK && json_next_element(&iter, &v))
		bad = put_server_channel(c, w, v, subs);
	return bad;
}

/* Limits of this server, for clients that want to respect them. */
static void
put_limits(struct json_writer *w, const struct conf_live *live)
{
	json_put_name(w, "data");
	json_open(w, '{');
	json_put_name(w, "limits");
	json_open(w, '{');
	json_put_name(w, "message_size");
	json_put_uint(w, live->message_size);
	if (live->message_rate > 0) {
		json_put_name(w, "message_rate");
		json_put_uint(w, live->message_rate);
		json_put_name(w, "message_burst");
		json_put_uint(w, live->message_burst);
	}
	json_put_name(w, "channels");
	json_put_uint(w, live->connection_channels);
	json_put_name(w, "channel_name");
	json_put_uint(w, CONF_CHANNEL_NAME_MAX);
	json_put_name(w, "depth");
	json_put_uint(w, JSON_DEPTH_MAX);
	json_close(w, '}');
	json_close(w, '}');
}

/* Writes the whole connect result. */
static enum centrifugo_error
put_connect(struct command *c, struct json_writer *w,
    const struct claims *claims, struct json_value subs)
{
	const struct conf_live *live = &c->ch->live;
	struct json_value channels;
	enum centrifugo_error bad;
	char client[C_CLIENT_ID];
	size_t before, inside;

	json_member(claims->all, "channels", &channels);
	if (connect_waits(c, channels, subs))
		return C_WAITS;
	client_id(slot_id(c->ch->hub, c->conn), client);
	json_open(w, '{');
	json_put_name(w, "client");
	json_put_string(w, client, C_CLIENT_ID - 1);
	json_put_name(w, "version");
	json_put_string(w, CHATD_VERSION, strlen(CHATD_VERSION));
	put_expiry(c->ch, w, command_slot(c)->expires_ms);
	put_limits(w, live);
	before = w->len;
	json_put_name(w, "subs");
	json_open(w, '{');
	inside = w->len;
	bad = put_subs(c, w, channels, subs);
	if (w->len == inside)
		w->len = before; /* none */
	else
		json_close(w, '}');
	json_put_name(w, "ping");
	json_put_uint(w, (live->ping_ms + 999) / 1000);
	json_put_name(w, "pong");
	json_put_bool(w, true);
	json_close(w, '}');
	return bad;
}

void
command_connect(struct command *c)
{
	static struct claims claims;
	struct json_value v[CONNECT_MEMBERS];
	enum centrifugo_error bad = C_END_BAD_REQUEST;
	struct json_writer *w = NULL;
	const char *ignored;

	(void)members_take(c->ch, MEMBER_CONNECT, c->request, v, &ignored);
	if (take_type(v[CONNECT_TOKEN], JSON_STRING) &&
	    take_type(v[CONNECT_SUBS], JSON_OBJECT) &&
	    take_type(v[CONNECT_NAME], JSON_STRING) &&
	    take_type(v[CONNECT_VERSION], JSON_STRING) &&
	    take_type(v[CONNECT_HEADERS], JSON_OBJECT))
		bad = connect_identify(c, v[CONNECT_TOKEN], &claims);
	if (bad == C_OK)
		bad = connect_enter(c, &claims);
	if (bad == C_OK) {
		w = reply_begin(c, "connect");
		bad = put_connect(c, w, &claims, v[CONNECT_SUBS]);
	}
	if (bad == C_WAITS)
		return;
	archive_done(c->ch);
	if (bad != C_OK) {
		command_slot(c)->flags |= C_UNUSABLE;
		KILL_POINT();
		reply_error(c, bad);
		return;
	}
	channel_tell_connect(c->ch, c->conn);
	each_subscription(c, channel_tell_join);
	channel_tell_own_join(c->ch, c->conn);
	command_slot(c)->ping_ms = (uint32_t)c->ch->now_ms;
	reply_end(c, w);
	if (c->ch->conn[c->conn].phase != CONN_OPEN)
		return;
	if (c->told) /* what it gets from now on says how far its user is */
		command_slot(c)->flags &= ~SLOT_OWED;
	centrifugo_connected(command_slot(c));
}

void
command_refresh(struct command *c)
{
	char user[USER_NAME_MAX + 1], client[C_CLIENT_ID];
	static struct claims claims;
	struct slot *s = command_slot(c);
	struct json_value token;
	enum centrifugo_error bad;
	struct json_writer *w;
	const char *ignored;
	size_t len = user_name(c->ch->hub, s->user, user);

	(void)members_take(c->ch, MEMBER_REFRESH, c->request, &token, &ignored);
	if (token.type != JSON_STRING || token.len == 2) {
		reply_error(c, C_END_BAD_REQUEST);
		return;
	}
	bad = token_read(c, token, TOKEN_CONNECTS, &claims);
	if (bad == C_OK)
		bad = claims_judge(c, MEMBER_CLAIMS, &claims);
	if (bad == C_OK &&
	    (claims.user_len != len || memcmp(claims.user, user, len) != 0))
		bad = token_refuse(c, "sub is another user's");
	if (bad != C_OK) {
		reply_error(c, bad == C_TOKEN_EXPIRED ? C_END_EXPIRED : bad);
		return;
	}
	s->expires_ms = (uint64_t)claims.expires_ms;
	if (claims.info_len > 0)
		info_replace(c->ch, c->conn, &s->info, &claims);
	client_id(slot_id(c->ch->hub, c->conn), client);
	w = reply_begin(c, "refresh");
	json_open(w, '{');
	json_put_name(w, "client");
	json_put_string(w, client, C_CLIENT_ID - 1);
	json_put_name(w, "version");
	json_put_string(w, CHATD_VERSION, strlen(CHATD_VERSION));
	put_expiry(c->ch, w, s->expires_ms);
	json_close(w, '}');
	reply_end(c, w);
}
