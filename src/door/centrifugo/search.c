/* search: messages with certain words, in one channel, or for the server API in
 * all of them. */
#include <string.h>

#include "centrifugo.h"

enum {
	/* Messages of an answer, if nothing is said. */
	SEARCH_LIMIT = 20,
	/* Bytes of the words. Larger: one question costs more; smaller: long
	 * ones are refused. */
	SEARCH_TEXT_MAX = 1024
};

/* Members of the data of rpc search. */
static const char *const search_members[SEARCH_MEMBERS] = {
    "channel", "text", "limit", "offset"};

/* A request that was taken apart. */
struct question {
	char text[SEARCH_TEXT_MAX];
	size_t len;
	int64_t limit;
	uint64_t below; /* only messages with a lower offset; 0: all */
};

/* How many words there are: what lies between blanks. */
static unsigned
search_count(const char *text, size_t len)
{
	bool in = false, blank;
	unsigned n = 0;

	for (size_t k = 0; k < len; k++) {
		blank = memchr(" \t\r\n", text[k], 4) != NULL;
		n += !blank && !in;
		in = !blank;
	}
	return n;
}

/* Takes all but the channel. */
static enum centrifugo_error
search_take(const struct json_value *v, struct question *out)
{
	out->limit = SEARCH_LIMIT;
	out->below = 0;
	if (!take_string(
		v[SEARCH_TEXT], out->text, sizeof(out->text), &out->len) ||
	    !take_int(v[SEARCH_LIMITED], &out->limit) ||
	    !take_offset(v[SEARCH_OFFSET], &out->below))
		return C_END_BAD_REQUEST;
	if (out->len == 0 || out->len == SIZE_MAX || out->limit < 1 ||
	    (out->below != 0 && json_absent(v[SEARCH_CHANNEL])) ||
	    search_count(out->text, out->len) > ASK_WORDS_MAX)
		return C_BAD_REQUEST;
	if (out->limit > ASK_MESSAGES_MAX)
		out->limit = ASK_MESSAGES_MAX;
	return C_OK;
}

/* Writes what was found, up to half of `queue` in bytes. */
static void
put_matches(
    struct chat *ch, struct json_writer *w, const struct archive_rows *rows)
{
	const size_t begin = w->len;
	bool more = rows->more;
	struct publication p;
	size_t at = 0, before;

	json_open(w, '{');
	json_put_name(w, "publications");
	json_open(w, '[');
	while (archive_row(rows, &at, &p)) {
		before = w->len;
		put_match(w, &p);
		if (before > begin + 32 &&
		    w->len - begin > ch->live.queue_bytes / 2) {
			w->len = before;
			more = true;
			break;
		}
	}
	json_close(w, ']');
	if (more) {
		json_put_name(w, "more");
		json_put_bool(w, true);
	}
	json_close(w, '}');
}

/* The error for how asking ended. */
static enum centrifugo_error
search_error(enum archive_result r)
{
	switch (r) {
	case ARCHIVE_ROWS:
		return C_OK;
	case ARCHIVE_WAITS:
		return C_WAITS;
	case ARCHIVE_ABSENT: /* texts are not indexed */
		return C_NOT_AVAILABLE;
	default:
		return C_INTERNAL;
	}
}

/* Asks, and writes what was found; name NULL: in all channels. */
static enum centrifugo_error
put_search(struct chat *ch, struct json_writer *w,
    const struct channel_name *name, const struct question *ask)
{
	const struct archive_query q = {
	    .ask = {.what = ASK_MATCHES,
		.upto = ask->below != 0 ? ask->below - 1 : 0,
		.reverse = 1,
		.limit = (uint32_t)ask->limit,
		.oldest_ms = name != NULL && name->rule->history_age_ms != 0
		    ? past_oldest_ms(ch, name->rule)
		    : 0},
	    .name = name != NULL ? name->text : "",
	    .name_len = name != NULL ? name->len : 0,
	    .text = ask->text,
	    .text_len = ask->len};
	struct archive_rows none = {.n = 0}, rows;
	enum centrifugo_error bad;

	if (!(ch->hub->readers & 1 << READER_STORE))
		return C_NOT_AVAILABLE;
	if (ask->below == 1) { /* nothing has a lower offset */
		put_matches(ch, w, &none);
		return C_OK;
	}
	bad = search_error(archive_ask(ch, &q, &rows));
	if (bad == C_OK)
		put_matches(ch, w, &rows);
	if (bad != C_WAITS)
		archive_done(ch);
	return bad;
}

/* Whether a channel has what can be searched. */
static enum centrifugo_error
search_judge(const struct channel_name *name)
{
	return name->rule->history == 0 || name->rule->store == CONF_STORE_NO
	    ? C_NOT_AVAILABLE
	    : C_OK;
}

enum centrifugo_error
api_search(struct chat *ch, const struct json_value *v, struct json_writer *w)
{
	const bool one = !json_absent(v[SEARCH_CHANNEL]);
	struct channel_name name;
	struct question ask;
	enum centrifugo_error bad = search_take(v, &ask);

	if (bad == C_OK && one)
		bad = take_channel(ch, v[SEARCH_CHANNEL], &name);
	if (bad == C_OK && one)
		bad = search_judge(&name);
	return bad == C_OK ? put_search(ch, w, one ? &name : NULL, &ask) : bad;
}

void
rpc_search(struct command *c, struct json_value request)
{
	struct json_value v[SEARCH_MEMBERS];
	struct channel_name name;
	struct json_writer *w;
	struct question ask;
	enum centrifugo_error bad;

	json_members(request, search_members, SEARCH_MEMBERS, v);
	bad = search_take(v, &ask);
	if (bad == C_OK)
		bad = take_channel(c->ch, v[SEARCH_CHANNEL], &name);
	/* the data is the client's own: what is wrong in it is told */
	if (bad == C_END_BAD_REQUEST)
		bad = C_BAD_REQUEST;
	if (bad == C_OK && !is_in(c, &name))
		bad = C_PERMISSION_DENIED;
	if (bad == C_OK)
		bad = search_judge(&name);
	if (bad == C_OK) {
		w = reply_begin(c, "rpc");
		json_open(w, '{');
		json_put_name(w, "data");
		bad = put_search(c->ch, w, &name, &ask);
		json_close(w, '}');
	}
	if (bad == C_OK)
		reply_end(c, w);
	else
		reply_error(c, bad);
}
