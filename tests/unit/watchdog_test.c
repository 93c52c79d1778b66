/* watchdog: who hangs, and who only waits for one that does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/lock.h"
#include "hub/stats.h"
#include "master/watchdog.h"

enum { LIMIT_MS = 2000, WORKERS = 4 };

static struct hub hub;
static struct watchdog dog;
static struct watchdog_verdict verdict[SHM_WORKERS];
static uint64_t now;

/* Makes a hub with four workers that all live. */
static int
setup(void **state)
{
	const struct hub_limits limits = {.connections = 64,
	    .users = 64,
	    .journal_bytes = 1024 * 1024,
	    .output_bytes = 4 * 1024 * 1024,
	    .input_bytes = 1024 * 1024};

	if (hub_create(&hub, &limits) == -1)
		return -1;
	now = 1000000;
	watchdog_init(&dog, 0, now);
	for (int i = 0; i < WORKERS; i++)
		watchdog_forget(&dog, i);
	return 0;
}

/* Gives the memory back. */
static int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* Lets one period pass in which the workers in mask tick; the number of
 * verdicts. */
static int
look(uint64_t ticking)
{
	for (int i = 0; i < WORKERS; i++)
		if ((ticking >> i & 1) != 0)
			SHM_COUNT(hub.worker[i].tick, 1);
	now += WATCHDOG_PERIOD_MS;
	return watchdog_look(
	    &dog, &hub, (1u << WORKERS) - 1, LIMIT_MS, now, verdict);
}

/* Looks until somebody is accused; how long that took, 0 = for 10 s nobody. */
static uint64_t
look_until(uint64_t ticking, int *n)
{
	for (uint64_t ms = WATCHDOG_PERIOD_MS; ms <= 10000;
	     ms += WATCHDOG_PERIOD_MS)
		if ((*n = look(ticking)) > 0)
			return ms;
	return 0;
}

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
	assert_int_equal(verdict[0].worker, 2);
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
		SHM_STORE(hub.worker[i].lock_state, LOCK_WAITING);
	assert_int_equal(look_until(0xf, &n), 0);
}

/* A stopped holder is accused as soon as somebody has waited long enough. */
static void
holder_is_found_first(void **state)
{
	int n;

	hub_become(&hub, 1);
	hub_lock(&hub);
	SHM_STORE(hub.worker[0].lock_state, LOCK_WAITING);
	SHM_STORE(hub.worker[3].lock_state, LOCK_WAITING);
	assert_in_range(
	    look_until(0xd, &n), WATCHDOG_LOCK_MS, WATCHDOG_LOCK_MS + 100);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].worker, 1);
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
	SHM_STORE(hub.worker[0].lock_state, LOCK_WAITING);
	assert_int_equal(look_until(0xf, &n), 0);
	hub_unlock(&hub);
}

/* Stopped between taking the mutex and naming itself. */
static void
nameless_holder_is_found(void **state)
{
	int n;

	SHM_STORE(hub.worker[0].lock_state, LOCK_WAITING);
	SHM_STORE(hub.worker[2].lock_state, LOCK_WANTED);
	assert_in_range(
	    look_until(0xb, &n), WATCHDOG_LOCK_MS, WATCHDOG_LOCK_MS + 100);
	assert_int_equal(n, 1);
	assert_int_equal(verdict[0].worker, 2);
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

/* What the kernel says of all workers. */
static struct {
	bool known, runnable;
	uint64_t used_ms, per_look_ms;
} kernel;

static bool
probe(void *arg, int worker, bool *runnable, uint64_t *used_ms)
{
	if (worker == 0) /* asked once a look */
		kernel.used_ms += kernel.per_look_ms;
	*runnable = kernel.runnable;
	*used_ms = kernel.used_ms;
	return kernel.known;
}

/* All that do not tick get so much of a processor a look. */
static int
look_probed(bool known, bool runnable, uint64_t per_look_ms)
{
	int n, k = 0;

	kernel.known = known;
	kernel.runnable = runnable;
	kernel.per_look_ms = per_look_ms;
	dog.probe = probe;
	while ((n = look(0xe)) == 0 && ++k < 1000)
		;
	dog.probe = NULL;
	return n == 0 ? 0 : (k + 1) * WATCHDOG_PERIOD_MS;
}

/* Who could run and gets no processor does not hang. */
static void
starved_one_has_time(void **state)
{
	assert_int_equal(look_probed(true, true, 0), 0);
	/* a tenth of the time: ten times as much */
	watchdog_forget(&dog, 0);
	assert_in_range(look_probed(true, true, WATCHDOG_PERIOD_MS / 10),
	    9 * LIMIT_MS, 10 * LIMIT_MS);
}

/* Who spins, sleeps or is stopped does. */
static void
others_have_not(void **state)
{
	assert_int_equal(look_probed(true, true, WATCHDOG_PERIOD_MS), LIMIT_MS);
	watchdog_forget(&dog, 0);
	assert_int_equal(look_probed(true, false, 0), LIMIT_MS);
	watchdog_forget(&dog, 0);
	assert_int_equal(look_probed(false, true, 0), LIMIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		lively_are_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(hung_one_is_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		waiters_are_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		holder_is_found_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		busy_holder_is_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		nameless_holder_is_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		holder_without_waiters_has_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		stopped_master_accuses_nobody, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		clock_counts_own_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		starved_one_has_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(others_have_not, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
