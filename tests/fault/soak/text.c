/* Texts that follow from sender and number, and the lobby's one order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { HEAD_FROM = 24, BLOCK = 64 * 1024 };

struct order order;
static uint32_t *place[CLIENTS_MAX]; /* of each one's messages, + 1 */
static uint32_t place_cap[CLIENTS_MAX];

/* Mixes bits. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* Letters to cut texts from. */
static const char *
block(void)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
				      "OPQRSTUVWXYZ0123456789 .";
	static char bytes[BLOCK];
	size_t k;

	if (bytes[0] == '\0')
		for (k = 0; k < BLOCK; k++)
			bytes[k] = letters[mix(k + 1) % (sizeof(letters) - 1)];
	return bytes;
}

/* Most are short, some are long. */
static size_t
length_of(uint64_t h)
{
	uint32_t kind = h % 1000, r = (uint32_t)(h >> 32);

	if (kind < 100)
		return 1 + r % 23;
	if (kind < 850)
		return HEAD_FROM + r % 180;
	if (kind < 970)
		return 200 + r % 1800;
	if (kind < 997)
		return 2000 + r % 6000;
	return 8000 + r % (TEXT_MAX - 8000 + 1);
}

void
text_make(struct text *t, uint32_t from, uint32_t seq, int to)
{
	uint64_t h =
	    mix((uint64_t)from << 48 ^ (uint64_t)(to + 1) << 32 ^ (seq + 1));
	size_t n = 0;

	t->len = length_of(h);
	/* a client's first are long enough to be recognised, whispers all */
	if (t->len < HEAD_FROM && (to >= 0 || seq % 4 == 0))
		t->len += HEAD_FROM;
	if (t->len >= HEAD_FROM)
		n = (size_t)snprintf(
		    t->bytes, sizeof(t->bytes), "#%u:%u:", from, seq);
	memcpy(t->bytes + n, block() + mix(h) % (BLOCK - TEXT_MAX - 64),
	    t->len > n ? t->len - n : 0);
}

bool
text_seq(const char *bytes, size_t len, uint32_t *seq)
{
	uint32_t from;
	char head[HEAD_FROM + 1];

	if (len < HEAD_FROM || bytes[0] != '#')
		return false;
	memcpy(head, bytes, HEAD_FROM);
	head[HEAD_FROM] = '\0';
	return sscanf(head, "#%u:%u:", &from, seq) == 2;
}

bool
text_is(const char *bytes, size_t len, uint32_t from, uint32_t seq, int to)
{
	static struct text t;
	static uint32_t t_from, t_seq;
	static int t_to;

	if (t.len == 0 || t_from != from || t_seq != seq || t_to != to) {
		text_make(&t, from, seq, to);
		t_from = from;
		t_seq = seq;
		t_to = to;
	}
	return t.len == len && memcmp(t.bytes, bytes, len) == 0;
}

void
order_add(uint32_t from, uint32_t seq, uint32_t by)
{
	static uint32_t cap;

	if (order.n == cap) {
		cap = cap ? cap * 2 : 65536;
		order.said = realloc(order.said, cap * sizeof(*order.said));
	}
	while (seq >= place_cap[from]) {
		uint32_t old = place_cap[from];

		place_cap[from] = old ? old * 2 : 256;
		place[from] =
		    realloc(place[from], place_cap[from] * sizeof(**place));
		memset(place[from] + old, 0,
		    (place_cap[from] - old) * sizeof(**place));
	}
	place[from][seq] = order.n + 1;
	order.said[order.n++] = (struct said){from, seq, by};
	order.next[from] = seq + 1;
}

uint32_t
order_find(uint32_t from, uint32_t seq)
{
	if (seq >= place_cap[from] || place[from][seq] == 0)
		return UINT32_MAX;
	return place[from][seq] - 1;
}
