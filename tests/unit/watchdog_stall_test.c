/* watchdog: who waits for a processor, for a disk, or for a machine that stood
 * still does not hang; and the clock by which the master judges others. */
#include "watchdog_fixture.h"

/* The clock counts the time in which the master looked, whatever the machine's
 * clock says meanwhile. */
static void
clock_counts_own_time(void **state)
{
	const uint64_t begin = now;

	assert_int_equal(watchdog_clock_ms(&dog, now), begin);
	assert_int_equal(watchdog_clock_ms(&dog, now + 70), begin + 70);
	for (int i = 1; i <= 10; i++) {
		assert_int_equal(look(0xf), 0);
		assert_int_equal(watchdog_clock_ms(&dog, now),
		    begin + i * WATCHDOG_PERIOD_MS);
	}
	/* stopped for an hour, seen between two looks, and at the next one */
	now += 3600 * 1000;
	assert_int_equal(
	    watchdog_clock_ms(&dog, now), begin + 1000 + WATCHDOG_GONE_MAX_MS);
	look(0xf);
	assert_int_equal(
	    watchdog_clock_ms(&dog, now), begin + 1000 + WATCHDOG_GONE_MAX_MS);
	/* it never goes back */
	now -= 1000;
	assert_int_equal(
	    watchdog_clock_ms(&dog, now), begin + 1000 + WATCHDOG_GONE_MAX_MS);
	look(0xf);
	assert_in_range(watchdog_clock_ms(&dog, now),
	    begin + 1000 + WATCHDOG_GONE_MAX_MS,
	    begin + 1000 + 2 * WATCHDOG_GONE_MAX_MS);
	/* after an upgrade it goes on where it was */
	watchdog_init(&dog, 5000, now);
	assert_int_equal(watchdog_clock_ms(&dog, now + 50), 5050);
}

/* A process that could run and gets no processor does not hang. */
static void
starved_one_has_time(void **state)
{
	assert_int_equal(silent_until('R', 0, 0, 600000), 0);
	/* a tenth of the time: ten times as much */
	assert_in_range(silent_until('R', WATCHDOG_PERIOD_MS / 10, 0, 600000),
	    9 * LIMIT_MS, 11 * LIMIT_MS);
}

/* Nor does one that sleeps whenever it is seen and waits for a processor in
 * between. */
static void
queue_is_no_silence(void **state)
{
	assert_int_equal(silent_until('S', 0, WATCHDOG_PERIOD_MS, 600000), 0);
	assert_in_range(
	    silent_until('S', 0, WATCHDOG_PERIOD_MS * 9 / 10, 600000),
	    9 * LIMIT_MS, 11 * LIMIT_MS);
}

/* One that waits for a disk has its own limit beside the other one. */
static void
disk_has_a_bound(void **state)
{
	assert_in_range(silent_until('D', 0, 0, 2 * WATCHDOG_DISK_MAX_MS),
	    WATCHDOG_DISK_MAX_MS + LIMIT_MS,
	    WATCHDOG_DISK_MAX_MS + LIMIT_MS + 2 * WATCHDOG_PERIOD_MS);
	/* what it does with a processor meanwhile counts */
	assert_in_range(silent_until('D', WATCHDOG_PERIOD_MS / 2, 0, 10000),
	    2 * LIMIT_MS, 2 * LIMIT_MS + 2 * WATCHDOG_PERIOD_MS);
}

/* One that spins, sleeps or is stopped hangs, also if the kernel says nothing.
 */
static void
others_have_not(void **state)
{
	assert_in_range(silent_until('R', WATCHDOG_PERIOD_MS, 0, 10000),
	    LIMIT_MS, LIMIT_MS + WATCHDOG_PERIOD_MS);
	assert_int_equal(silent_until('S', 0, 0, 10000), LIMIT_MS);
	assert_int_equal(silent_until('T', 0, 0, 10000), LIMIT_MS);
	kernel[0].known = false;
	watchdog_forget(&dog, 0);
	assert_int_equal(look_until(0xe, &(int){0}), LIMIT_MS);
}

/* A master that was itself stopped for an hour has seen nothing. */
static void
stopped_master_accuses_nobody(void **state)
{
	int n;

	assert_int_equal(look(0xf), 0);
	now += 3600 * 1000;
	assert_int_equal(look(0), 0);
	assert_int_equal(look(0xf), 0);
	assert_int_equal(look_until(0xf, &n), 0);
}

/* A look that comes late gives all a new start. */
static void
late_look_accuses_nobody(void **state)
{
	int n;

	for (int i = 0; i < 19; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, NONE), 0);
	assert_int_equal(look_after(6700, NONE), 0);
	assert_int_equal(dog.late_ms, 6700);
	/* all go on, one after the other, within the limit */
	for (int i = 1; i < 20; i++) {
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, NONE), 0);
		assert_int_equal(dog.late_ms, 0);
	}
	assert_int_equal(look_for(ALL, 10000, &n), 0);
}

