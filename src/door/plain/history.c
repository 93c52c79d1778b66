/* "/history ROOM [N]" at the plain door: the newest messages that a room
 * keeps, or the user's own channel. */
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "room/past.h"
#include "plain.h"

enum { HISTORY_LINES = 10, HISTORY_LINES_MAX = HISTORY_MAX };

/* Takes N: 1 to HISTORY_LINES_MAX; false if it is something else. */
static bool
history_lines(const char *args, size_t len, uint32_t *out)
{
	uint32_t n = 0;
	size_t k;

	*out = HISTORY_LINES;
	if (len == 0)
		return true;
	for (k = 0; k < len; k++) {
		if (args[k] < '0' || args[k] > '9' || n > HISTORY_LINES_MAX)
			return false;
		n = n * 10 + (uint32_t)(args[k] - '0');
	}
	*out = n < HISTORY_LINES_MAX ? n : HISTORY_LINES_MAX;
	return n > 0;
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

/* Answers with the messages that were found, oldest first, the newest of them
 * up to half of `queue` in bytes. */
static void
history_answer(struct chat *ch, uint32_t conn, uint64_t position,
    const char *room, const struct past *found)
{
	struct json_writer w;
	uint32_t k, first = 0;

	json_writer_init_growing(&w, ch->live.queue_bytes / 2 + 4096);
	do { /* the newest are worth most */
		json_writer_reset(&w);
		json_put(&w, "* history of ", 13);
		json_put(&w, room, strlen(room));
		for (k = found->n - first; k > 0 && !json_writer_failed(&w);
		     k--)
			history_put_line(ch, &w, found, k - 1, room);
		first += (found->n - first + 1) / 2;
	} while (json_writer_failed(&w) && first < found->n);
	if (json_writer_failed(&w))
		conn_tell(ch, conn, position, "* too long");
	else
		conn_answer(ch, conn, FRAMING_TEXT,
		    &(struct iovec){w.buf, w.len}, 1, position);
	json_writer_deinit(&w);
}

/* Answers with the newest n of a room that is open, once they are there. */
static void
history_answer_newest(struct chat *ch, uint32_t conn, uint64_t position,
    const struct past_query *q, const char *room)
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
		conn_tell(ch, conn, position, "* nothing was said in %s", room);
	else
		history_answer(ch, conn, position, room, &found);
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
	char room[NAME_WORD_MAX];
	const char *shown;
	size_t room_len;
	uint32_t n;

	if (!name_take(&args, &len, room, &room_len) ||
	    !history_lines(args, len, &n)) {
		conn_tell(ch, conn, position,
		    "* usage: /history ROOM [1 to %d]", HISTORY_LINES_MAX);
		return;
	}
	shown = plain_name(room, room_len);
	rule = history_rule(ch, conn, room, room_len);
	if (rule != NULL && rule->history > 0)
		r = channel_find(ch, room, room_len, false, &at);
	if (r == CHANNEL_COLD)
		plain_cold(ch, conn, position, &at);
	else if (rule == NULL || rule->history == 0)
		conn_tell(ch, conn, position, "* %s keeps no history", shown);
	else if (r != CHANNEL_OK)
		conn_tell(
		    ch, conn, position, "* nothing was said in %s", shown);
	else
		history_answer_newest(ch, conn, position,
		    &(struct past_query){.name = room,
			.len = room_len,
			.rule = rule,
			.at = &at,
			.reverse = true,
			.limit = n},
		    shown);
}
