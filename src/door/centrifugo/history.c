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

/* Writes the publications that were found, up to half of `queue` in bytes. */
static void
put_found(struct chat *ch, struct json_writer *w, const struct past *found)
{
	size_t begin = w->len, before;
	struct publication p;
	uint32_t k;

	json_put_name(w, "publications");
	json_open(w, '[');
	for (k = 0; k < found->n; k++) {
		before = w->len;
		if (!past_read(ch, found, k, &p))
			continue;
		put_publication(w, &p);
		if (k > 0 && w->len - begin > ch->live.queue_bytes / 2) {
			w->len = before;
			break;
		}
	}
	json_close(w, ']');
}

enum centrifugo_error
past_error(enum past_result r)
{
	return r == PAST_OK ? C_OK : r == PAST_WAITS ? C_WAITS : C_INTERNAL;
}

/* Finds what is asked for. */
static enum centrifugo_error
question_answer(struct chat *ch, const struct channel_name *name,
    const struct question *ask, const struct channel_position *at,
    struct past *found)
{
	const struct past_query q = {.name = name->text,
	    .len = name->len,
	    .rule = name->rule,
	    .at = at,
	    .since = ask->offset,
	    .has_since = ask->has_since,
	    .reverse = ask->reverse,
	    .limit = ask->limit < 0 || ask->limit > HISTORY_MAX
		? HISTORY_MAX
		: (uint32_t)ask->limit};
	enum centrifugo_error bad;

	if (ask->has_since && ask->epoch.len > 2 &&
	    !is_epoch(ask->epoch, at->stream))
		return C_UNRECOVERABLE;
	bad = past_error(past_find(ch, &q, found));
	return bad == C_OK && found->gone ? C_UNRECOVERABLE : bad;
}

enum centrifugo_error
put_history(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct json_value *value)
{
	static struct past found;
	struct channel_position at;
	enum centrifugo_error bad;
	struct question ask;
	enum channel_result r;

	if (!question_take(value, &ask))
		return C_END_BAD_REQUEST;
	r = channel_find(ch, name->text, name->len, true, &at);
	if (r != CHANNEL_OK)
		return r == CHANNEL_COLD ? cold_error(ch, &at) : C_INTERNAL;
	bad = question_answer(ch, name, &ask, &at, &found);
	if (bad == C_OK) {
		json_open(w, '{');
		put_found(ch, w, &found);
	}
	if (bad != C_WAITS)
		archive_done(ch);
	if (bad != C_OK)
		return bad;
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

/* A client that loads what its user's own channel keeps, which connect did not
 * tell, has all from now on. */
static void
history_told(const struct command *c, const struct channel_name *name,
    struct json_value limit)
{
	int64_t n = 0;

	if (c->ch->conn[c->conn].phase == CONN_OPEN && is_own(c, name) &&
	    take_int(limit, &n) && n != 0)
		command_slot(c)->flags &= ~SLOT_OWED;
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
	if (bad == C_OK) {
		reply_end(c, w);
		history_told(c, &name, v[HISTORY_LIMIT]);
	} else
		reply_error(c, bad);
}
