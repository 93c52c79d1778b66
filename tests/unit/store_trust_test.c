/* trust: which time counts for what is too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/store/trust.h"

#define DAY ((int64_t)24 * 3600 * 1000)
#define BEGIN (20000 * DAY)

static struct trust trust;
static int64_t ahead; /* of the clock */
static uint64_t now;  /* since the boot */

static int
setup(void **state)
{
	trust = (struct trust){.wall_ms = BEGIN};
	ahead = 0;
	now = 1000;
	assert_int_equal(trust_ask(&trust, BEGIN, now), BEGIN);
	return 0;
}

/* Some time later: how many days ahead of the true time what counts is. */
static int64_t
later(int64_t ms)
{
	int64_t truth;

	now += (uint64_t)ms;
	truth = BEGIN + (int64_t)now - 1000;
	return (trust_ask(&trust, truth + ahead, now) - truth) / DAY;
}

/* A clock that goes on, is a little wrong, or goes back, counts at once. */
static void
usual_clock_counts(void **state)
{
	assert_int_equal(later(5000), 0);
	ahead = 2 * DAY;
	assert_int_equal(later(5000), 2);
	ahead = -400 * DAY;
	assert_int_equal(later(5000), -400);
	assert_int_equal(trust.doubt_ms, 0);
}

/* One that leaps does not, until it has stayed there. */
static void
leap_is_doubted(void **state)
{
	ahead = 400 * DAY;
	assert_int_equal(later(5000), 0);
	assert_int_not_equal(trust.doubt_ms, 0);
	assert_int_equal(later(DAY - 60000), 0);
	assert_int_equal(later(120000), 400);
	assert_int_equal(trust.doubt_ms, 0);
	assert_int_equal(later(5000), 400);
}

/* One that is set right again was never anything. */
static void
right_clock_counts_again(void **state)
{
	ahead = 400 * DAY;
	assert_int_equal(later(DAY / 2), 0);
	ahead = 0;
	assert_int_equal(later(5000), 0);
	assert_int_equal(trust.doubt_ms, 0);
	ahead = 400 * DAY;
	assert_int_equal(later(DAY / 2 + 60000), 0);
	assert_int_equal(later(DAY / 2), 0);
}

/* A second leap begins the time anew, another process does not. */
static void
doubt_goes_on(void **state)
{
	ahead = 400 * DAY;
	assert_int_equal(later(5000), 0);
	assert_int_equal(later(DAY / 2), 0);
	trust = (struct trust){
	    .wall_ms = trust.wall_ms, .doubt_ms = trust.doubt_ms};
	assert_int_equal(later(5000), 0);
	assert_true(trust.doubt_ms >= (uint64_t)DAY / 2);
	ahead = 800 * DAY;
	assert_int_equal(later(5000), 0);
	assert_true(trust.doubt_ms < 5000);
	assert_int_equal(later(DAY / 2 + 60000), 0);
	assert_int_equal(later(DAY / 2), 800);
}

/* Where nothing is known nothing is old, until the clock has gone on. */
static void
unknown_time_is_none(void **state)
{
	trust = (struct trust){.wall_ms = 0};
	assert_int_equal(trust_ask(&trust, BEGIN, now), 0);
	assert_int_equal(trust_ask(&trust, BEGIN + 5000, now + 5000), 0);
	assert_int_equal(
	    trust_ask(&trust, BEGIN + DAY, now + (uint64_t)DAY), BEGIN + DAY);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(usual_clock_counts),
	    TEST(leap_is_doubted), TEST(right_clock_counts_again),
	    TEST(doubt_goes_on), TEST(unknown_time_is_none)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
