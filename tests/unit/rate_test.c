/* rate: a token bucket, by a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rate.h"

enum { PER_S = 10, BURST = 64 };

/* Takes as many as there are. */
static int
drain(struct rate *r, uint64_t now_ms)
{
	int n = 0;

	while (rate_take(r, now_ms, PER_S, BURST))
		n++;
	return n;
}

/* A burst at once, then ten a second, and never more than a burst. */
static void
test_burst(void **state)
{
	struct rate r = {0};

	assert_int_equal(drain(&r, 5000), BURST);
	assert_int_equal(drain(&r, 5099), 0);
	assert_int_equal(drain(&r, 5100), 1);
	assert_int_equal(drain(&r, 6100), PER_S);
	assert_int_equal(drain(&r, 6100 + 3600 * 1000), BURST);
	assert_int_equal(drain(&r, UINT64_MAX), BURST);
}

/* In the long run it is the rate, however often it is asked. */
static void
test_steady(void **state)
{
	static const uint64_t step_ms[] = {1, 7, 99, 100, 101, 1000};
	struct rate r;
	uint64_t t;
	int n;

	for (unsigned k = 0; k < sizeof(step_ms) / sizeof(step_ms[0]); k++) {
		r = (struct rate){0};
		assert_int_equal(drain(&r, 1000), BURST);
		for (n = 0, t = 0; t < 100 * 1000; t += step_ms[k])
			n += drain(&r, 1000 + t);
		assert_in_range(n, 100 * PER_S - 11, 100 * PER_S);
	}
}

/* A clock that goes back brings nothing, then or afterwards. */
static void
test_back(void **state)
{
	struct rate r = {0};

	assert_int_equal(drain(&r, 5000), BURST);
	assert_int_equal(drain(&r, 4000), 0);
	assert_int_equal(drain(&r, 0), 0);
	assert_int_equal(drain(&r, 5000), 0);
	assert_int_equal(drain(&r, 5200), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst),
	    cmocka_unit_test(test_steady),
	    cmocka_unit_test(test_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