/* A clock that jumped, in either direction, does the same. */
static void
clock_jump_accuses_nobody(void **state)
{
	int n;

	for (int i = 0; i < 19; i++)
		assert_int_equal(look(0xe), 0);
	now -= 3600 * 1000;
	assert_int_equal(look(0xe), 0);
	assert_true(dog.late_ms > 0);
	assert_int_equal(look_until(0xe, &n), LIMIT_MS);
	assert_killed(0);
	watchdog_forget(&dog, 0);
	for (int i = 0; i < 19; i++)
		assert_int_equal(look(0xe), 0);
	now += 3600 * 1000ull * 1000;
	assert_int_equal(look(0xe), 0);
	assert_int_equal(look_until(0xe, &n), LIMIT_MS);
}

/* A master that is late each time finds a process that hangs nevertheless, and
 * leaves those alone that tick now and then. */
static void
late_for_ever_finds_it(void **state)
{
	int n = 0;

	for (int i = 0; i < 100 && n == 0; i++)
		n = look_after(3000, i % 5 == 0 ? ALL & ~1 : NONE);
	assert_int_equal(n, 1);
	assert_killed(0);
}

/* A watchdog shorter than what counts as late: a stall is none of theirs. */
static void
late_by_a_short_limit(void **state)
{
	scene.limit_ms = WATCHDOG_PERIOD_MS;
	assert_int_equal(look_after(400, NONE), 0);
	assert_int_equal(look(ALL), 0);
}

/* A stall does not make waiting with the lock look long. */
static void
late_look_spares_the_holder(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	for (int i = 0; i < 5; i++)
		assert_int_equal(look(0xd), 0);
	assert_int_equal(look_after(5000, 0xd), 0);
	assert_in_range(look_until(0xd, &n), WATCHDOG_LOCK_MS,
	    WATCHDOG_LOCK_MS + 2 * WATCHDOG_PERIOD_MS);
	assert_killed(1);
	hub_unlock(&hub);
}

/* A holder of the lock that gets no processor is none that hangs, however long
 * others wait; one that spins with it is. */
static void
starved_holder_has_time(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	kernel_says(1, 'R', 0, 0);
	assert_int_equal(look_until(0xd, &n), 0);
	kernel_says(1, 'S', 0, WATCHDOG_PERIOD_MS);
	assert_int_equal(look_until(0xd, &n), 0);
	watchdog_forget(&dog, 1);
	kernel_says(1, 'R', WATCHDOG_PERIOD_MS, 0);
	assert_in_range(look_until(0xd, &n), WATCHDOG_LOCK_MS,
	    WATCHDOG_LOCK_MS + 2 * WATCHDOG_PERIOD_MS);
	assert_killed(1);
	assert_true(verdict[0].has_lock);
	hub_unlock(&hub);
}

/* Many are silent at once: that is the machine. One is killed, the others have
 * a new start, and tick again. */
static void
one_victim_at_a_time(void **state)
{
	int n;

	assert_int_equal(look_for(NONE, 10000, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	for (int i = 1; i < 20; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, NONE), 0);
	assert_int_equal(look_for(ALL, 10000, &n), 0);
}

/* One that is silent for less than half of the limit is no reason to doubt. */
static void
short_silence_goes_on(void **state)
{
	int n;

	for (int i = 0; i < 15; i++)
		assert_int_equal(look(0xe), 0);
	assert_int_equal(look_until(0xc, &n), 500);
	assert_killed(0);
	scene.workers &= ~1ull;
	assert_int_equal(look_until(0xc, &n), LIMIT_MS - 500);
	assert_killed(1);
}

/* Two that do hang are both found. */
static void
two_are_found_in_turn(void **state)
{
	int n;

	kernel_says(1, 'T', 0, 0);
	kernel_says(3, 'T', 0, 0);
	assert_int_equal(look_until(0x5, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	assert_killed(1);
	/* its successor starts, and ticks */
	watchdog_forget(&dog, 1);
	assert_int_equal(look_until(0x7, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	assert_killed(3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(clock_counts_own_time),
	    TEST(starved_one_has_time),
	    TEST(queue_is_no_silence),
	    TEST(disk_has_a_bound),
	    TEST(others_have_not),
	    TEST(stopped_master_accuses_nobody),
	    TEST(late_look_accuses_nobody),
	    TEST(clock_jump_accuses_nobody),
	    TEST(late_for_ever_finds_it),
	    TEST(late_by_a_short_limit),
	    TEST(late_look_spares_the_holder),
	    TEST(starved_holder_has_time),
	    TEST(one_victim_at_a_time),
	    TEST(short_silence_goes_on),
	    TEST(two_are_found_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
