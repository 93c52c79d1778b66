/* watchdog: processes with limits of their own, and readers of the journal that
 * tick and do not read on. */
#include "watchdog_fixture.h"

enum { LONG_MS = 5 * LIMIT_MS, PERIOD_MS = WATCHDOG_PERIOD_MS };

/* The first line behind the workers'. */
static struct shm_line *
reader(void)
{
	return &hub.line[SHM_WORKERS];
}

/* A reader that lives, and has read so far of a journal with 9 entries. */
static void
begin(uint64_t cursor)
{
	dog.probe = NULL;
	scene.others = scene.readers = 1;
	scene.other[0] = reader();
	watchdog_forget(&dog, SHM_WORKERS);
	SHM_STORE(hub.heads->tail, 9);
	SHM_STORE(reader()->cursor, cursor);
	assert_int_equal(look(ALL), 0); /* sees it first */
}

/* Looks until something is to be done, while the reader ticks or not; after how
 * long, 0: nothing was for so long. */
static uint64_t
read_until(bool ticks, uint64_t most_ms)
{
	for (uint64_t ms = PERIOD_MS; ms <= most_ms; ms += PERIOD_MS) {
		if (ticks)
			SHM_COUNT(reader()->tick, 1);
		if (look(ALL) > 0)
			return ms;
	}
	return 0;
}

/* A kind may be silent for longer than the key says; others may not. */
static void
own_limit_counts(void **state)
{
	int n;

	begin(9);
	scene.other_ms[0] = LONG_MS;
	assert_int_equal(
	    read_until(false, LONG_MS + 1000), LONG_MS - PERIOD_MS);
	assert_int_equal(verdict[0].place, SHM_WORKERS);
	assert_false(verdict[0].is_stuck);
	scene.other_ms[0] = 0;
	watchdog_forget(&dog, SHM_WORKERS);
	assert_int_equal(look(ALL), 0);
	assert_int_equal(read_until(false, LONG_MS), LIMIT_MS - PERIOD_MS);
	scene.others = 0;
	scene.other_ms[0] = LONG_MS;
	assert_int_equal(look_until(0xe, &n), LIMIT_MS);
	assert_int_equal(verdict[0].place, 0);
}

/* One that ticks, and does not read on though there is something. */
static void
stuck_one_is_found(void **state)
{
	begin(5);
	assert_int_equal(
	    read_until(true, 2 * WATCHDOG_STUCK_MS), WATCHDOG_STUCK_MS);
	assert_int_equal(verdict[0].place, SHM_WORKERS);
	assert_true(verdict[0].is_stuck);
	assert_false(verdict[0].has_lock);
	assert_int_equal(verdict[0].still_ms, WATCHDOG_STUCK_MS);
	/* that one and its successor have as long again */
	assert_int_equal(
	    read_until(true, 2 * WATCHDOG_STUCK_MS), WATCHDOG_STUCK_MS);
	assert_int_equal(read_until(true, WATCHDOG_STUCK_MS - PERIOD_MS), 0);
	watchdog_forget(&dog, SHM_WORKERS);
	assert_int_equal(look(ALL), 0);
	assert_int_equal(
	    read_until(true, 2 * WATCHDOG_STUCK_MS), WATCHDOG_STUCK_MS);
}

/* One that has read all, one that gets on, however slowly, one that says why it
 * does not, one that cannot be sure to have run, and one that only counts. */
static void
others_are_left_alone(void **state)
{
	begin(9);
	assert_int_equal(read_until(true, 3 * WATCHDOG_STUCK_MS), 0);
	SHM_STORE(reader()->cursor, UINT64_MAX); /* nonsense */
	assert_int_equal(read_until(true, 3 * WATCHDOG_STUCK_MS), 0);

	begin(1);
	for (uint64_t at = 2; at < 9; at++) {
		assert_int_equal(
		    read_until(true, WATCHDOG_STUCK_MS - PERIOD_MS), 0);
		SHM_STORE(reader()->cursor, at);
	}

	begin(1);
	SHM_STORE(reader()->hand, HAND_BLOCKED);
	assert_int_equal(read_until(true, 3 * WATCHDOG_STUCK_MS), 0);
	SHM_STORE(reader()->hand, HAND_NOTHING);
	assert_int_equal(
	    read_until(true, 2 * WATCHDOG_STUCK_MS), WATCHDOG_STUCK_MS);

	begin(1); /* half of the time it does not tick */
	scene.other_ms[0] = LONG_MS;
	for (int i = 0; i < WATCHDOG_STUCK_MS / PERIOD_MS - 1; i++) {
		assert_int_equal(read_until(true, PERIOD_MS), 0);
		assert_int_equal(read_until(false, PERIOD_MS), 0);
	}
	assert_int_equal(read_until(true, PERIOD_MS), PERIOD_MS);
	scene.other_ms[0] = 0;

	begin(1);
	scene.readers = 0;
	assert_int_equal(read_until(true, 3 * WATCHDOG_STUCK_MS), 0);
}

/* One that is not ready may have much to do first; what it did not read then is
 * not held against it later. */
static void
starting_one_is_left_alone(void **state)
{
	scene.others_starting = 1;
	begin(5);
	assert_int_equal(read_until(true, 3 * WATCHDOG_STUCK_MS), 0);
	scene.others_starting = 0;
	assert_int_equal(look(ALL), 0); /* sees it first */
	assert_int_equal(
	    read_until(true, 2 * WATCHDOG_STUCK_MS), WATCHDOG_STUCK_MS);
}

/* Who hangs goes first. */
static void
hung_one_goes_first(void **state)
{
	begin(5);
	assert_int_equal(
	    read_until(true, WATCHDOG_STUCK_MS - LIMIT_MS - PERIOD_MS), 0);
	for (uint64_t ms = PERIOD_MS; ms <= LIMIT_MS; ms += PERIOD_MS) {
		SHM_COUNT(reader()->tick, 1);
		assert_int_equal(look(0xe), ms == LIMIT_MS);
	}
	assert_int_equal(verdict[0].place, 0);
	assert_false(verdict[0].is_stuck);
	watchdog_forget(&dog, 0);
	assert_int_equal(read_until(true, PERIOD_MS), PERIOD_MS);
	assert_true(verdict[0].is_stuck);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(own_limit_counts),
	    TEST(stuck_one_is_found),
	    TEST(others_are_left_alone),
	    TEST(starting_one_is_left_alone),
	    TEST(hung_one_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
