/* Subscriptions: who may, where they begin, how they end. */
#include <string.h>

#include "room/event.h"
#include "room/opening.h"
#include "centrifugo.h"

bool
recovery_take(const struct json_value *v, struct recovery *out)
{
	bool ignored = false;
	int64_t flag = 0;

	*out = (struct recovery){.epoch = v[SUBSCRIBE_EPOCH]};
	if (!take_bool(v[SUBSCRIBE_RECOVER], &out->wanted) ||
	    !take_offset(v[SUBSCRIBE_OFFSET], &out->offset) ||
	    !take_type(v[SUBSCRIBE_EPOCH], JSON_STRING) ||
	    !take_int(v[SUBSCRIBE_FLAG], &flag) ||
	    !take_bool(v[SUBSCRIBE_POSITIONED], &ignored) ||
	    !take_bool(v[SUBSCRIBE_RECOVERABLE], &ignored) ||
	    !take_bool(v[SUBSCRIBE_JOIN_LEAVE], &ignored) ||
	    !take_type(v[SUBSCRIBE_TOKEN], JSON_STRING))
		return false;
	out->or_error = flag & 2;
	return true;
}

/* Looks up the publications after the client's position, up to the channel's
 * newest. *whole: all of them are kept, and not too many. now: the command
 * cannot wait any more. */
static enum past_result
recovery_find(struct chat *ch, const struct channel_name *name,
    const struct channel_position *at, const struct recovery *r, bool now,
    struct past *found, bool *whole)
{
	const struct past_query q = {.name = name->text,
	    .len = name->len,
	    .rule = name->rule,
	    .at = at,
	    .since = r->offset,
	    .has_since = true,
	    .limit = HISTORY_MAX,
	    .now = now};
	enum past_result result;

	found->n = 0;
	*whole = false;
	if (!json_absent(r->epoch) && r->epoch.len > 2 &&
	    !is_epoch(r->epoch, at->stream))
		return PAST_OK;
	*whole = r->offset == at->offset;
	if (r->offset >= at->offset)
		return PAST_OK;
	result = past_find(ch, &q, found);
	*whole =
	    result == PAST_OK && !found->gone && !found->gap && !found->more;
	return result;
}

/* Writes the publications that were found; false (with nothing written) if one
 * has gone meanwhile or they are more than a reply may hold. */
static bool
put_recovered(struct chat *ch, struct json_writer *w, const struct past *f)
{
	size_t begin = w->len;
	struct publication p;
	uint32_t k;

	if (f->n == 0)
		return true;
	json_put_name(w, "publications");
	json_open(w, '[');
	for (k = 0; k < f->n; k++) {
		if (past_read(ch, f, k, &p))
			put_publication(w, &p);
		else
			w->len = begin;
		if (w->len == begin ||
		    w->len - begin > ch->live.queue_bytes / 2 ||
		    w->len > ch->live.queue_bytes) {
			w->len = begin;
			return false;
		}
	}
	json_close(w, ']');
	return true;
}

static struct past missed;

enum centrifugo_error
recovery_waits(struct chat *ch, const struct channel_name *name,
    const struct channel_position *at, struct recovery *r)
{
	enum past_result result;

	if (!r->wanted || !name->rule->recovery ||
	    !archive_has(ch, at->channel))
		return C_OK;
	result = recovery_find(ch, name, at, r, false, &missed, &r->whole);
	r->found = result == PAST_OK;
	r->at = *at;
	/* what cannot be read now is not recovered: who comes back for it again
	 * and again shall not be kept out of the channel for that */
	return result == PAST_FAILED ? C_OK : past_error(result);
}

/* Whether what was found before is what is missed now, too. */
static bool
recovery_is_found(const struct recovery *r, const struct channel_position *at)
{
	return r->found && r->at.channel == at->channel &&
	    r->at.epoch == at->epoch && r->at.stream == at->stream &&
	    r->at.offset == at->offset;
}

/* Writes what the client has missed; false: it is not all there. */
static bool
put_missed(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct channel_position *at,
    struct recovery *r)
{
	if (!recovery_is_found(r, at))
		(void)recovery_find(ch, name, at, r, true, &missed, &r->whole);
	return r->whole && put_recovered(ch, w, &missed);
}

enum centrifugo_error
put_subscription(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct channel_position *at,
    struct recovery *r, uint64_t expires_ms)
{
	bool recovered = false;

