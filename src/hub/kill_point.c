/* Kill points of test builds: after each store that recovery relies on. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hub/shm.h"

#ifdef CHATD_KILL_POINTS
static uint64_t passed, fuse;
static int fuse_signal;
static const char *only; /* NULL: every file */

/* Counts the point; at the armed one, says where it is and dies (or stops). */
void
kill_point(const char *file, int line)
{
	const char *name = strrchr(file, '/');

	if (only != NULL && strcmp(name != NULL ? name + 1 : file, only) != 0)
		return;
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

void
kill_point_only(const char *file)
{
	only = file;
}
#else
/* A translation unit must not be empty. */
extern int kill_points_are_off;
#endif
