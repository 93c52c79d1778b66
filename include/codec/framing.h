/*
 * framing: from a client's bytes to messages, and back. Layer 1, pure: no I/O,
 * no allocation, no logging.
 *
 * What a framing knows between two reads is plain data: it is copied, and it
 * lies in shared memory, where another process may write over it, so every
 * field is range-checked when it is used. Zero is the state between two
 * messages. A framing is a file of its own and a row of the table in
 * framing.c; nothing else names it.
 */
#ifndef CHATD_CODEC_FRAMING_H
#define CHATD_CODEC_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/other.h"

enum {
	FRAMINGS_MAX = 8,
	FRAMING_USUAL = 1,
	/* Bytes of state. Larger: each unfinished message takes more of
	 * input-memory, twice. */
	FRAMING_STATE_MAX = OTHER_EITHER(176, 192),
	FRAMING_HEAD_MAX = 16, /* bytes before a message, */
	FRAMING_TAIL_MAX = 4,  /* and behind it */
	FRAMING_AROUND_MAX = FRAMING_HEAD_MAX + FRAMING_TAIL_MAX,
	FRAMING_CLOSE_MAX = 128 /* bytes that tell the end of a connection */
};

/* Kinds of messages. Doors send text and perhaps binary ones; the connection
 * machine (src/conn) sends the others, which a framing may lack. */
enum framing_kind {
	FRAMING_TEXT = 1,
	FRAMING_BINARY = 2,
	FRAMING_PING,
	FRAMING_PONG,
	FRAMING_CLOSE
};

/*
 * Why a connection is closed. The numbers are those of RFC 6455 section 7.4.1,
 * and ours from 4000, since they share their space with the codes of doors and
 * of peers; a framing tells them in its own way.
 */
enum close_code {
	CLOSE_NONE = 0,
	CLOSE_NORMAL = 1000,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_PROTOCOL = 1002,
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_BAD_DATA = 1007,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CLOSE_RESTART = 1012,
	CLOSE_TRY_LATER = 1013,
	CLOSE_IDLE = 4000,
	CLOSE_KICKED = 4001,
	CLOSE_NO_PONG = 4002
};

enum framing_event {
	FRAMING_EVENT_MORE,    /* all input is consumed, nothing is complete */
	FRAMING_EVENT_DATA,    /* *out_len bytes of the message in out */
	FRAMING_EVENT_MESSAGE, /* like DATA (perhaps 0 bytes), and the message
				* ends */
	FRAMING_EVENT_CONTROL, /* a ping, a pong or a close: see said() */
	FRAMING_EVENT_ERROR    /* it ends the connection: see said() */
};

/* What a framing knows of a client's input: state_bytes, whose meaning nothing
 * else knows, and zeros. */
struct framing_state {
	uint64_t word[FRAMING_STATE_MAX / 8];
};

/* A control message, or an error. */
struct framing_said {
	uint8_t kind;	      /* enum framing_kind, of an error: what is bad */
	uint16_t code;	      /* of a close the peer's, of an error ours */
	const uint8_t *bytes; /* of a ping; in the state */
	size_t len;
};

/* Room for what stands around a message. */
struct framing_ends {
	uint8_t head[FRAMING_HEAD_MAX], tail[FRAMING_TAIL_MAX];
};

struct field;

struct framing {
	const char *name;     /* a word of `listen` */
	uint16_t state_bytes; /* that are kept of the state between two reads,
			       * at most FRAMING_STATE_MAX */
	/* All fields of the state; the last one's name is NULL. A program that
	 * has them elsewhere copies them by name (hub/convert.h). NULL: its
	 * state is an array of bytes, the same in every release. */
	const struct field *fields;
	bool http; /* a connection begins with an HTTP request that asks for
		    * this framing, else with its first message */
	/*
	 * Decodes from in[0, len) up to the next event; *used tells how much
	 * was consumed. Payload goes to out, which has room for len bytes. A
	 * message of more than `limit` bytes is an error (CLOSE_TOO_BIG) as
	 * soon as that is known, text that is not UTF-8 is another
	 * (CLOSE_BAD_DATA).
	 */
	enum framing_event (*decode)(void *state, uint64_t limit,
	    const uint8_t *in, size_t len, size_t *used, uint8_t *out,
	    size_t *out_len);
	/* Whether nothing is unfinished: the next byte begins a message. */
	bool (*idle)(const void *state);
	/* The kind of the message that decode() ended last, or is in. NULL:
	 * all are text. */
	enum framing_kind (*kind)(const void *state);
	/* Says what an event CONTROL or ERROR was. */
	void (*said)(const void *state, struct framing_said *said);
	/*
	 * Puts head and tail around parts[1] to parts[n], in parts[0] and
	 * parts[n + 1]. Returns how many parts there are then; 0: this framing
	 * has no message of that kind.
	 */
	int (*wrap)(struct framing_ends *ends, enum framing_kind kind,
	    struct iovec *parts, int n);
	/* Writes what tells a peer that its connection ends; `reason` may be
	 * cut. Returns the length; 0: the framing says nothing. */
	size_t (*close)(
	    uint8_t out[FRAMING_CLOSE_MAX], uint16_t code, const char *reason);
	/* Whether bytes end with the peer's answer to a close, after which it
	 * sends nothing. NULL: no peer answers one. */
	bool (*closed)(const uint8_t *bytes, size_t len);
};

/* The framing of a number, which may come from shared memory; NULL: there is
 * none. */
const struct framing *framing_of(uint8_t number);

/* The number of the framing of a name; 0: there is none. */
uint8_t framing_find(const char *name);

#endif
