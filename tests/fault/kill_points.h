/* kill_points: a process dies at each kill point on its way; so do those that
 * come after it. */
#ifndef CHATD_TESTS_KILL_POINTS_H
#define CHATD_TESTS_KILL_POINTS_H

#include "../unit/apart.h"
#include "../unit/hub_fixture.h"
#include "kill_child.h"

enum { DEATHS_POINTS = 10000 };

/* The process that may die at point n, and the next one at point `again` (0: it
 * does not). */
struct deaths {
	uint64_t n, again;
};

/*
 * Runs the scene, which is given struct deaths and returns whether there are so
 * many points, with a death at each step-th point, from one of the first on by
 * chance, so that many runs take all; with one more, if `twice`. In a long run:
 * at each. Fewer than `least` show that points are not found.
 */
static inline void
deaths_each_point(
    int (*scene)(void *arg), bool twice, uint32_t step, uint32_t least)
{
	struct deaths d = {.n = 1};

	if (getenv("LONG") != NULL)
		step = 1;
	d.n += arc4random_uniform(step);
	for (;; d.n += step) {
		assert_true(d.n < DEATHS_POINTS);
		d.again = twice ? 1 + fixture_random(400) : 0;
		if (!apart(scene, &d))
			break;
	}
	print_message(
	    "%llu kill points, each %u.\n", (unsigned long long)d.n - 1, step);
	assert_true(d.n > least);
}

#endif
