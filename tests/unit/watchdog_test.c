/* watchdog: which processes hang, and which ones only wait for one that does.
 */
#include "watchdog_fixture.h"

/* Who ticks is left alone. */
static void
lively_are_left_alone(void **state)
{
	int n;

	assert_int_equal(look_until(0xf, &n), 0);
}

/* Who does not is accused after the limit, and nobody else. */
static void
hung_one_is_found(void **state)
{
	int n;

	assert_int_equal(look_until(0xb, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].place, 2);
	assert_int_equal(verdict[0].still_ms, LIMIT_MS);
	assert_false(verdict[0].has_lock);
	/* Its successor starts anew. */
	watchdog_forget(&dog, 2);
	assert_int_equal(look(0xb), 0);
	assert_int_equal(look_until(0xb, &n), LIMIT_MS - WATCHDOG_PERIOD_MS);
}

/* Waiters tick, so they are never accused, however long it takes. */
static void
waiters_are_left_alone(void **state)
{
	int n;

	for (int i = 0; i < WORKERS; i++)
		SHM_STORE(hub.line[i].lock_state, LOCK_WAITING);
	assert_int_equal(look_until(0xf, &n), 0);
}

/* A stopped holder is accused as soon as somebody has waited long enough. */
static void
holder_is_found_first(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	SHM_STORE(hub.line[3].lock_state, LOCK_WAITING);
	assert_in_range(
	    look_until(0xd, &n), WATCHDOG_LOCK_MS, WATCHDOG_LOCK_MS + 100);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].place, 1);
	assert_true(verdict[0].has_lock);
	hub_unlock(&hub);
}

/* A holder that ticks is busy, not hung: the others wait for many turns. */
static void
busy_holder_is_left_alone(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	assert_int_equal(look_until(0xf, &n), 0);
	hub_unlock(&hub);
}

/* Stopped between taking the lock and naming itself. */
static void
nameless_holder_is_found(void **state)
{
	int n;

	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	SHM_STORE(hub.line[2].lock_state, LOCK_WANTED);
	assert_in_range(
	    look_until(0xb, &n), WATCHDOG_LOCK_MS, WATCHDOG_LOCK_MS + 100);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].place, 2);
}

/* Nobody waits: a stopped holder is an ordinary hung worker. */
static void
holder_without_waiters_has_time(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	assert_int_equal(look_until(0xd, &n), LIMIT_MS);
	hub_unlock(&hub);
}

/* One that is dead is not to be killed. */
static void
dead_one_is_left_alone(void **state)
{
	assert_int_equal(silent_until('Z', 0, 0, 10000), 0);
}

/* Keepers are judged by the time that workers are. */
static void
keepers_are_judged_alike(void **state)
{
	int n;

	kernel_says(true, 2, 'R', 0, 0);
	assert_int_equal(pair_until(ALL, 0xb, 60000, &n), 0);
	kernel_says(true, 2, 'D', 0, 0);
	assert_int_equal(pair_until(ALL, 0xb, 20000, &n), 0);
	watchdog_forget_keeper(&dog, 2);
	kernel_says(true, 2, 'S', 0, 0);
	assert_int_equal(pair_until(ALL, 0xb, 10000, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	assert_killed(true, 2);
	assert_int_equal(verdict[0].still_ms, LIMIT_MS);
	/* a keeper at rest ticks seldom */
	watchdog_forget_keeper(&dog, 2);
	scene.limit_ms = WATCHDOG_PERIOD_MS;
	assert_int_equal(
	    pair_until(ALL, 0xb, 10000, &n), WATCHDOG_KEEPER_MIN_MS);
}

/* Both of a pair are silent: the worker goes, and the keeper is continued. */
static void
worker_goes_before_its_keeper(void **state)
{
	int n;

	kernel_says(false, 2, 'T', 0, 0);
	kernel_says(true, 2, 'T', 0, 0);
	/* the keeper has been silent for longer */
	for (int i = 0; i < 5; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, ALL, 0xb), 0);
	assert_int_equal(pair_until(0xb, 0xb, 10000, &n), LIMIT_MS);
	assert_int_equal(n, 1);
	assert_killed(false, 2);
	scene.workers &= ~4ull;
	scene.changing = 4;
	assert_in_range(pair_until(0xb, 0xb, 10000, &n), WATCHDOG_CONTINUE_MS,
	    WATCHDOG_CONTINUE_MS + WATCHDOG_PERIOD_MS);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].action, WATCHDOG_CONTINUE);
	assert_true(verdict[0].keeper);
	assert_int_equal(verdict[0].place, 2);
}

