/* share: what workers may take of what they all share: no worker can take what
 * another one needs to go on. */
#include "hub_fixture.h"

#include "hub/output.h"
#include "hub/share.h"

enum { ITEMS = 500, APART = 2, LOW = 40, COMMON = ITEMS - APART * SHM_WORKERS };

static bool
idle_cb(const void *arg, uint32_t i)
{
	return true;
}

/* Takes as many as there are; returns how many. */
static uint32_t
take_all(struct share *s)
{
	uint32_t n = 0;

	while (share_take(s, idle_cb, NULL) != SHM_NONE)
		n++;
	return n;
}

/* One worker alone gets all but what is set apart for others. */
static void
test_alone(void **state)
{
	static _Atomic uint8_t owner[ITEMS];
	struct share s;
	uint32_t i;

	share_init(&s, owner, ITEMS, 3);
	share_limit(&s, APART, LOW);
	assert_int_equal(take_all(&s), COMMON + APART);
	for (i = COMMON; i < ITEMS; i++)
		assert_int_equal(owner[i], (i - COMMON) / APART == 3 ? 4 : 0);
	for (i = 0; i < ITEMS; i++)
		if (owner[i] == 4)
			share_give(&s, i);
	assert_int_equal(s.owned, 0);
	assert_false(share_is_greedy(&s));
}

/* Of four, each gets its share though one was there first and wants all; what
 * others leave is that one's, but for the last ones. */
static void
test_fair(void **state)
{
	static _Atomic uint8_t owner[ITEMS];
	struct share s[4];
	uint32_t k, i, n;

	for (k = 0; k < 4; k++) {
		share_init(&s[k], owner, ITEMS, (int)k);
		share_limit(&s[k], APART, LOW);
		share_divide(&s[k], 4);
	}
	assert_int_equal(take_all(&s[0]), COMMON - LOW + APART);
	assert_false(share_is_greedy(&s[0]));
	for (k = 1; k < 4; k++) {
		n = LOW / 4;
		while (n-- > 0)
			assert_in_range(
			    share_take(&s[k], idle_cb, NULL), 0, COMMON - 1);
		assert_false(share_is_greedy(&s[k]));
	}
	assert_true(share_is_greedy(&s[0]));
	/* it gives back until nobody is short */
	for (i = 0; share_is_greedy(&s[0]); i++)
		if (owner[i] == 1)
			share_give(&s[0], i);
	assert_int_equal(take_all(&s[0]), 0);
	n = s[1].owned;
	share_recount(&s[1]);
	assert_int_equal(s[1].owned, n);
}

/* There is less than one for each: each has what is set apart. */
static void
test_less_than_one_each(void **state)
{
	static _Atomic uint8_t owner[SHM_WORKERS * APART + 48];
	struct share s[SHM_WORKERS];
	uint32_t k, n = 0, got;

	for (k = 0; k < SHM_WORKERS; k++) {
		share_init(&s[k], owner, SHM_WORKERS * APART + 48, (int)k);
		share_limit(&s[k], APART, 6);
		share_divide(&s[k], SHM_WORKERS);
		got = take_all(&s[k]);
		assert_true(got >= APART);
		n += got;
	}
	assert_int_equal(n, SHM_WORKERS * APART + 42);
}

/* Takes some for a worker, which has those from there on. */
static void
take_run(struct share *s, uint32_t from, uint32_t n)
{
	for (; n > 0; n--)
		assert_int_equal(share_take(s, idle_cb, NULL), from++);
}

/* What each of some workers takes in turn lies together, at the beginning; when
 * no strip is free each takes what there is. */
static void
test_strips(void **state)
{
	enum { N = 5 * 256, STRIP = 5 };
	static _Atomic uint8_t owner[N];
	struct share s[2];
	uint32_t k;

	for (k = 0; k < 2; k++) {
		share_init(&s[k], owner, N, (int)k);
		share_strips(&s[k]);
	}
	for (k = 0; k < 2 * STRIP; k++)
		take_run(&s[k % 2], k % 2 * STRIP + k / 2, 1);
	take_run(&s[1], 2 * STRIP, 1);
	take_run(&s[0], 3 * STRIP, 1);
	/* what was given back is taken before what was never had, also by
	 * another worker if it is a whole strip */
	share_give(&s[0], 3);
	take_run(&s[0], 3, 1);
	take_run(&s[0], 3 * STRIP + 1, STRIP - 1);
	for (k = 0; k < STRIP; k++)
		share_give(&s[0], k);
	take_run(&s[0], 0, 2);
	take_run(&s[1], 2 * STRIP + 1, STRIP - 1);
	assert_int_equal(take_all(&s[1]), N - 4 * STRIP + STRIP - 2);
	assert_int_equal(take_all(&s[0]), 0);
	share_give(&s[1], N - 1);
	take_run(&s[0], N - 1, 1);
}

/* A pool of the smallest output memory, with 64 workers: each can build and
 * append, after all the others have used up what they can get. */
static void
test_smallest(void **state)
{
	static uint8_t bytes[OUTPUT_SEGMENT];
	static struct output_pool pool[SHM_WORKERS];
	static struct frame f;
	struct hub h, view[SHM_WORKERS];
	uint32_t k, n;

	fixture_hub(&h, 128, 16, 65536, 4 << 20, 1 << 20);
	for (k = 0; k < SHM_WORKERS; k++) {
		view[k] = h;
		view[k].self = (int)k;
		assert_int_equal(output_pool_init(&pool[k], &view[k]), 0);
		output_divide(&pool[k], SHM_WORKERS);
	}
	for (k = 0; k < SHM_WORKERS; k++) {
		n = 0;
		while (
		    frame_build(&pool[k], &f, n % 2 ? FRAME_OWN : FRAME_SHARED,
			&(struct iovec){bytes, sizeof(bytes)}, 1) == 0)
			n++;
		assert_true(n >= 3);
		for (n = 0; claim_take(&pool[k].chunks) != SHM_NONE;)
			n++;
		assert_true(n >= OUTPUT_CHUNKS_APART * SHM_BLOCK);
	}
	for (k = 0; k < SHM_WORKERS; k++)
		output_pool_deinit(&pool[k]);
	hub_destroy(&h);
}

/* A strip that was given back is begun before one that never was. */
static void
test_strip_again(void **state)
{
	enum { STRIP = 5, N = STRIP * 256, HELD = 3 * STRIP };
	static _Atomic uint8_t owner[N];
	struct share s;
	uint32_t k;

	share_init(&s, owner, N, 0);
	share_strips(&s);
	take_run(&s, 0, HELD);
	for (k = 0; k < STRIP; k++)
		share_give(&s, k);
	share_give(&s, HELD - 1);
	take_run(&s, HELD - 1, 1);
	take_run(&s, 0, STRIP);
	take_run(&s, HELD, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_fair),
	    cmocka_unit_test(test_less_than_one_each),
	    cmocka_unit_test(test_strips),
	    cmocka_unit_test(test_strip_again),
	    cmocka_unit_test(test_smallest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