	json_open(w, '{');
	put_expiry(ch, w, expires_ms);
	if (name->rule->recovery) {
		json_put_name(w, "recoverable");
		json_put_bool(w, true);
		put_epoch(w, at->stream);
		if (r->wanted)
			recovered = put_missed(ch, w, name, at, r);
		if (r->wanted && r->or_error && !recovered)
			return C_UNRECOVERABLE;
		if (recovered) {
			json_put_name(w, "recovered");
			json_put_bool(w, true);
		}
		if (at->offset > 0) {
			json_put_name(w, "offset");
			json_put_uint(w, at->offset);
		}
		json_put_name(w, "positioned");
		json_put_bool(w, true);
	}
	if (r->wanted) {
		json_put_name(w, "was_recovering");
		json_put_bool(w, true);
	}
	r->told = recovered || (r->away && put_away(ch, w, at));
	json_close(w, '}');
	return C_OK;
}

/* The error for a subscription that was not made. */
static enum centrifugo_error
subscribe_error(enum channel_result r)
{
	return r == CHANNEL_OK	   ? C_OK
	    : r == CHANNEL_ALREADY ? C_ALREADY_SUBSCRIBED
	    : r == CHANNEL_LIMIT   ? C_LIMIT_EXCEEDED
				   : C_INTERNAL;
}

enum centrifugo_error
subscription_begin(const struct command *c, const struct channel_name *name,
    const struct claims *claims, uint32_t flags, struct channel_position *at,
    uint32_t *sub)
{
	struct subscription terms = {
	    .flags = flags, .key = KEY(c->position, c->ch->answers + 1)};
	enum channel_result r;

	if (name->rule->presence)
		terms.flags |= SUBSCRIPTION_PRESENT;
	if (name->rule->join_leave)
		terms.flags |= SUBSCRIPTION_JOIN_LEAVE;
	if (claims != NULL) {
		terms.expires_ms = (uint64_t)claims->expires_ms;
		terms.info = info_keep(c->ch, c->conn, claims);
	}
	r = channel_subscribe(
	    c->ch, c->conn, name->text, name->len, &terms, at, sub);
	if (r == CHANNEL_OK)
		return C_OK;
	blob_drop(&c->ch->input, terms.info);
	if (r == CHANNEL_ALREADY &&
	    subscription_key(&c->ch->hub->subscription[*sub]) == terms.key)
		return C_OK;
	return r == CHANNEL_COLD ? cold_error(c->ch, at) : subscribe_error(r);
}

bool
is_own(const struct command *c, const struct channel_name *name)
{
	char user[USER_NAME_MAX + 1];
	size_t len = user_name(c->ch->hub, command_slot(c)->user, user);

	return len > 0 && name->len == len + 1 &&
	    presence_name_is_user(name->text, name->len) &&
	    memcmp(name->text + 1, user, len) == 0;
}

bool
is_in(const struct command *c, const struct channel_name *name)
{
	return is_own(c, name) ||
	    channel_subscription(c->ch, c->conn, name->text, name->len) !=
	    SHM_NONE;
}

bool
is_among(const struct command *c, uint8_t whom)
{
	return whom == CONF_WHOM_ALL ||
	    (whom == CONF_WHOM_USERS && command_slot(c)->user != SHM_NONE);
}

/* Whether a token is for this user and channel, and so lets the user
 * subscribe. */
static enum centrifugo_error
token_allows(const struct command *c, const struct channel_name *name,
    struct json_value token, struct claims *claims)
{
	char user[USER_NAME_MAX + 1], channel[PRESENCE_NAME_MAX];
	enum centrifugo_error bad =
	    token_read(c, token, TOKEN_SUBSCRIBES, claims);
	size_t len = user_name(c->ch->hub, command_slot(c)->user, user), n;
	struct json_value v;

	if (bad == C_OK)
		bad = claims_judge(c, MEMBER_SUB_CLAIMS, claims);
	if (bad == C_END_INVALID_TOKEN)
		return C_PERMISSION_DENIED;
	if (bad != C_OK)
		return bad;
	json_member(claims->all, "channel", &v);
	if (!take_string(v, channel, sizeof(channel), &n) || n != name->len ||
	    memcmp(channel, name->text, n) != 0)
		(void)token_refuse(c, "it is not for that channel");
	else if (claims->user_len != len ||
	    memcmp(claims->user, user, len) != 0)
		(void)token_refuse(c, "sub is another user's");
	else
		return C_OK;
	return C_PERMISSION_DENIED;
}

