/* A hub with four workers, a watchdog that looks at them, and
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
static struct watchdog_verdict verdict[1];
static struct watchdog_scene scene;
static uint64_t now;

/* What the kernel says of each process; how much more of it after each look. */
struct fake {
	bool known;
	struct probe probe, per_look;
};
static struct fake kernel[WORKERS];

static inline bool
probe(void *arg, int slot, struct probe *out)
{
	*out = kernel[slot].probe;
	return kernel[slot].known;
}

/* From now on the kernel says of a process that it is in that state, and got so
 * much of a processor, and waited so long for one, from one look to the next.
 */
static inline void
kernel_says(int slot, char state, uint64_t used, uint64_t queue)
{
	kernel[slot].known = true;
	kernel[slot].probe.state = state;
	kernel[slot].per_look = (struct probe){state, used, queue};
}

/* Makes a hub with four workers that all live. */
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
	for (int i = 0; i < WORKERS; i++)
		watchdog_forget(&dog, i);
	scene = (struct watchdog_scene){.workers = ALL, .limit_ms = LIMIT_MS};
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

/* Lets so much time pass in which the workers in the mask tick, then looks:
 * whether there is a verdict. */
static inline int
look_after(uint64_t ms, uint64_t ticking)
{
	for (int i = 0; i < WORKERS; i++) {
		struct fake *f = &kernel[i];

		if ((ticking >> i & 1) != 0)
			SHM_COUNT(hub.line[i].tick, 1);
		f->probe.used_ms += f->per_look.used_ms;
		f->probe.queue_ms += f->per_look.queue_ms;
	}
	now += ms;
	return watchdog_look(&dog, &hub, &scene, now, verdict);
}

/* One period. */
static inline int
look(uint64_t ticking)
{
	return look_after(WATCHDOG_PERIOD_MS, ticking);
}

/* Looks until something is to be done; how long that took, 0: nothing was for
 * so long. */
static inline uint64_t
look_for(uint64_t ticking, uint64_t most_ms, int *n)
{
	for (uint64_t ms = WATCHDOG_PERIOD_MS; ms <= most_ms;
	     ms += WATCHDOG_PERIOD_MS)
		if ((*n = look(ticking)) > 0)
			return ms;
	return 0;
}

/* look_for() 10 s. */
static inline uint64_t
look_until(uint64_t ticking, int *n)
{
	return look_for(ticking, 10000, n);
}

/* The verdict is to kill that one. */
static inline void
assert_killed(int slot)
{
	assert_int_equal(verdict[0].place, slot);
}

/* Worker 0 is silent and the kernel says so of it: how long until it is killed,
 * 0: it is not. */
static inline uint64_t
silent_until(char state, uint64_t used, uint64_t queue, uint64_t most_ms)
{
	int n;

	watchdog_forget(&dog, 0);
	kernel_says(0, state, used, queue);
	return look_for(0xe, most_ms, &n);
}

/* A test with a hub and a watchdog of its own. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
