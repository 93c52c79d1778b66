/*
 * Replacing a worker that lives. It is told to retire: it leaves at the end of
 * a turn, its connections stay where they are and go on with the next one.
 */
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "process.h"

void
renew_worker(struct member *w)
{
	if (w->retire_ms != 0 || w->pid == 0)
		return;
	w->retire_ms = clock_ms();
	member_owe(w, OWED_RETIRE);
}

bool
renew_retired(const struct member *w, int status)
{
	return w->retire_ms != 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0;
}

void
renew_time(struct member *w, uint64_t now)
{
	/* What a death does not lose is not lost by this one either. */
	if (w->retire_ms != 0 && now >= w->retire_ms + RETIRE_MS)
		member_kill(w, "did not retire in time");
}
