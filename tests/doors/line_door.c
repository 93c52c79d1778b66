/* line: a door of a test build in a framing of its own: lines over TCP, without
 * HTTP. The first line is the user's name, each other one is said in the lobby.
 */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "conn/conn.h"
#include "room/event.h"
#include "room/publish.h"
#include "room/user.h"

/* What is known of an unfinished line. */
struct lines_state {
	uint64_t bytes;
	utf8_state utf8;
	uint16_t error, begun;
};

/* Takes bytes up to a line's end. */
static enum framing_event
lines_decode(void *state, uint64_t limit, const uint8_t *in, size_t len,
    size_t *used, uint8_t *out, size_t *out_len)
{
	struct lines_state *s = state;
	const uint8_t *end = memchr(in, '\n', len);
	size_t n = end != NULL ? (size_t)(end - in) : len;

	*used = end != NULL ? n + 1 : n;
	*out_len = n;
	memcpy(out, in, n);
	s->bytes = s->begun ? s->bytes + n : n;
	s->begun = 1;
	if (s->bytes > limit)
		s->error = CLOSE_TOO_BIG;
	else if (!utf8_feed(&s->utf8, in, n) || (end != NULL && s->utf8 != 0))
		s->error = CLOSE_BAD_DATA;
	if (s->error != CLOSE_NONE)
		return FRAMING_EVENT_ERROR;
	s->begun = end == NULL;
	return end != NULL ? FRAMING_EVENT_MESSAGE : FRAMING_EVENT_DATA;
}

static bool
lines_idle(const void *state)
{
	return !((const struct lines_state *)state)->begun;
}

static void
lines_said(const void *state, struct framing_said *said)
{
	said->kind = FRAMING_TEXT;
	said->code = ((const struct lines_state *)state)->error;
}

/* A line has only an end, and nothing but text is told in lines. */
static int
lines_wrap(struct framing_ends *ends, enum framing_kind kind,
    struct iovec *parts, int n)
{
	ends->tail[0] = '\n';
	parts[0] = (struct iovec){ends->head, 0};
	parts[n + 1] = (struct iovec){ends->tail, 1};
	return kind == FRAMING_TEXT ? n + 2 : 0;
}

static size_t
lines_close(uint8_t out[FRAMING_CLOSE_MAX], uint16_t code, const char *reason)
{
	return (size_t)snprintf((char *)out, FRAMING_CLOSE_MAX,
	    "* closed %u %.90s\n", code, reason);
}

const struct framing lines_framing = {.name = "lines",
    .state_bytes = sizeof(struct lines_state),
    .decode = lines_decode,
    .idle = lines_idle,
    .said = lines_said,
    .wrap = lines_wrap,
    .close = lines_close};

/* Enters a user; again after a takeover, as far as that was not done. */
static void
line_name(struct chat *ch, uint32_t i, const char *name, size_t len)
{
	uint32_t user = SHM_NONE;

	if (!ch->live.insecure || name_check_unproved(name, len) != NULL)
		return conn_end(ch, i, CLOSE_POLICY, REASON_PROTOCOL);
	if (!ch->conn[i].present) {
		user = user_enter(ch, i, name, len);
		if (user == SHM_NONE)
			return conn_end(ch, i, CLOSE_TRY_LATER, REASON_BUSY);
		user_list_add(ch, i, user);
	}
	channel_tell_lobby_join(ch, i);
	channel_tell_own_join(ch, i);
}

/* A line: the one behind which the slot says that the name stands, or a text.
 */
static void
line_message(struct chat *ch, uint32_t i, int kind, const char *data,
    size_t len, uint64_t position)
{
	const struct publishing what = {
	    .conn = i, .format = FORMAT_TEXT, .data = data, .len = len};
	struct slot *s = conn_slot(ch, i);
	enum publish_result r = PUBLISH_OK;
	enum hold_outcome outcome;
	struct publication p;
	uint64_t mask;

	if (!ch->conn[i].present)
		SHM_STORE(s->left, (uint32_t)position);
	if (SHM_OWN(s->left) == (uint32_t)position) {
		line_name(ch, i, data, len);
		return;
	}
	if (ch->done_commands == 0) /* else it has waited for its result */
		r = publish(ch, "lobby", 5, PUBLISH_MAKE, &what, &p, &mask);
	if (r == PUBLISH_COLD && hold_channel(ch, p.channel, p.epoch))
		return;
	outcome = r == PUBLISH_OK ? hold_accepted(ch, i) : HOLD_TEMPORARY;
	if (outcome == HOLD_WAITS)
		return;
	if (outcome != HOLD_DONE)
		conn_tell(ch, i, position, "* not said");
	hold_answered(ch, i);
}

/* "alice says: TEXT"; line breaks of other doors become blanks. */
static int
line_render(struct chat *ch, const struct publication *p, struct iovec *parts)
{
	static char shown[NAME_SHOWN_MAX], text[1 << 16];
	bool lobby = p->channel == PRESENCE_LOBBY;
	const char *does = lobby ? " says: " : " whispers: ";
	size_t n = p->data_len < sizeof(text) ? p->data_len : sizeof(text);

	if (publication_is_event(p))
		return 0;
	memcpy(text, p->data, n);
	for (char *at = text; (at = memchr(at, '\n', text + n - at)) != NULL;)
		*at = ' ';
	parts[0] =
	    (struct iovec){shown, name_show(p->user, p->user_len, shown)};
	parts[1] = (struct iovec){(void *)does, strlen(does)};
	parts[2] = (struct iovec){text, n};
	return 3;
}

const struct door line_door = {.name = "line",
    .id = 7,
    .framing = "lines",
    .greeting = "* your name?",
    .lobby = true,
    .one_command = true,
    .message = line_message,
    .render = line_render};