/* Whether the connection may subscribe; *claims is set if a token said so. */
static enum centrifugo_error
may_subscribe(const struct command *c, const struct channel_name *name,
    struct json_value token, struct claims *room, struct claims **claims)
{
	*claims = NULL;
	if (presence_name_is_user(name->text, name->len))
		return is_own(c, name) ? C_ALREADY_SUBSCRIBED
				       : C_PERMISSION_DENIED;
	if (token.type == JSON_STRING && token.len > 2) {
		*claims = room;
		return token_allows(c, name, token, room);
	}
	switch (name->rule->subscribe) {
	case CONF_SUBSCRIBE_ALL:
		return C_OK;
	case CONF_SUBSCRIBE_USERS:
		return command_slot(c)->user != SHM_NONE ? C_OK
							 : C_PERMISSION_DENIED;
	case CONF_SUBSCRIBE_TOKEN:
		return c->ch->live.insecure ? C_OK : C_PERMISSION_DENIED;
	default:
		return C_PERMISSION_DENIED;
	}
}

/* Answers; the subscription is made. Its join is told before: with its answer
 * a command is done. */
static void
subscribe_reply(struct command *c, const struct channel_name *name,
    const struct channel_position *at, struct recovery *r, uint32_t sub)
{
	struct json_writer *w = reply_begin(c, "subscribe");
	enum centrifugo_error bad = put_subscription(
	    c->ch, w, name, at, r, c->ch->hub->subscription[sub].expires_ms);

	archive_done(c->ch);
	if (bad != C_OK) {
		/* its join may have been told, before a takeover */
		channel_finish(c->ch, c->conn, name->text, name->len);
		reply_error(c, bad);
		return;
	}
	channel_tell_join(c->ch, sub);
	reply_end(c, w);
}

/* recovery_waits() of a subscription that is not made yet: once it is, what is
 * published to the channel comes to the client. One that was made before a
 * takeover goes on without what is not in the ring. */
static enum centrifugo_error
subscribe_waits(const struct command *c, const struct channel_name *name,
    struct recovery *r)
{
	struct channel_position at;

	if (!r->wanted || c->ch->hub->readers == 0 ||
	    channel_subscription(c->ch, c->conn, name->text, name->len) !=
		SHM_NONE ||
	    channel_find(c->ch, name->text, name->len, false, &at) !=
		CHANNEL_OK)
		return C_OK;
	return recovery_waits(c->ch, name, &at, r);
}

void
command_subscribe(struct command *c)
{
	static struct claims room;
	struct claims *claims;
	struct json_value v[SUBSCRIBE_MEMBERS];
	struct channel_position at;
	struct channel_name name;
	struct recovery r;
	enum centrifugo_error bad = take_request(c, MEMBER_SUBSCRIBE, v, &name);
	uint32_t sub;

	if (!recovery_take(v, &r))
		bad = C_END_BAD_REQUEST;
	if (bad == C_OK)
		bad =
		    may_subscribe(c, &name, v[SUBSCRIBE_TOKEN], &room, &claims);
	if (bad == C_OK)
		bad = subscribe_waits(c, &name, &r);
	if (bad == C_OK)
		bad = subscription_begin(c, &name, claims, 0, &at, &sub);
	if (bad == C_OK) {
		subscribe_reply(c, &name, &at, &r, sub);
		return;
	}
	if (bad == C_WAITS)
		return;
	archive_done(c->ch);
	/* with these the connection ends, or there is no such channel */
	if (bad < C_END_SHUTDOWN && name.rule != NULL)
		channel_undo(c->ch, c->conn, name.text, name.len,
		    KEY(c->position, c->ch->answers + 1));
	reply_error(c, bad);
}

void
command_unsubscribe(struct command *c)
{
	struct json_value v[CHANNEL_MEMBERS];
	struct channel_name name;
	enum centrifugo_error bad =
	    take_request(c, MEMBER_UNSUBSCRIBE, v, &name);

	if (bad == C_OK || bad == C_UNKNOWN_CHANNEL) {
		channel_finish(c->ch, c->conn, name.text, name.len);
		reply_empty(c, "unsubscribe");
	} else
		reply_error(c, bad);
}

