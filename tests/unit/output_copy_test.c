/* output that moves: what another worker's lists say is copied, once for all
 * that have it to come. */
#include "hub_fixture.h"

#include "hub/output.h"
#include "hub/slot.h"

/* The bytes of a list, gathered. */
static size_t
stream_bytes(struct output_pool *pool, const struct output *o, uint32_t slot,
    uint8_t *to)
{
	struct iovec iov[512];
	size_t asked, at = 0;
	int m = output_gather(pool, o, slot, iov, 512, &asked), i;

	for (i = 0; i < m; i++) {
		memcpy(to + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	assert_int_equal(at, asked);
	return at;
}

/* Distinct bytes of the arena that references of a worker's lists hold. */
static size_t
arena_bytes(const struct hub *h, const struct output *o, const uint32_t *slot,
    uint32_t n)
{
	static uint8_t seen[64 << 20];
	const struct reference *r;
	uint32_t i, k, at, chunk;
	size_t sum = 0, b;
	uint64_t f;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < n; i++) {
		chunk = o[i].chunk;
		for (f = o[i].front; f < h->slot[slot[i]].appended; f++) {
			at = (uint32_t)f - h->chunk[chunk].base;
			if (at == OUTPUT_REFS) {
				chunk = h->chunk[chunk].next;
				at = 0;
			}
			r = &h->chunk[chunk].ref[at];
			for (k = 0; k < r->length; k++) {
				b = r->offset + k;
				assert_true(b < sizeof(seen));
				sum += !seen[b];
				seen[b] = 1;
			}
		}
	}
	return sum;
}

/* Slow readers of one channel, each at another place of it, move together:
 * their common backlog is copied once, each gets the bytes that it is to get,
 * and when all is said nothing is held. */
static void
test_copy_shared(void **state)
{
	enum { HEARERS = 50, SAID = 60, LONG = 30000 };
	static uint8_t bytes[LONG], was[SAID * LONG], is[SAID * LONG];
	struct output from[HEARERS], to[HEARERS];
	struct output_pool giver, taker;
	uint32_t slot[HEARERS], i, k, s;
	size_t total = 0, n, before;
	uint64_t written[HEARERS];
	struct claim slots;
	struct hub h, view;
	struct frame f;

	fixture_hub(&h, 64, 16, 65536, 16 << 20, 1 << 20);
	view = h;
	view.self = 1;
	claim_init(&slots, h.slot_owner, h.n_slots, 0);
	output_pool_init(&giver, &h);
	output_pool_init(&taker, &view);
	for (i = 0; i < HEARERS; i++) {
		slot[i] = slot_take(&h, &slots);
		assert_int_equal(output_open(&giver, &from[i], slot[i]), 0);
	}
	for (k = 0; k < SAID; k++) {
		n = k % 3 == 0 ? LONG : 500;
		total += n;
		fixture_fill(bytes, n);
		assert_int_equal(frame_build(&giver, &f, FRAME_SHARED,
				     &(struct iovec){bytes, n}, 1),
		    0);
		for (i = 0; i < HEARERS; i++)
			assert_int_equal(
			    output_append(&giver, &from[i], slot[i], &f, k + 1),
			    0);
		frame_release(&giver, &f);
	}
	before = arena_bytes(&h, from, slot, HEARERS);
	assert_int_equal(before, total);
	for (i = 0; i < HEARERS; i++) {
		/* some in the middle of a reference */
		written[i] = i * 2000;
		output_wrote(&giver, &from[i], slot[i], written[i]);
	}
	output_copies_begin(&taker);
	for (i = 0; i < HEARERS; i++) {
		n = stream_bytes(&giver, &from[i], slot[i], was);
		assert_int_equal(
		    output_copy(&taker, &to[i], slot[i], written[i]), 0);
		if (i == 3) /* it is not to be */
			output_uncopy(&taker, &to[i]);
		else {
			assert_int_equal(
			    stream_bytes(&taker, &to[i], slot[i], is), n);
			assert_memory_equal(is, was, n);
		}
	}
	output_copies_end(&taker);
	output_copy(&taker, &to[3], slot[3], written[3]);
	/* of what is copied from a middle on, a rest more for each */
	n = arena_bytes(&view, to, slot, HEARERS);
	assert_true(n <= total + HEARERS * (LONG + total / HEARERS));
	for (i = 0; i < HEARERS; i++)
		output_uncopy(&taker, &to[i]);
	for (s = 0; s < h.n_segments; s++)
		assert_int_equal(taker.segment_use[s], 0);
	assert_int_equal(taker.chunks.n_used, 0);
	for (i = 0; i < HEARERS; i++)
		output_close(&giver, &from[i], slot[i]);
	output_pool_deinit(&giver);
	output_pool_deinit(&taker);
	claim_deinit(&slots);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_copy_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
