/* The tutorial's protocol: a text is said to everybody; lines that begin with
 * a slash are commands. */
#include <string.h>

#include "chat/conn.h"
#include "chat/publish.h"
#include "chat/user.h"
#include "codec/ws.h"
#include "door/door.h"
#include "hub/presence.h"

static const char help[] = "* TEXT: say it to everybody\n"
			   "* /msg USER TEXT: say it to one user only "
			   "(\"quotes\" around a name with spaces)\n"
			   "* /who: who is here\n"
			   "* /help: this\n"
			   "* //TEXT: say a text that begins with a slash";

/* Cuts the first word off a text, in double quotes or not; false if there is
 * none. Exactly one space behind it is dropped. */
static bool
word_cut(const char **text, size_t *len, const char **word, size_t *word_len)
{
	const char *p = *text, *end = p + *len, *stop;
	bool quoted = p < end && *p == '"';

	if (quoted) {
		p++;
		stop = memchr(p, '"', (size_t)(end - p));
		if (stop == NULL)
			return false;
	} else {
		stop = memchr(p, ' ', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
	}
	*word = p;
	*word_len = (size_t)(stop - p);
	if (quoted)
		stop++;
	if (stop < end && *stop != ' ')
		return false;
	if (stop < end)
		stop++;
	*text = stop;
	*len = (size_t)(end - stop);
	return *word_len > 0;
}

/* Publishes a text to the lobby (to NULL) or to a user who must be here. */
static bool
say(struct chat *ch, uint32_t conn, const char *to, size_t to_len,
    const char *text, size_t len, uint64_t position)
{
	struct publishing what = {.conn = conn,
	    .position = position,
	    .format = FORMAT_TEXT,
	    .data = text,
	    .len = len};
	char channel[USER_NAME_MAX + 2] = "#";
	struct publication p;
	uint64_t mask;

	if (to == NULL)
		return publish(ch, "lobby", 5, PUBLISH_KNOWN, &what, &p,
			   &mask) == PUBLISH_OK;
	if (to_len > USER_NAME_MAX)
		return false;
	memcpy(channel + 1, to, to_len);
	return publish(ch, channel, to_len + 1, PUBLISH_ONLINE, &what, &p,
		   &mask) == PUBLISH_OK;
}

/* "/msg bob TEXT". */
static void
command_msg(struct chat *ch, uint32_t conn, const char *args, size_t len,
    uint64_t position)
{
	const char *to;
	size_t to_len;

	if (!word_cut(&args, &len, &to, &to_len) || len == 0)
		conn_tell(ch, conn, position, "* usage: /msg USER TEXT");
	else if (!say(ch, conn, to, to_len, args, len, position))
		conn_tell(ch, conn, position, "* %.*s is not connected",
		    (int)to_len, to);
}

/* Whether the text is this command, alone or with arguments behind it. */
static bool
is_command(const char *name, const char **text, size_t *len)
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
command(struct chat *ch, uint32_t conn, const char *text, size_t len,
    uint64_t position)
{
	const char *space = memchr(text, ' ', len);

	publish_settle(ch); /* answers do not overtake what was said before */
	if (is_command("/msg", &text, &len))
		command_msg(ch, conn, text, len, position);
	else if (is_command("/who", &text, &len))
		conn_tell(ch, conn, position, "* %s", user_list(ch));
	else if (is_command("/help", &text, &len))
		conn_tell(ch, conn, position, "%s", help);
	else {
		if (space != NULL)
			len = (size_t)(space - text);
		conn_tell(ch, conn, position,
		    "* unknown command %.*s, try /help", (int)len, text);
	}
}

/* A message from a client. */
static void
plain_message(struct chat *ch, uint32_t conn, int opcode, const char *data,
    size_t len, uint64_t position)
{
	if (len > 0 && data[0] == '/' && !(len > 1 && data[1] == '/')) {
		command(ch, conn, data, len, position);
		return;
	}
	if (len > 0 && data[0] == '/') {
		data++;
		len--;
	}
	say(ch, conn, NULL, 0, data, len, position);
}

/* "alice says: TEXT" or "alice whispers: TEXT". */
static int
plain_render(struct chat *ch, const struct publication *p, struct iovec *parts)
{
	static const char says[] = " says: ", whispers[] = " whispers: ";
	bool lobby = p->channel == PRESENCE_LOBBY;

	if (p->format != FORMAT_TEXT)
		return 0;
	parts[0] = (struct iovec){(void *)p->user, p->user_len};
	parts[1] = lobby
	    ? (struct iovec){(void *)says, sizeof(says) - 1}
	    : (struct iovec){(void *)whispers, sizeof(whispers) - 1};
	parts[2] = (struct iovec){(void *)p->data, p->data_len};
	return 3;
}

const struct door_ops plain_door = {
    .name = "plain", .message = plain_message, .render = plain_render};
