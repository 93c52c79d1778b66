/*
 * ws: WebSocket frames (RFC 6455 section 5). Layer 1, pure: no I/O, no
 * allocation, no logging. Server side: frames received must be masked, frames
 * sent are not.
 */
#ifndef CHATD_CODEC_WS_H
#define CHATD_CODEC_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/other.h"
#include "base/utf8.h"
#include "codec/framing.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

enum {
	WS_HEAD_MAX = 10,	 /* server's frame head, bytes */
	WS_CLIENT_HEAD_MAX = 14, /* client's, with its mask */
	WS_CONTROL_MAX = 125,	 /* payload of a control frame (5.5) */
	/* Frames of one message. Larger: a client costs more work for each
	 * byte; smaller: Autobahn's suite sends 65,537. */
	WS_FRAGMENTS_MAX = 131072
};

/*
 * The decoder's state between two calls. Plain data that may be copied and may
 * lie in shared memory; zero is the state between two messages. Every field is
 * range-checked when it is used.
 */
struct ws_state {
	uint64_t remaining; /* payload of the current frame still to come */
	OTHER_ONLY(uint64_t other);
	uint64_t message_bytes; /* payload of the current message so far */
	OTHER_EITHER(uint32_t, uint64_t)
	fragments; /* frames of the current message so far */
	utf8_state utf8;
	uint16_t error; /* enum close_code, with WS_EVENT_ERROR */
	uint8_t opcode; /* of the current message: 0, text or binary */
	uint8_t frame;	/* of the current frame */
	uint8_t fin;
	uint8_t in_payload; /* the frame's head is complete */
	uint8_t mask[4];
	uint8_t mask_at;     /* 0 to 3 */
	uint8_t head_len;    /* bytes in head */
	uint8_t control_len; /* bytes in control */
	uint8_t head[WS_CLIENT_HEAD_MAX];
	uint8_t control[WS_CONTROL_MAX];
};

enum ws_event {
	WS_EVENT_MORE,	  /* all input is consumed, nothing is complete */
	WS_EVENT_DATA,	  /* *out_len bytes of the current message in out */
	WS_EVENT_MESSAGE, /* like DATA (perhaps 0 bytes), and the message ends
			   */
	WS_EVENT_CONTROL, /* a control frame: state->frame, control, control_len
			   */
	WS_EVENT_ERROR	  /* state->error says with what code to close */
};

/*
 * Decodes from in[0, len) up to the next event; *used tells how much was
 * consumed. Payload is unmasked into out, which has room for len bytes and may
 * be in itself or begin before it. A message longer than `limit` bytes, or of
 * more than WS_FRAGMENTS_MAX frames, fails with CLOSE_TOO_BIG as soon as a head
 * says so, text that is not UTF-8 with CLOSE_BAD_DATA at the first bad byte,
 * all else (reserved bits and opcodes, no mask, fragmented or long control
 * frames, non-minimal lengths, length with the top bit, continuation without
 * a start or a start within a message, bad close payload) with CLOSE_PROTOCOL
 * (a close reason that is not UTF-8: CLOSE_BAD_DATA).
 * After WS_EVENT_MESSAGE the next call begins a new message; state->opcode
 * and message_bytes still describe the one that ended until then.
 * WS_EVENT_MORE and WS_EVENT_DATA may both come with all input consumed.
 */
enum ws_event ws_decode(struct ws_state *state, uint64_t limit,
    const uint8_t *in, size_t len, size_t *used, uint8_t *out, size_t *out_len);

/* Whether nothing is unfinished: the next byte would begin a new message. */
bool ws_idle(const struct ws_state *state);

/* These frames as a framing. */
extern const struct framing ws_framing;

/* Writes a final unmasked frame's head; returns its length (2, 4 or 10). */
size_t ws_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t len);

/*
 * Writes a whole close frame: code (CLOSE_NONE: empty payload) and reason (cut
 * to fit, not NULL). Returns its length, at most 2 + WS_CONTROL_MAX.
 */
size_t ws_close_frame(
    uint8_t out[2 + WS_CONTROL_MAX], enum close_code code, const char *reason);

#endif
