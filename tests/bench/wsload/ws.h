/* ws.h - the WebSocket protocol (RFC 6455), a client's part of it:
 * handshake keys, masked frames out, unmasked frames in. */
#ifndef WSLOAD_WS_H
#define WSLOAD_WS_H

#include <stddef.h>
#include <stdint.h>

enum {
	WS_CONT = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xA,
};

enum {
	WS_KEY_LEN = 24,    /* base64 of 16 bytes */
	WS_ACCEPT_LEN = 28, /* base64 of a SHA-1 */
	WS_MAX_HEAD = 14,   /* largest masked frame head */
};

/* A Sec-WebSocket-Key made from a 64-bit seed (not NUL-terminated). */
void ws_make_key(uint64_t seed, char key[WS_KEY_LEN]);

/* The Sec-WebSocket-Accept value that answers a key (not NUL-terminated). */
void ws_accept_for(const char key[WS_KEY_LEN], char accept[WS_ACCEPT_LEN]);

/* Writes one masked client frame; out must hold WS_MAX_HEAD + len bytes.
 * Returns the frame's length. */
size_t ws_client_frame(
    uint8_t *out, int opcode, const void *payload, size_t len, uint32_t mask);

struct ws_frame {
	uint8_t opcode;
	uint8_t fin;
	size_t head; /* bytes before the payload */
	size_t len;  /* payload bytes */
};

enum { WS_FRAME_OK, WS_FRAME_SHORT, WS_FRAME_BAD };

/* Reads a server frame's head at p. WS_FRAME_OK: *f is filled in (the payload
 * may still be incomplete); WS_FRAME_SHORT: more bytes needed;
 * WS_FRAME_BAD: masked, or reserved bits set. */
static inline int
ws_server_frame(const uint8_t *p, size_t avail, struct ws_frame *f)
{
	if (avail < 2)
		return WS_FRAME_SHORT;
	if ((p[0] & 0x70) || (p[1] & 0x80))
		return WS_FRAME_BAD;
	f->opcode = p[0] & 0x0f;
	f->fin = p[0] >> 7;
	size_t len = p[1];
	if (len < 126) {
		f->head = 2;
	} else if (len == 126) {
		if (avail < 4)
			return WS_FRAME_SHORT;
		f->head = 4;
		len = (size_t)p[2] << 8 | p[3];
	} else {
		if (avail < 10)
			return WS_FRAME_SHORT;
		f->head = 10;
		len = 0;
		for (int i = 2; i < 10; i++)
			len = len << 8 | p[i];
	}
	f->len = len;
	return WS_FRAME_OK;
}

#endif
