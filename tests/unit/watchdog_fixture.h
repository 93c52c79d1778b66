/* A hub with four workers and their keepers, a watchdog that looks at them, and
 * a kernel that says of them what a test wants. */
#ifndef CHATD_TESTS_WATCHDOG_FIXTURE_H
#define CHATD_TESTS_WATCHDOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/hub/heads.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "master/watchdog.h"

enum { LIMIT_MS = 2000, WORKERS = 4, ALL = 0xf, NONE = 0 };

static struct hub hub;
static struct watchdog dog;
static struct watchdog_verdict verdict[WATCHDOG_VERDICTS];
static struct watchdog_scene scene;
static uint64_t now;

/* What the kernel says of each process; how much more of it after each look. */
struct fake {
	bool known;
	struct probe probe, per_look;
};
static struct fake kernel[2][WORKERS]; /* [keeper] */

static inline bool
probe(void *arg, bool keeper, int slot, struct probe *out)
{
	*out = kernel[keeper][slot].probe;
	return kernel[keeper][slot].known;
}

/* From now on the kernel says of a process that it is in that state, and got so
 * much of a processor, and waited so long for one, from one look to the next.
 */
static inline void
kernel_says(bool keeper, int slot, char state, uint64_t used, uint64_t queue)
{
	kernel[keeper][slot].known = true;
	kernel[keeper][slot].probe.state = state;
	kernel[keeper][slot].per_look = (struct probe){state, used, queue};
}

/* Makes a hub with four workers and their keepers that all live. */
static inline int
setup(void **state)
{
	const struct hub_limits limits = {.connections = 64,
	    .users = 64,
	    .channels = 64,
	    .journal_bytes = 1024 * 1024,
	    .output_bytes = 4 * 1024 * 1024,
	    .input_bytes = 1024 * 1024};

	if (hub_create(&hub, &limits) == -1)
		return -1;
	now = 1000000;
	watchdog_init(&dog, 0, now);
	for (int i = 0; i < WORKERS; i++) {
		watchdog_forget(&dog, i);
		watchdog_forget_keeper(&dog, i);
	}
	scene = (struct watchdog_scene){
	    .workers = ALL, .keepers = ALL, .limit_ms = LIMIT_MS};
	memset(kernel, 0, sizeof(kernel));
	dog.probe = probe;
	return 0;
}

/* Gives the memory back. */
static inline int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* Lets so much time pass in which the workers and keepers in the masks tick,
 * then looks; the number of verdicts. */
static inline int
look_after(uint64_t ms, uint64_t ticking, uint64_t keepers)
{
	for (int i = 0; i < WORKERS; i++) {
		if ((ticking >> i & 1) != 0)
			SHM_COUNT(hub.line[i].tick, 1);
		if ((keepers >> i & 1) != 0)
			SHM_COUNT(hub.worker[i].keeper_tick, 1);
		for (int k = 0; k < 2; k++) {
			struct fake *f = &kernel[k][i];

			f->probe.used_ms += f->per_look.used_ms;
			f->probe.queue_ms += f->per_look.queue_ms;
		}
	}
	now += ms;
	return watchdog_look(&dog, &hub, &scene, now, verdict);
}

/* One period in which all keepers tick. */
static inline int
look(uint64_t ticking)
{
	return look_after(WATCHDOG_PERIOD_MS, ticking, ALL);
}

/* Looks until something is to be done; how long that took, 0: nothing was for
 * so long. */
static inline uint64_t
pair_until(uint64_t ticking, uint64_t keepers, uint64_t most_ms, int *n)
{
	for (uint64_t ms = WATCHDOG_PERIOD_MS; ms <= most_ms;
	     ms += WATCHDOG_PERIOD_MS)
		if ((*n = look_after(WATCHDOG_PERIOD_MS, ticking, keepers)) > 0)
			return ms;
	return 0;
}

/* pair_until() with all keepers ticking, for 10 s. */
static inline uint64_t
look_until(uint64_t ticking, int *n)
{
	return pair_until(ticking, ALL, 10000, n);
}

/* The first verdict is to kill that one. */
static inline void
assert_killed(bool keeper, int slot)
{
	assert_int_equal(verdict[0].action, WATCHDOG_KILL);
	assert_int_equal(verdict[0].keeper, keeper);
	assert_int_equal(verdict[0].place, slot);
}

/* Worker 0 is silent and the kernel says so of it: how long until it is killed,
 * 0: it is not. */
static inline uint64_t
silent_until(char state, uint64_t used, uint64_t queue, uint64_t most_ms)
{
	int n;

	watchdog_forget(&dog, 0);
	kernel_says(false, 0, state, used, queue);
	return pair_until(0xe, ALL, most_ms, &n);
}

/* A test with a hub and a watchdog of its own. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
