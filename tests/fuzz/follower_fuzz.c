/*
 * follower_fuzz: two followers, of one worker's publications and of all, while
 * any words of the journal are written over. They come to an end, never go
 * back, and find what is published once the lock has been taken. Three bytes
 * are one step: what, and two numbers.
 */
#include "ring.h"

#include "hub/follower.h"
#include "hub/lock.h"

enum { CHANNELS = 3, LOOKS = 4096 };

struct scene {
	struct hub h;
	uint32_t channel[CHANNELS];
	_Atomic uint64_t cursor[2];
	struct follower f[2];
};

/* A hub with a channel of worker 0, one of worker 1, and one of none. */
static void
scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	ring_hub(&s->h, 0);
	presence_three(&s->h, s->channel);
	for (int k = 0; k < 2; k++)
		follower_init(
		    &s->f[k], &s->h, &s->cursor[k], k == 0 ? 1 : FOLLOWER_ALL);
}

/* Publishes so many bytes; returns their position. */
static uint64_t
publish_bytes(struct scene *s, uint32_t channel, size_t len)
{
	static const char bytes[256];
	struct publication p = {.channel = channel,
	    .user = "",
	    .format = FORMAT_TEXT,
	    .data = bytes,
	    .data_len = (uint32_t)len};

	hub_lock(&s->h);
	journal_append(&s->h, &p);
	hub_unlock(&s->h);
	return p.position;
}

/* A follower goes on, for at most so many publications. Returns the newest that
 * it has found. */
static uint64_t
follow(struct follower *f, uint32_t most)
{
	char buf[RING / JOURNAL_SHARE];
	enum follower_result what;
	struct publication p;
	uint64_t newest = 0;
	uint32_t n;

	follower_begin(f);
	for (n = 0; most > 0; n++) {
		REQUIRE(n < LOOKS);
		what = follower_next(f);
		if (what == FOLLOWER_END || what == FOLLOWER_STOPPED)
			break;
		if (what == FOLLOWER_OVERRUN)
			REQUIRE(f->to > f->from + 1);
		if (what != FOLLOWER_FOUND)
			continue;
		REQUIRE(f->position > newest);
		REQUIRE(f->bits == FOLLOWER_ALL || f->mask & f->bits);
		switch (follower_read(f, buf, sizeof(buf), &p)) {
		case JOURNAL_GONE:
			continue;
		case JOURNAL_OK:
			REQUIRE(p.position == f->position);
			/* fallthrough */
		default:
			newest = f->position;
			follower_done(f);
			most--;
		}
	}
	follower_end(f);
	return newest;
}

/* Writes over a word. */
static void
scribble(struct scene *s, uint8_t what, uint8_t a, uint8_t b)
{
	struct index_entry *x = &s->h.index[a % s->h.n_index];
	uint64_t bit = 1ull << b % 64;

	switch (what % 8) {
	case 0:
		x->at ^= bit;
		break;
	case 1:
		x->mask ^= bit;
		break;
	case 2:
		s->h.heads->tail ^= bit;
		break;
	case 3:
		s->h.heads->oldest ^= bit;
		break;
	case 4:
		s->h.journal[(uint32_t)(a << 4 | b % 16)] = b;
		break;
	case 5:
		s->h.heads->suspect = (uint64_t)a << 2 | b % 4;
		break;
	case 6:
		s->cursor[a % 2] ^= bit;
		break;
	default:
		s->h.heads->redone ^= bit;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene s;
	uint64_t last;
	int k;

	scene_begin(&s);
	for (; size >= 3; data += 3, size -= 3)
		if (data[0] < 64)
			publish_bytes(
			    &s, s.channel[data[1] % CHANNELS], data[2]);
		else if (data[0] < 128)
			follow(&s.f[data[1] % 2], data[2]);
		else
			scribble(&s, data[0], data[1], data[2]);
	publish_bytes(&s, s.channel[0], 8);
	for (k = 0; k < 2; k++)
		if (s.cursor[k] > journal_tail(&s.h))
			follow(&s.f[k], LOOKS); /* its cursor is mended */
	last = publish_bytes(&s, s.channel[0], 8);
	for (k = 0; k < 2; k++)
		REQUIRE(follow(&s.f[k], LOOKS) == last);
	hub_destroy(&s.h);
	return 0;
}
