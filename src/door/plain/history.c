/* "/history ROOM [N [BEFORE]]" at the plain door: the newest messages that a
 * room keeps, or the user's own channel, or those before an offset. */
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "room/past.h"
#include "plain.h"

enum { HISTORY_LINES = 10, HISTORY_LINES_MAX = HISTORY_MAX };

/* What is asked for. */
struct history_ask {
	const char *room; /* as it is shown */
	uint32_t n;
	uint64_t before; /* an offset; 0: the newest */
};

/* Takes a number off the front, and a blank if that follows; false: there is
 * none. */
static bool
history_number(const char **args, size_t *len, uint64_t *out)
{
	uint64_t n = 0;

	for (; *len > 0 && **args >= '0' && **args <= '9'; ++*args, --*len) {
		if (n > INT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (uint64_t)(**args - '0');
	}
	*out = n;
	if (*len > 1 && **args == ' ') {
		++*args;
		--*len;
		return n > 0;
	}
	return n > 0 && *len == 0;
}

/* Takes N, 1 to HISTORY_LINES_MAX, and BEFORE; false if it is something else.
 */
static bool
history_take(const char *args, size_t len, struct history_ask *out)
{
	uint64_t n = HISTORY_LINES;

	out->before = 0;
	if ((len > 0 && !history_number(&args, &len, &n)) ||
	    (len > 0 && !history_number(&args, &len, &out->before)) || len > 0)
		return false;
	out->n = n < HISTORY_LINES_MAX ? (uint32_t)n : HISTORY_LINES_MAX;
	return true;
}

/* Writes the nth publication as a line; room as it stands in one. */
static void
history_put_line(struct chat *ch, struct json_writer *w,
    const struct past *found, uint32_t nth, const char *room)
{
	struct publication p;
	struct iovec text, user;

	if (!past_read(ch, found, nth, &p))
		return;
	text = plain_text(&p);
	user = plain_user(&p);
	json_put(w, "\n* [", 4);
	json_put(w, room, strlen(room));
	json_put(w, "] ", 2);
	json_put(w, user.iov_base, user.iov_len);
	json_put(w, " says: ", 7);
	plain_put_text(w, text.iov_base, text.iov_len);
}

/* Writes what the answer begins with: how to ask for those before the last n,
 * which it has not, if there are any. */
static void
history_put_head(struct chat *ch, struct json_writer *w,
    const struct past *found, uint32_t n, const struct history_ask *ask)
{
	struct publication p;
	char older[64];
	uint32_t k = n;

	json_put(w, "* history of ", 13);
	json_put(w, ask->room, strlen(ask->room));
	if (n == found->n && !found->more)
		return;
	while (k > 0 && !past_read(ch, found, k - 1, &p))
		k--;
	if (k == 0)
		return; /* all have been erased meanwhile */
	json_put(w, ", older ones: /history ", 23);
	json_put(w, ask->room, strlen(ask->room));
	json_put(w, older,
	    (size_t)snprintf(older, sizeof(older), " %u %llu", ask->n,
		(unsigned long long)p.offset));
}

/* One that alone is more than an answer may be is left out. */
static void
history_too_long(struct chat *ch, uint32_t conn, uint64_t position,
    const struct past *found, const struct history_ask *ask)
{
	struct publication p;

	if (past_read(ch, found, 0, &p))
		conn_tell(ch, conn, position,
		    "* too long, older ones: /history %s %u %llu", ask->room,
		    ask->n, (unsigned long long)p.offset);
	else
		conn_tell(ch, conn, position, "* too long");
}

/* Answers with the messages that were found, oldest first, the newest of them
 * up to half of `queue` in bytes. */
static void
history_answer(struct chat *ch, uint32_t conn, uint64_t position,
    const struct past *found, const struct history_ask *ask)
{
	struct json_writer w;
	uint32_t k, n = found->n;

	json_writer_init_growing(&w, ch->live.queue_bytes / 2 + 4096);
	for (;; n /= 2) { /* the newest are worth most */
		json_writer_reset(&w);
		history_put_head(ch, &w, found, n, ask);
		for (k = n; k > 0 && !json_writer_failed(&w); k--)
			history_put_line(ch, &w, found, k - 1, ask->room);
		if (!json_writer_failed(&w) || n == 1)
			break;
	}
	if (json_writer_failed(&w))
		history_too_long(ch, conn, position, found, ask);
	else
		conn_answer(ch, conn, FRAMING_TEXT,
		    &(struct iovec){w.buf, w.len}, 1, position);
	json_writer_deinit(&w);
}

/* Answers with a page of a room that is open, once its rows are there. */
static void
history_answer_page(struct chat *ch, uint32_t conn, uint64_t position,
    const struct past_query *q, const struct history_ask *ask)
{
	static struct past found;

	switch (past_find(ch, q, &found)) {
	case PAST_WAITS:
		return;
	case PAST_FAILED:
	case PAST_LATE:
		archive_done(ch);
		conn_tell(ch, conn, position, "* busy, try again");
		return;
	case PAST_OK:
		break;
	}
	if (found.n == 0)
		conn_tell(ch, conn, position, "* nothing %swas said in %s",
		    ask->before != 0 ? "older " : "", ask->room);
	else
		history_answer(ch, conn, position, &found, ask);
	archive_done(ch);
}

/* The rule of a channel whose history a connection may read: of a room, or of
 * its user's own channel; NULL: none. */
static const struct conf_channel *
history_rule(struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	char own[PRESENCE_NAME_MAX + 1];

	if (!conf_channel_name_ok(name, len))
		return NULL;
	if (presence_name_is_user(name, len) &&
	    (channel_name(ch->hub, conn_slot(ch, conn)->user, own) != len ||
		memcmp(own, name, len) != 0))
		return NULL;
	return conf_channel_find(&ch->live, name, len);
}

void
plain_history(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	const struct conf_channel *rule;
	struct channel_position at;
	enum channel_result r = CHANNEL_ABSENT;
	struct history_ask ask;
	char room[NAME_WORD_MAX];
	size_t room_len;

	if (!name_take(&args, &len, room, &room_len) ||
	    !history_take(args, len, &ask)) {
		conn_tell(ch, conn, position,
		    "* usage: /history ROOM [1 to %d [BEFORE]]",
		    HISTORY_LINES_MAX);
		return;
	}
	ask.room = plain_name(room, room_len);
	rule = history_rule(ch, conn, room, room_len);
	if (rule != NULL && rule->history > 0)
		r = channel_find(ch, room, room_len, false, &at);
	if (r == CHANNEL_COLD)
		plain_cold(ch, conn, position, &at);
	else if (rule == NULL || rule->history == 0)
		conn_tell(
		    ch, conn, position, "* %s keeps no history", ask.room);
	else if (r != CHANNEL_OK)
		conn_tell(
		    ch, conn, position, "* nothing was said in %s", ask.room);
	else
		history_answer_page(ch, conn, position,
		    &(struct past_query){.name = room,
			.len = room_len,
			.rule = rule,
			.at = &at,
			.since = ask.before,
			.has_since = ask.before != 0,
			.reverse = true,
			.limit = ask.n},
		    &ask);
}
