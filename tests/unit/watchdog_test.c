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

/* Of several that have been silent for too long, the longest one is killed. */
static void
longest_goes_first(void **state)
{
	int n;

	scene.limit_ms = 60000;
	assert_int_equal(look_for(0x7, 1000, &n), 0);
	assert_int_equal(look_for(0x5, 5000, &n), 0);
	scene.limit_ms = LIMIT_MS;
	assert_int_equal(look(0x5), 1);
	assert_killed(3);
}

/* A worker that is starting is judged for the lock alone. */
static void
starting_one_has_its_own_limit(void **state)
{
	int n;

	scene.starting = 2;
	assert_int_equal(look_until(0xd, &n), 0);
	assert_true(watchdog_still_ms(&dog, 1) >= 9000);
	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.line[0].lock_state, LOCK_WAITING);
	assert_in_range(look_until(0xd, &n), WATCHDOG_LOCK_MS,
	    WATCHDOG_LOCK_MS + 2 * WATCHDOG_PERIOD_MS);
	assert_killed(1);
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
	    TEST(longest_goes_first),
	    TEST(starting_one_has_its_own_limit),
	    TEST(publishing_holder_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
