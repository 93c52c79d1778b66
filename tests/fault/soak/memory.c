/* How much memory the daemon takes over the time of a soak.
 *
 * One look is chance: a process that was killed a moment ago has touched few
 * of its pages, and the same daemon is measured at 21 to 30 MiB within
 * seconds. A leak shows in the median of many looks. */
#include <stdlib.h>

#include "soak.h"

enum {
	LOOK_MS = 250,		      /* between two looks */
	WINDOW = MEMORY_MS / LOOK_MS, /* looks whose median is told */
	LOOKS = 1 << 20 /* 3 days; after that the last ones stay */
};

static int32_t look[LOOKS]; /* KiB */
static unsigned n_looks;
static uint64_t next_ms;

void
memory_turn(void)
{
	if (now_ms < next_ms || n_looks == LOOKS)
		return;
	next_ms = now_ms + LOOK_MS;
	look[n_looks++] = (int32_t)daemon_pss();
}

/* Orders two looks. */
static int
look_order(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* The median of the looks that end at this one. */
static long
median(unsigned end)
{
	int32_t window[WINDOW];
	unsigned k, n = end < WINDOW ? end : WINDOW;

	if (n == 0)
		return 0;
	for (k = 0; k < n; k++)
		window[k] = look[end - n + k];
	qsort(window, n, sizeof(*window), look_order);
	return window[n / 2];
}

long
memory_now(void)
{
	return median(n_looks);
}
