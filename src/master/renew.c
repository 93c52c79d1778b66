/*
 * Replacing workers and keepers that live. A worker is told to retire: it
 * leaves at the end of a turn, its connections stay where they are and go on
 * with the next one. After an upgrade all workers are replaced so, one by one,
 * and then their keepers, each of which the worker fills.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"
#include "hub/stats.h"
#include "process.h"

enum {
	/* A new keeper has everything after 100 ms for 10,000 connections;
	 * until then its worker should not lose it. */
	KEEPER_PACE_MS = 100,
	KEEPER_FILLS = 100 /* connections per ms */
};

void
renew_worker(struct member *w)
{
	if (w->retire_ms != 0 || w->pid == 0)
		return;
	w->retire_ms = master_clock_ms(w->master);
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

void
renew_all(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++) {
		m->member[i].old = m->member[i].pid != 0;
		m->member[i].keeper_old = m->member[i].keeper_pid != 0;
	}
	m->renewing = true;
	renew_next(m, master_clock_ms(m));
}

int
renew_left(const struct master *m)
{
	int n = 0;

	for (int i = 0; i < m->n_workers; i++)
		n += m->member[i].old + m->member[i].keeper_old;
	return n;
}

/* Whether some worker is on its way in or out. */
static bool
is_busy(const struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].pid != 0 &&
		    (!m->member[i].ready || m->member[i].retire_ms != 0))
			return true;
	return false;
}

/* The next worker that is still the old program's; false: none is. */
static bool
worker_next(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].old) {
			renew_worker(&m->member[i]);
			return true;
		}
	return false;
}

/* The same for keepers. */
static bool
keeper_next(struct master *m, uint64_t now)
{
	if (now < m->renew_keeper_ms)
		return true;
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].before_pid != 0)
			return true;
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].keeper_old) {
			keep_renew(&m->member[i]);
			m->renew_keeper_ms = now + KEEPER_PACE_MS +
			    SHM_LOAD(m->hub.worker[i].connections) /
				KEEPER_FILLS;
			return true;
		}
	return false;
}

void
renew_next(struct master *m, uint64_t now)
{
	if (!m->renewing || m->phase != PHASE_RUNNING || is_busy(m))
		return;
	if (worker_next(m) || keeper_next(m, now))
		return;
	m->renewing = false;
	m->upgraded = true;
	log_info("upgraded to chatd " CHATD_VERSION
		 ": all workers and keepers are replaced");
}
