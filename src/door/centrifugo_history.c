/* history: pages of what a channel keeps. */
#include <string.h>

#include "centrifugo.h"

/* What a request asks for. */
struct question {
	int64_t limit;
	bool has_since, reverse;
	uint64_t offset;
	struct json_value epoch;
};

/* Takes the request apart; false: wrong types. */
static bool
question_take(struct json_value request, struct question *out)
{
	static const char *const names[] = {"limit", "since", "reverse"};
	static const char *const since[] = {"offset", "epoch"};
	struct json_value v[3], s[2];

	*out = (struct question){0};
	json_members(request, names, 3, v);
	if (!take_int(v[0], &out->limit) || !take_type(v[1], JSON_OBJECT) ||
	    !take_bool(v[2], &out->reverse))
		return false;
	out->has_since = !json_absent(v[1]);
	json_members(v[1], since, 2, s);
	out->epoch = s[1];
	return take_offset(s[0], &out->offset) && take_type(s[1], JSON_STRING);
}

int64_t
history_oldest(const struct chat *ch, const struct conf_channel *rule)
{
	return rule->history_age_ms == 0
	    ? INT64_MIN
	    : ch->wall_ms - (int64_t)rule->history_age_ms;
}

/* Writes what was found, as much as half of what may wait for a client. */
static void
put_found(struct chat *ch, struct json_writer *w, const struct history *found)
{
	size_t begin = w->len, before;
	uint32_t k;

	json_put_name(w, "publications");
	json_open(w, '[');
	for (k = 0; k < found->n; k++) {
		before = w->len;
		if (!put_position(ch, w, found->position[k]))
			continue;
		if (k > 0 && w->len - begin > ch->live.queue_bytes / 2) {
			w->len = before;
			break;
		}
	}
	json_close(w, ']');
}

enum centrifugo_error
put_history(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, struct json_value request)
{
	static struct history found;
	struct channel_position at;
	struct history_query q;
	struct question ask;

	if (!question_take(request, &ask))
		return C_END_BAD_REQUEST;
	if (channel_find(ch, name->text, name->len, true, &at) != CHANNEL_OK)
		return C_INTERNAL;
	if (ask.has_since && ask.epoch.len > 2 &&
	    !is_epoch(ask.epoch, at.epoch))
		return C_UNRECOVERABLE;
	q = (struct history_query){.channel = at.channel,
	    .epoch = at.epoch,
	    .since = ask.offset,
	    .has_since = ask.has_since,
	    .reverse = ask.reverse,
	    .limit = ask.limit < 0 || ask.limit > HISTORY_MAX
		? HISTORY_MAX
		: (uint32_t)ask.limit,
	    .keep = name->rule->history,
	    .oldest_ms = history_oldest(ch, name->rule),
	    .upto = at.offset};
	found.n = 0;
	found.gone = false;
	/* the channel has gone since it was found: nothing is kept of it */
	if (at.offset > 0 && history_find(ch->hub, &q, &found) < 0)
		found.gone =
		    ask.has_since && !ask.reverse && ask.offset < at.offset;
	if (found.gone && q.limit > 0)
		return C_UNRECOVERABLE;
	json_open(w, '{');
	put_found(ch, w, &found);
	put_epoch(w, at.epoch);
	json_put_name(w, "offset");
	json_put_uint(w, at.offset);
	json_close(w, '}');
	return C_OK;
}

enum centrifugo_error
may_look(const struct command *c, const struct channel_name *name)
{
	uint32_t user = command_slot(c)->user;
	char own[PRESENCE_NAME_MAX + 1];

	if (c->ch->live.insecure ||
	    channel_subscription(c->ch, c->conn, name->text, name->len) !=
		SHM_NONE)
		return C_OK;
	if (name->text[0] == '#' && user != SHM_NONE &&
	    channel_name(c->ch->hub, user, own) == name->len &&
	    memcmp(own, name->text, name->len) == 0)
		return C_OK;
	return C_PERMISSION_DENIED;
}

void
command_history(struct command *c)
{
	struct channel_name name;
	enum centrifugo_error bad = take_channel(c, &name);
	struct json_writer *w;

	if (bad == C_OK && name.rule->history == 0)
		bad = C_NOT_AVAILABLE;
	if (bad == C_OK)
		bad = may_look(c, &name);
	if (bad == C_OK) {
		w = reply_begin(c, "history");
		bad = put_history(c->ch, w, &name, c->request);
	}
	if (bad == C_OK)
		reply_end(c, w);
	else
		reply_error(c, bad);
}