/* A keeper begins anew when its worker dies, when the next one starts, and when
 * it is ready: whatever it was silent for before. */
static void
keeper_starts_with_its_worker(void **state)
{
	int n;

	kernel_says(true, 1, 'S', 0, 0);
	for (int i = 0; i < 19; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, ALL, 0xd), 0);
	scene.workers &= ~2ull;
	scene.changing = 2;
	for (int i = 0; i < 25; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, 0xd, 0xd), 0);
	/* a replacement so quick that no look saw it */
	scene.workers = ALL;
	scene.changing = 0;
	for (int i = 0; i < 19; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, ALL, 0xd), 0);
	watchdog_forget(&dog, 1);
	assert_int_equal(pair_until(ALL, 0xd, 10000, &n), LIMIT_MS);
	assert_killed(true, 1);
}

/* A worker begins anew when its keeper is killed: by then it has to fill the
 * next one. So do workers that start. */
static void
worker_starts_with_its_keeper(void **state)
{
	int n;

	scene.starting = 8;
	for (int i = 0; i < 11; i++)
		assert_int_equal(look_after(WATCHDOG_PERIOD_MS, 0x7, 0xd), 0);
	/* worker 1 is silent for less than the half of the limit */
	assert_int_equal(pair_until(0x5, 0xd, 10000, &n), 900);
	assert_int_equal(n, 1);
	assert_killed(true, 1);
	assert_int_equal(watchdog_still_ms(&dog, 3), 0);
	watchdog_forget_keeper(&dog, 1);
	assert_int_equal(pair_until(0x5, ALL, 10000, &n), LIMIT_MS);
	assert_killed(false, 1);
}

/* Of several that have been silent for too long, the longest one is killed. */
static void
longest_goes_first(void **state)
{
	int n;

	scene.limit_ms = 60000;
	assert_int_equal(pair_until(0x7, ALL, 1000, &n), 0);
	assert_int_equal(pair_until(0x5, ALL, 5000, &n), 0);
	scene.limit_ms = LIMIT_MS;
	assert_int_equal(look(0x5), 1);
	assert_killed(false, 3);
}

/* A keeper that hangs while a worker takes over from it has more time, but not
 * for ever; it is not continued, as it is not stopped. */
static void
keeper_hangs_in_a_takeover(void **state)
{
	int n;

	scene.changing = 1;
	look(ALL);
	kernel_says(true, 0, 'S', 0, 0);
	assert_int_equal(pair_until(ALL, 0xe, 60000, &n),
	    WATCHDOG_TAKEOVER_TIMES * LIMIT_MS);
	assert_int_equal(n, 1);
	assert_killed(true, 0);
	/* a long `watchdog` is not made longer */
	watchdog_forget_keeper(&dog, 0);
	scene.limit_ms = 60000;
	assert_in_range(pair_until(ALL, 0xe, 100000, &n), 60000,
	    60000 + WATCHDOG_PERIOD_MS);
	watchdog_forget_keeper(&dog, 0);
	scene.limit_ms = 10000;
	assert_in_range(pair_until(ALL, 0xe, 100000, &n),
	    WATCHDOG_TAKEOVER_MAX_MS,
	    WATCHDOG_TAKEOVER_MAX_MS + WATCHDOG_PERIOD_MS);
}

/* A stopped one is continued, again if it is stopped again, and if the kernel
 * does not say what it does; killed in the end if it stays stopped. */
