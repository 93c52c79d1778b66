/* ws: WebSocket frames (RFC 6455 section 5). */
#include <endian.h>
#include <string.h>

#include "codec/ws.h"

/*
 * Reads a field of the state once. The state may lie in shared memory that
 * another process writes to: what is checked must be what is used, so the
 * compiler may not read it a second time.
 */
#define ONCE(field) (*(const volatile __typeof__(field) *)&(field))

/* Sixteen bytes at once; the compiler lowers it where there are none. */
typedef uint64_t ws_vector __attribute__((vector_size(16)));

/* What a frame's head says. */
struct ws_frame {
	uint64_t length;
	size_t head; /* bytes of the head */
	uint8_t opcode;
	bool fin;
};

/* Ends decoding with a close code. */
static enum ws_event
ws_fail(struct ws_state *state, enum close_code code)
{
	state->error = (uint16_t)code;
	return WS_EVENT_ERROR;
}

/* Whether an opcode is a control frame's (5.5). */
static inline bool
ws_is_control(uint8_t opcode)
{
	return opcode & 0x8;
}

/* Judges the first byte: reserved bits, opcode, order of fragments (5.4). */
static inline enum close_code
ws_judge_start(const struct ws_state *state, uint8_t byte)
{
	uint8_t opcode = byte & 0x0f;

	if (byte & 0x70)
		return CLOSE_PROTOCOL;
	if (ws_is_control(opcode))
		return opcode > WS_PONG || !(byte & 0x80) ? CLOSE_PROTOCOL
							  : CLOSE_NONE;
	if (opcode > WS_BINARY)
		return CLOSE_PROTOCOL;
	if ((opcode == WS_CONTINUATION) != (state->fragments != 0))
		return CLOSE_PROTOCOL;
	if (state->fragments >= WS_FRAGMENTS_MAX)
		return CLOSE_TOO_BIG;
	return CLOSE_NONE;
}

