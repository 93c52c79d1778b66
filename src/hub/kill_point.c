/* Kill points of test builds: after each store that recovery relies on. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "hub/shm.h"

#ifdef CHATD_KILL_POINTS
static uint64_t passed, fuse;
static int fuse_signal;

/* Counts the point; at the armed one, says where it is and dies (or stops). */
void
kill_point(const char *file, int line)
{
	passed++;
	if (fuse == 0 || --fuse > 0)
		return;
	dprintf(STDERR_FILENO, "kill point at %s:%d\n", file, line);
	kill(getpid(), fuse_signal);
}

uint64_t
kill_point_arm(uint64_t n, int sig)
{
	uint64_t before = passed;

	passed = 0;
	fuse = n;
	fuse_signal = sig;
	return before;
}
#else
/* A translation unit must not be empty. */
extern int kill_points_are_off;
#endif
