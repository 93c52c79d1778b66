/* plain: the tutorial's protocol. A text goes to all connections of the lobby;
 * lines that begin with a slash are commands. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/json.h"
#include "room/away.h"
#include "plain.h"

/* Of the names that /who tells. Larger: an answer fills a small queue; smaller:
 * fewer long names are told. */
enum { WHO_BYTES = 16 * 1024 };

static const char help[] =
    "* TEXT: say it to everybody in the lobby\n"
    "* /msg USER TEXT: say it to one user only "
    "(\"quotes\" around a name with spaces)\n"
    "* /who: who is here\n"
    "* /join ROOM, /leave ROOM, /rooms: rooms, and those that you are in\n"
    "* /to ROOM TEXT: say it in a room\n"
    "* /history ROOM [N [BEFORE]]: what was said last in a room, or to you in "
    "#YOU; before an offset\n"
    "* /help: this\n"
    "* //TEXT: say a text that begins with a slash";

void
plain_cold(struct chat *ch, uint32_t conn, uint64_t position,
    const struct channel_position *at)
{
	if (!hold_channel(ch, at->channel, at->epoch))
		conn_tell(ch, conn, position, "* busy, try again");
}

void
plain_accepted(struct chat *ch, uint32_t conn, uint64_t position)
{
	switch (hold_accepted(ch, conn)) {
	case HOLD_WAITS:
		return;
	case HOLD_TEMPORARY:
		conn_tell(ch, conn, position, "* busy, try again");
		break;
	case HOLD_UNKNOWN:
		conn_tell(ch, conn, position, "* outcome unknown");
		break;
	default:
		break;
	}
	hold_answered(ch, conn);
}

bool
plain_published(struct chat *ch, uint32_t conn, uint64_t position,
    enum publish_result r, const struct publication *p)
{
	switch (r) {
	case PUBLISH_OK:
		if (p->flags & PUBLICATION_WAITS)
			plain_accepted(ch, conn, position);
		return true;
	case PUBLISH_COLD:
		plain_cold(ch, conn, position,
		    &(struct channel_position){
			.channel = p->channel, .epoch = p->epoch});
		return true;
	case PUBLISH_BUSY:
		conn_tell(ch, conn, position, "* busy, try again");
		return true;
	default:
		return false;
	}
}

/* Publishes a text to a user who must be here, or be known if it is kept for
 * who is away; false: there is none. */
static bool
plain_whisper(struct chat *ch, uint32_t conn, const char *to, size_t to_len,
    const char *text, size_t len, uint64_t position)
{
	const struct publishing what = {
	    .conn = conn, .format = FORMAT_TEXT, .data = text, .len = len};
	char channel[USER_NAME_MAX + 2] = "#";
	enum publish_to whom = PUBLISH_ONLINE;
	struct publication p;
	uint64_t mask;

	if (to_len > USER_NAME_MAX)
		return false; /* no user has such a name */
	memcpy(channel + 1, to, to_len);
	if (away_is_kept(ch, channel, to_len + 1))
		whom = PUBLISH_KNOWN;
	return plain_published(ch, conn, position,
	    publish(ch, channel, to_len + 1, whom, &what, &p, &mask), &p);
}

/* "/msg bob TEXT". */
static void
plain_msg(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	char to[NAME_WORD_MAX];
	size_t to_len;

	if (ch->live.private == CONF_WHOM_NONE)
		conn_tell(
		    ch, conn, position, "* no private messages are sent here");
	else if (!name_take(&args, &len, to, &to_len) || len == 0)
		conn_tell(ch, conn, position, "* usage: /msg USER TEXT");
	else if (!plain_whisper(ch, conn, to, to_len, args, len, position))
		conn_tell(ch, conn, position, "* %s is not connected",
		    plain_name(to, to_len));
}

/* "/who": "* 2 users: alice, bob". */
static void
plain_who(struct chat *ch, uint32_t conn, uint64_t position)
{
	static char text[WHO_BYTES + NAME_SHOWN_MAX + 64];
	size_t n, users = user_first(ch, &n), k, at;
	const struct user_name *name;

	if (ch->live.who == CONF_WHOM_NONE) {
		conn_tell(ch, conn, position, "* who is here is not told");
		return;
	}
	at = (size_t)snprintf(
	    text, sizeof(text), "* %zu user%s", users, users == 1 ? "" : "s");
	for (k = 0; k < n && at < WHO_BYTES; k++) {
		name = user_nth(k);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
		    k == 0 ? ": " : ", ", plain_name(name->text, name->len));
	}
	if (users > k)
		snprintf(
		    text + at, sizeof(text) - at, ", and %zu more", users - k);
	conn_tell(ch, conn, position, "%s", text);
}

/* Whether the text is this command, alone or with arguments behind it. */
static bool
plain_is_command(const char *name, const char **text, size_t *len)
{
	size_t n = strlen(name);

	if (*len < n || memcmp(*text, name, n) != 0 ||
	    (*len > n && (*text)[n] != ' '))
		return false;
	if (*len > n)
		n++;
	*text += n;
	*len -= n;
	return true;
}