/* Reads a big-endian number of n bytes. */
static inline uint64_t
ws_number(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/*
 * Judges the first n bytes of a head as far as they go, so that a bad one is
 * refused as early as it can be. f->head tells how long the head will be as
 * far as that is known; it is complete once n reaches it.
 */
static inline enum close_code
ws_judge_head(const struct ws_state *state, uint64_t limit, const uint8_t *h,
    size_t n, struct ws_frame *f)
{
	enum close_code code;
	size_t extra;

	f->head = 2;
	if (n == 0)
		return CLOSE_NONE;
	if ((code = ws_judge_start(state, h[0])) != CLOSE_NONE)
		return code;
	f->opcode = h[0] & 0x0f;
	f->fin = h[0] >> 7;
	if (n == 1)
		return CLOSE_NONE;
	if (!(h[1] & 0x80))
		return CLOSE_PROTOCOL;
	f->length = h[1] & 0x7f;
	extra = f->length < 126 ? 0 : f->length == 126 ? 2 : 8;
	f->head = 2 + extra + 4;
	if (ws_is_control(f->opcode))
		return extra != 0 ? CLOSE_PROTOCOL : CLOSE_NONE;
	if (extra != 0) {
		if (n < 2 + extra)
			return CLOSE_NONE;
		f->length = ws_number(h + 2, extra);
		if (f->length >> 63 || f->length < 126 ||
		    (extra == 8 && f->length <= 0xffff))
			return CLOSE_PROTOCOL;
	}
	if (f->length > limit ||
	    (f->opcode == WS_CONTINUATION &&
		ONCE(state->message_bytes) > limit - f->length))
		return CLOSE_TOO_BIG;
	return CLOSE_NONE;
}

/* Takes a judged head into the state: its payload is next. */
static inline void
ws_begin_frame(
    struct ws_state *state, const struct ws_frame *f, const uint8_t *h)
{
	memcpy(state->mask, h + f->head - 4, 4);
	state->mask_at = 0;
	state->remaining = f->length;
	state->frame = f->opcode;
	state->fin = f->fin;
	state->head_len = 0;
	state->in_payload = 1;
	if (ws_is_control(f->opcode)) {
		state->control_len = 0;
		return;
	}
	if (f->opcode != WS_CONTINUATION) {
		state->opcode = f->opcode;
		state->message_bytes = 0;
		state->utf8 = 0;
		state->fragments = 0;
	}
	state->fragments++;
	state->message_bytes += f->length;
}

/*
 * Reads a head, whole from the input where possible, else byte by byte through
 * state->head. Returns the bytes consumed, with *code set if the head is bad;
 * state->in_payload tells whether it is complete.
 */
static inline size_t
ws_read_head(struct ws_state *state, uint64_t limit, const uint8_t *in,
    size_t len, enum close_code *code)
{
	uint8_t head[WS_CLIENT_HEAD_MAX];
	size_t had = ONCE(state->head_len), n, used = 0;
	struct ws_frame f = {0};

	if (had == 0) {
		*code = ws_judge_head(state, limit, in, len, &f);
		if (*code != CLOSE_NONE)
			return 0;
		if (len >= f.head) {
			ws_begin_frame(state, &f, in);
			return f.head;
		}
	}
	if (had >= WS_CLIENT_HEAD_MAX) {
		*code = CLOSE_INTERNAL;
		return 0;
	}
	memcpy(head, state->head, had);
	for (n = had;;) {
		*code = ws_judge_head(state, limit, head, n, &f);
		if (*code != CLOSE_NONE)
			return used;
		if (n >= f.head) {
			ws_begin_frame(state, &f, head);
			return used;
		}
		if (used == len)
			break;
		head[n++] = in[used++];
	}
	memcpy(state->head, head, n);
	state->head_len = (uint8_t)n;
	return used;
}

/*
 * The mask as a word that begins with byte `at`. By shifts, as a word that is
 * loaded from four bytes just stored waits for them.
 */
static inline uint32_t
ws_key(const uint8_t mask[4], unsigned int at)
{
	uint32_t key;

	memcpy(&key, mask, 4);
	key = le32toh(key);
	if (at != 0)
		key = key >> (8 * at) | key << (32 - 8 * at);
	return htole32(key);
}

/*
 * Unmasks n bytes whose first one is under mask byte `at`. Returns whether any
 * of them is above ASCII. Going forward, out may be in or lie before it.
 */
static inline bool
ws_unmask(const uint8_t mask[4], unsigned int at, const uint8_t *in, size_t n,
    uint8_t *out)
{
	uint32_t key = ws_key(mask, at);
	uint64_t key64 = (uint64_t)key << 32 | key, word, any;
	const ws_vector k = {key64, key64};
	ws_vector a, b, seen = {0, 0};

	for (; n >= 32; n -= 32, in += 32, out += 32) {
		memcpy(&a, in, 16);
		memcpy(&b, in + 16, 16);
		a ^= k;
		b ^= k;
		seen |= a | b;
		memcpy(out, &a, 16);
		memcpy(out + 16, &b, 16);
	}
	any = seen[0] | seen[1];
	for (; n >= 8; n -= 8, in += 8, out += 8) {
		memcpy(&word, in, 8);
		word ^= key64;
		any |= word;
		memcpy(out, &word, 8);
	}
	for (key64 = le64toh(key64); n > 0; n--, key64 >>= 8) {
		*out = *in++ ^ (uint8_t)key64;
		any |= *out++;
	}
	return any & UINT64_C(0x8080808080808080);
}

/* Whether a close frame may carry this code (7.4). */
static bool
ws_close_code_valid(unsigned int code)
{
	return (code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* Judges a complete close payload (5.5.1). */
static enum close_code
ws_judge_close(const uint8_t *payload, size_t len)
{
	if (len == 0)
		return CLOSE_NONE;
	if (len == 1 ||
	    !ws_close_code_valid((unsigned int)ws_number(payload, 2)))
		return CLOSE_PROTOCOL;
	return utf8_valid(payload + 2, len - 2) ? CLOSE_NONE : CLOSE_BAD_DATA;
}

/* Collects a control frame's payload in state->control. */
static enum ws_event
ws_read_control(
    struct ws_state *state, const uint8_t *in, size_t len, size_t *used)
{
	size_t had = ONCE(state->control_len);
	uint64_t remaining = ONCE(state->remaining);
	size_t n = remaining < len ? (size_t)remaining : len;
	uint8_t mask[4];
	enum close_code code;

	if (had > WS_CONTROL_MAX || remaining > WS_CONTROL_MAX - had)
		return ws_fail(state, CLOSE_INTERNAL);
	memcpy(mask, state->mask, 4);
	ws_unmask(mask, state->mask_at & 3, in, n, state->control + had);
	state->mask_at = (uint8_t)((state->mask_at + n) & 3);
	state->control_len = (uint8_t)(had + n);
	state->remaining = remaining - n;
	*used += n;
	if (n < remaining)
		return WS_EVENT_MORE;
	state->in_payload = 0;
	if (state->frame == WS_CLOSE) {
		code = ws_judge_close(state->control, had + n);
		if (code != CLOSE_NONE)
			return ws_fail(state, code);
	}
	return WS_EVENT_CONTROL;
}

/* Unmasks a data frame's payload, as much as is there, and checks text. */
static inline enum ws_event
ws_read_data(struct ws_state *state, const uint8_t *in, size_t len,
    size_t *used, uint8_t *out, size_t *out_len)
{
	uint64_t remaining = ONCE(state->remaining);
	size_t n = remaining < len ? (size_t)remaining : len;
	bool text = state->opcode == WS_TEXT, high;
	uint8_t mask[4];

	memcpy(mask, state->mask, 4);
	high = ws_unmask(mask, state->mask_at & 3, in, n, out);
	*used += n;
	if (text && (high || state->utf8 != 0) && n > 0 &&
	    !utf8_feed(&state->utf8, out, n))
		return ws_fail(state, CLOSE_BAD_DATA);
	*out_len = n;
	state->remaining = remaining - n;
	if (n < remaining) {
		state->mask_at = (uint8_t)((state->mask_at + n) & 3);
		return n > 0 ? WS_EVENT_DATA : WS_EVENT_MORE;
	}
	state->in_payload = 0;
	if (!state->fin)
		return WS_EVENT_DATA;
	if (text && state->utf8 != 0) {
		*out_len = 0;
		return ws_fail(state, CLOSE_BAD_DATA);
	}
	state->fragments = 0;
	return WS_EVENT_MESSAGE;
}

/* Decodes in steps: the frame's head, then as much of it as is there. */
static __attribute__((noinline)) enum ws_event
ws_decode_steps(struct ws_state *state, uint64_t limit, const uint8_t *in,
    size_t len, size_t *used, uint8_t *out, size_t *out_len)
{
	enum close_code code = CLOSE_NONE;
	enum ws_event event;

	if (state->error != CLOSE_NONE)
		return WS_EVENT_ERROR;
	if (ws_idle(state)) { /* forget the message that ended */
		state->opcode = 0;
		state->message_bytes = 0;
	}
	for (;;) {
		if (!state->in_payload) {
			*used += ws_read_head(
			    state, limit, in + *used, len - *used, &code);
			if (code != CLOSE_NONE)
				return ws_fail(state, code);
			if (!state->in_payload)
				return WS_EVENT_MORE;
		}
		if (ws_is_control(state->frame))
			return ws_read_control(
			    state, in + *used, len - *used, used);
		event = ws_read_data(
		    state, in + *used, len - *used, used, out, out_len);
		/* An empty fragment is no event: the next frame may be. */
		if (event != WS_EVENT_DATA || *out_len > 0)
			return event;
	}
}

/*
 * The common case by itself: a whole unfragmented message lies in the input
 * and nothing is unfinished. Returns WS_EVENT_MORE, and nothing has happened,
 * if it is anything else.
 */
static inline enum ws_event
ws_decode_whole(struct ws_state *state, uint64_t limit, const uint8_t *in,
    size_t len, size_t *used, uint8_t *out, size_t *out_len)
{
	uint8_t first;
	size_t n, head = 6;
	bool high;

	if (len < 8)
		return WS_EVENT_MORE;
	first = in[0];
	n = in[1] ^ 0x80u; /* 128 and more if there is no mask */
	if (first != (0x80 | WS_TEXT) && first != (0x80 | WS_BINARY))
		return WS_EVENT_MORE;
	if (n == 126) {
		head = 8;
		n = (size_t)in[2] << 8 | in[3];
		if (n < 126)
			return WS_EVENT_MORE;
	} else if (n > 126)
		return WS_EVENT_MORE;
	if (len - head < n || n > limit)
		return WS_EVENT_MORE;
	high = ws_unmask(in + head - 4, 0, in + head, n, out);
	*used = head + n;
	state->opcode = state->frame = first & 0x0f;
	state->fin = 1;
	state->message_bytes = n;
	if (high && first == (0x80 | WS_TEXT) && !utf8_valid(out, n))
		return ws_fail(state, CLOSE_BAD_DATA);
	*out_len = n;
	return WS_EVENT_MESSAGE;
}

enum ws_event
ws_decode(struct ws_state *state, uint64_t limit, const uint8_t *in, size_t len,
    size_t *used, uint8_t *out, size_t *out_len)
{
	enum ws_event event;

	*used = 0;
	*out_len = 0;
	if (ws_idle(state)) {
		event =
		    ws_decode_whole(state, limit, in, len, used, out, out_len);
		if (event != WS_EVENT_MORE)
			return event;
	}
	return ws_decode_steps(state, limit, in, len, used, out, out_len);
}

bool
ws_idle(const struct ws_state *state)
{
	return !state->in_payload && state->head_len == 0 &&
	    state->fragments == 0 && state->error == CLOSE_NONE;
}

size_t
ws_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t len)
{
	int i;

	out[0] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= 0xffff) {
		out[1] = 126;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		return 4;
	}
	out[1] = 127;
	for (i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(len >> (56 - 8 * i));
	return 10;
}

size_t
ws_close_frame(
    uint8_t out[2 + WS_CONTROL_MAX], enum close_code code, const char *reason)
{
	size_t len;

	if (code == CLOSE_NONE)
		return ws_head(out, WS_CLOSE, 0);
	len = strlen(reason);
	if (len > WS_CONTROL_MAX - 2) { /* never within a character */
		len = WS_CONTROL_MAX - 2;
		while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80)
			len--;
	}
	ws_head(out, WS_CLOSE, len + 2);
	out[2] = (uint8_t)(code >> 8);
	out[3] = (uint8_t)code;
	memcpy(out + 4, reason, len);
	return len + 4;
}
