/* hub_fixture: what the tests of the hub share: a small hub, and random
 * numbers that are the same in every run. */
#ifndef CHATD_TESTS_HUB_FIXTURE_H
#define CHATD_TESTS_HUB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "hub/shm.h"
#include "hub/wire.h"
#include "presence_fixture.h"

static uint64_t fixture_seed = 0x9e3779b97f4a7c15ull;

/* A random number below n. */
static inline uint32_t
fixture_random(uint32_t n)
{
	fixture_seed ^= fixture_seed << 13;
	fixture_seed ^= fixture_seed >> 7;
	fixture_seed ^= fixture_seed << 17;
	return (uint32_t)((fixture_seed >> 32) * n >> 32);
}

/* Fills memory with random bytes. */
static inline void
fixture_fill(void *to, size_t len)
{
	uint8_t *b = to;
	uint32_t x;
	size_t k;

	for (; len > 0; b += k, len -= k) {
		x = fixture_random(0xffffffff);
		k = len < 4 ? len : 4;
		memcpy(b, &x, k);
	}
}

/* How many rounds: ten times as many in a long run. */
static inline uint32_t
fixture_rounds(uint32_t n)
{
	return getenv("LONG") != NULL ? n * 10 : n;
}

/* Memory of what transports know. */
static inline void
fixture_wire(struct hub *h)
{
	int fd = wire_create();

	assert_int_not_equal(fd, -1);
	assert_int_equal(wire_attach(h, fd), 0);
	close(fd);
}

/* A hub of that size, with as many channels as users, seen as worker 0, and
 * with readers of the journal, of which some want events: bits. */
static inline void
fixture_hub_readers(struct hub *h, uint32_t connections, uint32_t users,
    uint64_t journal, uint64_t output, uint64_t input, uint8_t readers,
    uint8_t events)
{
	struct hub_limits l = {.connections = connections,
	    .users = users,
	    .channels = users,
	    .journal_bytes = journal,
	    .output_bytes = output,
	    .input_bytes = input,
	    .readers = readers,
	    .events = events};

	assert_int_equal(hub_create(h, &l), 0);
	hub_become(h, 0);
}

/* fixture_hub_readers() without any. */
static inline void
fixture_hub(struct hub *h, uint32_t connections, uint32_t users,
    uint64_t journal, uint64_t output, uint64_t input)
{
	fixture_hub_readers(
	    h, connections, users, journal, output, input, 0, 0);
}

#endif