/* A line that begins with one slash. */
static void
plain_command(struct chat *ch, uint32_t conn, const char *text, size_t len,
    uint64_t position)
{
	const char *space = memchr(text, ' ', len);

	deliver_settle(ch); /* messages that were said before the command come
			     * before its answer */
	if (ch->conn[conn].phase != CONN_OPEN)
		return; /* it reads too slowly: it has left its rooms */
	if (plain_is_command("/msg", &text, &len))
		plain_msg(ch, conn, text, len, position);
	else if (plain_is_command("/who", &text, &len))
		plain_who(ch, conn, position);
	else if (plain_is_command("/join", &text, &len))
		plain_join(ch, conn, text, len, position);
	else if (plain_is_command("/leave", &text, &len))
		plain_leave(ch, conn, text, len, position);
	else if (plain_is_command("/rooms", &text, &len))
		plain_rooms(ch, conn, position);
	else if (plain_is_command("/to", &text, &len))
		plain_to(ch, conn, text, len, position);
	else if (plain_is_command("/history", &text, &len))
		plain_history(ch, conn, text, len, position);
	else if (plain_is_command("/help", &text, &len))
		conn_tell(ch, conn, position, "%s", help);
	else {
		if (space != NULL)
			len = (size_t)(space - text);
		conn_tell(ch, conn, position, "* unknown command %s, try /help",
		    plain_name(text, len));
	}
}

/* A message from a client. */
static void
plain_message(struct chat *ch, uint32_t conn, int kind, const char *data,
    size_t len, uint64_t position)
{
	struct room_answer bad;

	if (ch->done_commands > 0) {
		plain_accepted(ch, conn, position);
		return;
	}
	if (len > 0 && data[0] == '/' && !(len > 1 && data[1] == '/')) {
		plain_command(ch, conn, data, len, position);
		return;
	}
	if (len > 0 && data[0] == '/') {
		data++;
		len--;
	}
	bad = plain_say(ch, conn, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN, data,
	    len, position);
	plain_tell_room(
	    ch, conn, position, bad, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN);
}

/* "alice says: TEXT", "[room] alice says: TEXT" or "alice whispers: TEXT". It
 * is a message of its own, so line breaks in its text forge no other line. */
static int
plain_render(struct chat *ch, const struct publication *p, struct iovec *parts)
{
	static const char says[] = " says: ", whispers[] = " whispers: ";
	static char room[NAME_SHOWN_MAX + 3];
	char name[PRESENCE_NAME_MAX + 1];
	bool lobby = p->channel == PRESENCE_LOBBY;
	size_t len = 0;

	if (publication_is_event(p))
		return 0;
	if (!lobby)
		len = channel_name(ch->hub, p->channel, name);
	parts[0] = (struct iovec){room, 0};
	if (len > 0 && !presence_name_is_user(name, len)) {
		room[0] = '[';
		len = name_show(name, len, room + 1);
		memcpy(room + 1 + len, "] ", 2);
		parts[0].iov_len = len + 3;
	}
	parts[1] = plain_user(p);
	parts[2] = lobby || parts[0].iov_len > 0
	    ? (struct iovec){(void *)says, sizeof(says) - 1}
	    : (struct iovec){(void *)whispers, sizeof(whispers) - 1};
	parts[3] = plain_text(p);
	return 4;
}

/* Its subprotocol, if the client offers that, and who it is. */
static const char *
plain_open(const struct http_request *r, struct route *out)
{
	if (http_offers(r, "chatd.plain"))
		out->protocol = "chatd.plain";
	return route_names(r, "user is missing: connect to /ws?user=NAME", out);
}

/* What the line says of older ones: also where they can be read, if they are
 * kept for that. */
static void
plain_left_out(struct chat *ch, uint32_t conn, char *out, size_t size)
{
	static const char left[] = ", older ones are left out";
	char own[PRESENCE_NAME_MAX + 1];
	size_t len = channel_name(ch->hub, conn_slot(ch, conn)->user, own);
	const struct conf_channel *rule =
	    conf_channel_find(&ch->live, own, len);
	bool kept = rule != NULL && rule->history > 0;

	snprintf(out, size, "%s%s%s", left, kept ? ": /history " : "",
	    kept ? plain_name(own, len) : "");
}

/* What came while its user was away, or that it cannot be told now. */
static void
plain_away(struct chat *ch, uint32_t conn, const struct door_away *what,
    const struct publication *p)
{
	struct iovec parts[DOOR_PARTS];
	const time_t at = (time_t)(what->since_ms / 1000);
	char since[64] = "?", left[NAME_SHOWN_MAX + 64] = "";
	struct tm utc;

	if (p != NULL) {
		conn_answer(ch, conn, FRAMING_TEXT, parts,
		    plain_render(ch, p, parts), 0);
		return;
	}
	if (what->n == 0) {
		conn_tell(ch, conn, 0,
		    "* messages from while you were away cannot be told now");
		return;
	}
	if (gmtime_r(&at, &utc) != NULL)
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M UTC", &utc);
	if (what->more)
		plain_left_out(ch, conn, left, sizeof(left));
	conn_tell(ch, conn, 0, "* %u message%s since %s%s", what->n,
	    what->n == 1 ? "" : "s", since, left);
}

static const struct door_route plain_routes[] = {
    {.path = "/ws", .allow = DOOR_READS, .named = true, .open = plain_open},
    {.path = NULL}};

const struct door plain_door = {.name = "plain",
    .id = 1,
    .lobby = true,
    .idles = true,
    .one_command = true,
    .routes = plain_routes,
    .message = plain_message,
    .render = plain_render,
    .away = plain_away,
    .drained = plain_drained};