static void
stopped_keeper_is_continued(void **state)
{
	uint64_t ms, last = 0;
	int n, times = 0;

	kernel_says(true, 0, 'T', 0, 0);
	assert_int_equal(pair_until(ALL, 0xe, 1000, &n), 0); /* nobody waits */
	scene.changing = 1;
	for (ms = WATCHDOG_PERIOD_MS; ms <= 20000; ms += WATCHDOG_PERIOD_MS) {
		n = look_after(WATCHDOG_PERIOD_MS, ALL, 0xe);
		if (n == 0)
			continue;
		if (verdict[n - 1].action == WATCHDOG_KILL)
			break;
		assert_int_equal(n, 1);
		assert_in_range(ms - last, WATCHDOG_CONTINUE_MS,
		    WATCHDOG_CONTINUE_MS + WATCHDOG_PERIOD_MS);
		last = ms;
		times++;
	}
	assert_true(times > 10);
	assert_in_range(ms, WATCHDOG_TAKEOVER_TIMES * LIMIT_MS,
	    WATCHDOG_TAKEOVER_TIMES * LIMIT_MS + WATCHDOG_PERIOD_MS);
	watchdog_forget_keeper(&dog, 0);
	assert_in_range(pair_until(ALL, 0xe, 1000, &n), WATCHDOG_CONTINUE_MS,
	    WATCHDOG_CONTINUE_MS + WATCHDOG_PERIOD_MS);
	assert_int_equal(look(ALL), 0); /* it ticks, and is stopped again */
	assert_in_range(pair_until(ALL, 0xe, 1000, &n), WATCHDOG_CONTINUE_MS,
	    WATCHDOG_CONTINUE_MS + WATCHDOG_PERIOD_MS);
	kernel[1][0].known = false;
	watchdog_forget_keeper(&dog, 0);
	assert_in_range(pair_until(ALL, 0xe, 1000, &n), WATCHDOG_CONTINUE_MS,
	    WATCHDOG_CONTINUE_MS + WATCHDOG_PERIOD_MS);
}

/* A worker that is starting is judged for the lock alone. */
static void
starting_one_has_its_own_limit(void **state)
{
	int n;

	scene.starting = 2;
	scene.changing = 2;
	assert_int_equal(look_until(0xd, &n), 0);
	assert_true(watchdog_still_ms(&dog, 1) >= 9000);
	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	assert_in_range(look_until(0xd, &n), WATCHDOG_LOCK_MS,
	    WATCHDOG_LOCK_MS + 2 * WATCHDOG_PERIOD_MS);
	assert_killed(false, 1);
	hub_unlock(&hub);
}

/* A worker in a long turn of its loop, which is the holder whenever it is
 * looked at, each time for another publication. */
static void
publishing_holder_is_left_alone(void **state)
{
	uint64_t tail = 0;
	int n = 0;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	for (int i = 0; i < 15; i++) {
		SHM_STORE(hub.heads->tail, ++tail);
		assert_int_equal(look(0xd), 0);
	}
	/* it is silent for longer than a holder may be, but has not held it */
	assert_true(watchdog_still_ms(&dog, 1) > WATCHDOG_LOCK_MS);
	assert_in_range(look_until(0xd, &n), WATCHDOG_LOCK_MS - 100,
	    WATCHDOG_LOCK_MS + WATCHDOG_PERIOD_MS);
	SHM_STORE(hub.heads->tail, 0);
	hub_unlock(&hub);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(lively_are_left_alone),
	    TEST(hung_one_is_found),
	    TEST(waiters_are_left_alone),
	    TEST(holder_is_found_first),
	    TEST(busy_holder_is_left_alone),
	    TEST(nameless_holder_is_found),
	    TEST(holder_without_waiters_has_time),
	    TEST(dead_one_is_left_alone),
	    TEST(keepers_are_judged_alike),
	    TEST(worker_goes_before_its_keeper),
	    TEST(keeper_starts_with_its_worker),
	    TEST(worker_starts_with_its_keeper),
	    TEST(longest_goes_first),
	    TEST(keeper_hangs_in_a_takeover),
	    TEST(stopped_keeper_is_continued),
	    TEST(starting_one_has_its_own_limit),
	    TEST(publishing_holder_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
