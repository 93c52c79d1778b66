/*
 * script: an input for a door as what a client does, one thing after the other.
 * The first byte is a set of flags, 'A' being none (enum script_flag); then
 * come parts, each ended by 0xff, which no text has. A part is a text that is
 * sent in a frame, or begins with a byte that says what else it is (enum
 * script_part).
 */
#ifndef CHATD_TESTS_FUZZ_SCRIPT_H
#define CHATD_TESTS_FUZZ_SCRIPT_H

#include "world.h"

#include "hub/stats.h"

enum script_flag {
	SCRIPT_WAITS = 1,   /* what is sent at once waits for later turns */
	SCRIPT_SECURE = 2,  /* names are not taken on trust */
	SCRIPT_RATE = 4,    /* 20 messages at once, then none */
	SCRIPT_SKIP = 8,    /* who reads too slowly misses messages */
	SCRIPT_SMALL = 16,  /* a small queue */
	SCRIPT_CLOSED = 32, /* no private messages, nobody is told */
	SCRIPT_ALONE = 128  /* no others are there */
};

enum script_part {
	SCRIPT_RAW = 0xf0,  /* bytes as they are */
	SCRIPT_FRAME,	    /* a frame with the next byte as its first */
	SCRIPT_TURN,	    /* a turn, and no more, of the worker */
	SCRIPT_LATER,	    /* its deadlines have come, as many seconds later
			     * as the next byte says */
	SCRIPT_DEAF,	    /* reads no more, or again */
	SCRIPT_SERVER,	    /* the server says that in `room` */
	SCRIPT_OTHER,	    /* bob says that in the lobby, or wherever */
	SCRIPT_MANY,	    /* the rest as often as the next byte says */
	SCRIPT_TOGETHER,    /* the rest and what follows come in one read */
	SCRIPT_CONNECT,	    /* with a token of these claims */
	SCRIPT_SUBSCRIBE,   /* to `token` with one of these */
	SCRIPT_REFRESH,	    /* the connection's */
	SCRIPT_SUB_REFRESH, /* that of `token` */
	SCRIPT_TRUST,	    /* names are taken on trust, or no more */
	SCRIPT_PART_END = 0xff
};

/* What a door adds: parts of its own. False: it has none such. */
typedef bool (*script_cb)(
    struct world_client *c, int kind, const uint8_t *p, size_t len);

/* Sets the worker as the flags say. */
static inline void
script_set(struct chat *ch, uint8_t flags)
{
	world_settings(ch);
	if (flags & SCRIPT_WAITS)
		ch->budget_bytes = 1;
	if (flags & SCRIPT_SECURE)
		ch->live.insecure = 0;
	if (flags & SCRIPT_RATE)
		ch->live.message_rate = 1;
	if (flags & SCRIPT_SKIP)
		ch->live.slow_policy = CONF_SLOW_SKIP;
	if (flags & SCRIPT_SMALL)
		ch->live.queue_bytes = 2048;
	if (flags & SCRIPT_CLOSED)
		ch->live.private = ch->live.who = CONF_WHOM_NONE;
}

/* Seconds pass, and deadlines are looked at; the clock itself goes on as it
 * was. */
static inline void
script_later(struct chat *ch, uint32_t seconds)
{
	ch->now_ms += seconds * 1000ull;
	ch->wall_ms += seconds * 1000ll;
	chat_sweep(ch);
}

/* The server says something, as its API has it said. */
static inline void
script_server(struct chat *ch, const uint8_t *p, size_t len)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .data = (const char *)p,
	    .len = len};
	struct publication out;
	uint64_t mask;

	if (utf8_valid((const char *)p, len))
		(void)publish(ch, "room", 4, PUBLISH_MAKE, &what, &out, &mask);
}

/* Sends a part so often. */
static inline void
script_many(struct world_client *c, const uint8_t *p, size_t len)
{
	int n = len > 0 ? p[0] : 0;

	for (; n > 0 && !c->closed; n--)
		world_frame(c, 0x81, p + 1, len - 1);
}

/* One part. */
static inline void
script_part(
    struct world_client *c, const uint8_t *p, size_t len, script_cb more)
{
	struct chat *ch = &world_node->ch;
	int kind = len > 0 ? p[0] : 0;

	if (kind < SCRIPT_RAW) {
		world_frame(c, 0x81, p, len);
		world_settle();
		return;
	}
	p++;
	len--;
	switch (kind) {
	case SCRIPT_RAW:
		world_send(c, p, len);
		break;
	case SCRIPT_FRAME:
		if (len > 0)
			world_frame(c, p[0], p + 1, len - 1);
		break;
	case SCRIPT_TURN:
		world_turn();
		return;
	case SCRIPT_LATER:
		script_later(ch, len > 0 ? p[0] : 1);
		break;
	case SCRIPT_DEAF:
		c->deaf = !c->deaf;
		break;
	case SCRIPT_SERVER:
		script_server(ch, p, len);
		break;
	case SCRIPT_OTHER:
		if (world_client[1].fd >= 0)
			world_frame(&world_client[1], 0x81, p, len);
		break;
	case SCRIPT_MANY:
		script_many(c, p, len);
		break;
	case SCRIPT_TOGETHER:
		world_frame(c, 0x81, p, len);
		return;
	case SCRIPT_TRUST:
		ch->live.insecure = !ch->live.insecure;
		break;
	default:
		(void)(more != NULL && more(c, kind, p, len));
	}
	world_settle();
}

/* Runs a whole input at a door, as alice. */
static inline void
script_run(
    const struct door *door, const uint8_t *data, size_t size, script_cb more)
{
	struct world_client *alice = &world_client[0];
	const uint8_t *end = data + size, *stop;
	uint8_t flags;

	if (size == 0 || size > 60000)
		return;
	world_make();
	flags = *data++ ^ 'A';
	script_set(&world_node->ch, flags & ~SCRIPT_SECURE);
	world_open(alice, door, "alice");
	if (!(flags & SCRIPT_ALONE))
		world_company();
	world_settle();
	script_set(&world_node->ch, flags);
	for (; data < end && alice->fd >= 0; data = stop + 1) {
		stop = memchr(data, SCRIPT_PART_END, (size_t)(end - data));
		if (stop == NULL)
			stop = end;
		script_part(alice, data, (size_t)(stop - data), more);
	}
	world_settle();
	world_rest();
}

#endif
