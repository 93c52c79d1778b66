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
question_take(const struct json_value *v, struct question *out)
{
	static const char *const since[] = {"offset", "epoch"};
	struct json_value s[2];

	*out = (struct question){0};
	if (!take_int(v[HISTORY_LIMIT], &out->limit) ||
	    !take_type(v[HISTORY_SINCE], JSON_OBJECT) ||
	    !take_bool(v[HISTORY_REVERSE], &out->reverse))
		return false;
	out->has_since = !json_absent(v[HISTORY_SINCE]);
	json_members(v[HISTORY_SINCE], since, 2, s);
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

/* Writes the publications that were found, up to half of `queue` in bytes. */
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
    const struct channel_name *name, const struct json_value *value)
{
	static struct history found;
	struct channel_position at;
	struct history_query q;
	struct question ask;
	enum channel_result r;

	if (!question_take(value, &ask))
		return C_END_BAD_REQUEST;
	r = channel_find(ch, name->text, name->len, true, &at);
	if (r != CHANNEL_OK)
		return r == CHANNEL_COLD ? cold_error(ch, &at) : C_INTERNAL;
	if (ask.has_since && ask.epoch.len > 2 &&
	    !is_epoch(ask.epoch, at.stream))
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
	put_epoch(w, at.stream);
	json_put_name(w, "offset");
	json_put_uint(w, at.offset);
	json_close(w, '}');
	return C_OK;
}

enum centrifugo_error
may_look(const struct command *c, const struct channel_name *name)
{
	return c->ch->live.insecure || is_in(c, name) ? C_OK
						      : C_PERMISSION_DENIED;
}

void
command_history(struct command *c)
{
	struct json_value v[HISTORY_MEMBERS];
	struct channel_name name;
	enum centrifugo_error bad = take_request(c, MEMBER_HISTORY, v, &name);
	struct json_writer *w;

	if (bad == C_OK && name.rule->history == 0)
		bad = C_NOT_AVAILABLE;
	if (bad == C_OK)
		bad = may_look(c, &name);
	if (bad == C_OK) {
		w = reply_begin(c, "history");
		bad = put_history(c->ch, w, &name, v);
	}
	if (bad == C_OK)
		reply_end(c, w);
	else
		reply_error(c, bad);
}
