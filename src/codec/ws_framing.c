/* WebSocket frames as a framing. */
#include "base/field.h"
#include "codec/framing.h"
#include "codec/ws.h"

_Static_assert(
    sizeof(struct ws_state) <= FRAMING_STATE_MAX, "it is kept whole");
_Static_assert(
    (int)WS_HEAD_MAX <= (int)FRAMING_HEAD_MAX, "room for a frame's head");
_Static_assert(
    2 + (int)WS_CONTROL_MAX <= (int)FRAMING_CLOSE_MAX, "and a close frame");
_Static_assert((int)WS_EVENT_MORE == (int)FRAMING_EVENT_MORE &&
	(int)WS_EVENT_DATA == (int)FRAMING_EVENT_DATA &&
	(int)WS_EVENT_MESSAGE == (int)FRAMING_EVENT_MESSAGE &&
	(int)WS_EVENT_CONTROL == (int)FRAMING_EVENT_CONTROL &&
	(int)WS_EVENT_ERROR == (int)FRAMING_EVENT_ERROR,
    "an event goes on as it is");

enum {
	CLOSE_HEAD = 6 /* bytes of a client's close frame before its payload */
};

static enum framing_event
ws_framing_decode(void *state, uint64_t limit, const uint8_t *in, size_t len,
    size_t *used, uint8_t *out, size_t *out_len)
{
	return (enum framing_event)ws_decode(
	    state, limit, in, len, used, out, out_len);
}

static bool
ws_framing_idle(const void *state)
{
	return ws_idle(state);
}

/* The kind of an opcode. */
static enum framing_kind
ws_kind(uint8_t opcode)
{
	switch (opcode) {
	case WS_BINARY:
		return FRAMING_BINARY;
	case WS_CLOSE:
		return FRAMING_CLOSE;
	case WS_PING:
		return FRAMING_PING;
	case WS_PONG:
		return FRAMING_PONG;
	default:
		return FRAMING_TEXT;
	}
}

static enum framing_kind
ws_framing_kind(const void *state)
{
	const struct ws_state *s = state;

	return ws_kind(s->opcode);
}

/* A control frame, or what is wrong with a frame. */
static void
ws_framing_said(const void *state, struct framing_said *said)
{
	const struct ws_state *s = state;

	*said = (struct framing_said){.kind = (uint8_t)ws_kind(s->frame),
	    .code = s->error,
	    .bytes = s->control,
	    .len = s->control_len};
	if (s->error == CLOSE_NONE && s->frame == WS_CLOSE &&
	    s->control_len >= 2)
		said->code = (uint16_t)(s->control[0] << 8 | s->control[1]);
}

/* The opcode of a kind. */
static enum ws_opcode
ws_opcode(enum framing_kind kind)
{
	switch (kind) {
	case FRAMING_BINARY:
		return WS_BINARY;
	case FRAMING_PING:
		return WS_PING;
	case FRAMING_PONG:
		return WS_PONG;
	case FRAMING_CLOSE:
		return WS_CLOSE;
	default:
		return WS_TEXT;
	}
}

static int
ws_framing_wrap(struct framing_ends *ends, enum framing_kind kind,
    struct iovec *parts, int n)
{
	uint64_t len = 0;

	for (int k = 1; k <= n; k++)
		len += parts[k].iov_len;
	parts[0] = (struct iovec){
	    ends->head, ws_head(ends->head, ws_opcode(kind), len)};
	return n + 1;
}

static size_t
ws_framing_close(
    uint8_t out[FRAMING_CLOSE_MAX], uint16_t code, const char *reason)
{
	return ws_close_frame(out, (enum close_code)code, reason);
}

/*
 * Whether bytes end with a client's close frame. What comes before that need
 * not be decoded, and after a protocol error it cannot be. Data that looks
 * like one, or a frame that comes in two pieces, only makes our FIN come
 * sooner, or later.
 */
static bool
ws_framing_closed(const uint8_t *bytes, size_t len)
{
	const uint8_t *head;
	size_t n;

	for (n = 0; n <= WS_CONTROL_MAX && CLOSE_HEAD + n <= len; n++) {
		head = bytes + len - n - CLOSE_HEAD;
		if (head[0] == (0x80 | WS_CLOSE) && head[1] == (0x80 | n))
			return true;
	}
	return false;
}

#define FIELD(s, f)                                                    \
	{                                                              \
#f, offsetof(struct s, f), sizeof(((struct s *)0)->f), \
		    FIELD_KIND(((struct s *)0)->f)                     \
	}
static const struct field ws_framing_fields[] = {FIELD(ws_state, remaining),
    FIELD(ws_state, message_bytes), FIELD(ws_state, fragments),
    FIELD(ws_state, utf8), FIELD(ws_state, error), FIELD(ws_state, opcode),
    FIELD(ws_state, frame), FIELD(ws_state, fin), FIELD(ws_state, in_payload),
    FIELD(ws_state, mask), FIELD(ws_state, mask_at), FIELD(ws_state, head_len),
    FIELD(ws_state, control_len), FIELD(ws_state, head),
    FIELD(ws_state, control), {NULL, 0, 0, 0}};

const struct framing ws_framing = {.name = "websocket",
    .state_bytes = sizeof(struct ws_state),
    .fields = ws_framing_fields,
    .http = true,
    .decode = ws_framing_decode,
    .idle = ws_framing_idle,
    .kind = ws_framing_kind,
    .said = ws_framing_said,
    .wrap = ws_framing_wrap,
    .close = ws_framing_close,
    .closed = ws_framing_closed};