void
command_sub_refresh(struct command *c)
{
	static struct claims claims;
	struct json_value v[REFRESH_MEMBERS], token;
	struct channel_name name;
	enum centrifugo_error bad =
	    take_request(c, MEMBER_SUB_REFRESH, v, &name);
	struct subscription *s;
	struct json_writer *w;
	uint32_t sub;

	token = v[REFRESH_TOKEN];
	if (!take_type(token, JSON_STRING))
		bad = C_END_BAD_REQUEST;
	if (bad != C_OK) {
		reply_error(c, bad);
		return;
	}
	sub = channel_subscription(c->ch, c->conn, name.text, name.len);
	if (sub == SHM_NONE)
		bad = C_PERMISSION_DENIED;
	else if (json_absent(token) || token.len == 2)
		bad = C_BAD_REQUEST;
	else
		bad = token_allows(c, &name, token, &claims);
	if (bad != C_OK) {
		reply_error(c, bad);
		return;
	}
	s = &c->ch->hub->subscription[sub];
	s->expires_ms = (uint64_t)claims.expires_ms;
	if (claims.info_len > 0)
		command_slot(c)->flags |= SLOT_SUB_INFO;
	info_replace(c->ch, c->conn, &s->info, &claims);
	w = reply_begin(c, "sub_refresh");
	json_open(w, '{');
	put_expiry(c->ch, w, s->expires_ms);
	json_close(w, '}');
	reply_end(c, w);
}

/* Tells its client of a subscription's end, and why. */
static void
push_unsubscribe(struct chat *ch, uint32_t conn, const char *name, size_t len,
    int code, const char *why)
{
	struct json_writer *w = push_begin(name, len);

	json_put_name(w, "unsubscribe");
	json_open(w, '{');
	json_put_name(w, "code");
	json_put_int(w, code);
	json_put_name(w, "reason");
	json_put_string(w, why, strlen(why));
	json_close(w, '}');
	push_send(ch, conn, w);
}

/* Ends a subscription of ours and says why. Its record goes last: a worker that
 * dies before leaves it to the next one's sweep. */
static void
subscription_revoke(
    struct chat *ch, uint32_t conn, uint32_t sub, int code, const char *why)
{
	struct subscription *s = &ch->hub->subscription[sub];
	char name[PRESENCE_NAME_MAX + 1];
	size_t len = channel_name(ch->hub, subscription_channel(s), name);

	if (len == 0)
		return;
	channel_revoke(ch, sub);
	if (!(s->flags & SUBSCRIPTION_TOLD))
		push_unsubscribe(ch, conn, name, len, code, why);
	if (ch->conn[conn].phase == CONN_OPEN)
		channel_unsubscribe(ch, conn, name, len);
}

void
subscriptions_sweep(struct chat *ch, uint32_t conn)
{
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	const struct subscription *s;
	uint32_t sub;

	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE) {
		s = &ch->hub->subscription[sub];
		if (s->expires_ms != 0 &&
		    ch->wall_ms >= (int64_t)s->expires_ms + C_EXPIRED_DELAY_MS)
			subscription_revoke(
			    ch, conn, sub, 2501, "subscription expired");
		else if (s->flags & SUBSCRIPTION_TOLD &&
		    s->flags & SUBSCRIPTION_REVOKED)
			subscription_revoke(ch, conn, sub, 2500, "");
		else if (s->flags & SUBSCRIPTION_SERVER &&
		    SHM_OWN(s->offset) == SUBSCRIPTION_HELD &&
		    opening_is_lost(ch, subscription_channel(s)))
			centrifugo_end(ch, conn, C_END_INSUFFICIENT);
		if (ch->conn[conn].phase != CONN_OPEN)
			return;
	}
}

void
centrifugo_drained(struct chat *ch, uint32_t conn)
{
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	struct slot *s = conn_slot(ch, conn);
	uint32_t sub, flags;

	if (s->skipped == 0)
		return;
	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE) {
		flags = ch->hub->subscription[sub].flags;
		if (!(flags & SUBSCRIPTION_GAP))
			continue;
		if (flags & SUBSCRIPTION_SERVER) {
			centrifugo_end(ch, conn, C_END_INSUFFICIENT);
			return;
		}
		subscription_revoke(ch, conn, sub, 2500, "insufficient state");
		if (ch->conn[conn].phase != CONN_OPEN)
			return;
	}
	/* not before: a worker that dies on the way is not the last to look */
	s->skipped = 0;
	/* SLOT_GAP: the user's own channel, which has no record */
	if (s->flags & SLOT_GAP)
		centrifugo_end(ch, conn, C_END_INSUFFICIENT);
}
