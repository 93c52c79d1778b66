/*
 * Replacing workers that live. A worker is told to retire while both of its
 * keepers live: it stops at the end of a turn and leaves, and they keep its
 * sockets until the next one is there. So a planned turn costs no client,
 * whichever process dies or hangs meanwhile. After an upgrade all workers are
 * replaced so, one by one; each brings its own keepers.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "hub/stats.h"
#include "master/control.h"
#include "children.h"
#include "member.h"
#include "others.h"
#include "private.h"
#include "renew.h"

enum {
	/* A worker that is to be replaced is told so when both of its keepers
	 * are there; an order is refused when that takes longer. */
	RENEW_WAIT_MS = 10 * 1000,
	RETIRE_MS = 10000 /* for MSG_RETIRE */
};

void
renew_refuse(struct member *w, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	w->renew_ms = 0;
	log_warn("worker %d is not replaced: %s", w->place, why);
	control_finish(w->renew_wait, false, "worker %d is not replaced: %s",
	    w->place, why);
	w->renew_wait = NULL;
}

void
renew_worker(struct member *w, struct control_wait *wait)
{
	if (w->renew_wait != NULL)
		control_finish(wait, false,
		    "worker %d is being replaced already", w->place);
	else
		w->renew_wait = wait;
	if (w->renew_ms == 0)
		w->renew_ms = master_clock_ms(w->master);
	renew_time(w, master_clock_ms(w->master));
}

/* Tells a worker to retire as soon as nothing can be lost by it. */
static void
renew_try(struct member *w, uint64_t now)
{
	/* also while the one before is still there */
	const char *problem = family_problem(&w->family);

	if (w->retired && !w->child.ready)
		problem = "it has retired, and the next one is not ready";
	else if (w->child.pid == 0 || !w->child.ready || w->child.killed)
		problem = "it is not running";
	if (problem == NULL) {
		w->retire_ms = now;
		w->child.told = true;
		owed_add(&w->child, OWED_RETIRE);
	} else if (now >= w->renew_ms + RENEW_WAIT_MS)
		renew_refuse(w, "%s", problem);
}

void
renew_time(struct member *w, uint64_t now)
{
	if (w->renew_ms != 0 && w->retire_ms == 0)
		renew_try(w, now);
	/* What a death does not lose is not lost by this one either. */
	if (w->retire_ms != 0 && now >= w->retire_ms + RETIRE_MS)
		member_kill(w, "did not retire in time");
}

void
renew_ready(struct member *w)
{
	w->renew_ms = 0;
	control_finish(w->renew_wait, true, NULL);
	w->renew_wait = NULL;
}

void
renew_all(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		/* What its predecessors died of may be mended. Its keepers
		 * stay until it has brought others. */
		if (m->member[i].child.pid == 0 &&
		    m->member[i].child.respawn_ms != 0)
			m->member[i].child.respawn_ms = master_clock_ms(m);
	children_age(m);
	m->renewing = true;
	renew_next(m, master_clock_ms(m));
}

int
renew_left(const struct master *m)
{
	return children_old(m);
}

/* Whether some worker is on its way in or out, or waits for its start while
 * no process has its connections. */
static bool
is_busy(const struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0 ? !m->member[i].child.ready ||
			    m->member[i].retire_ms != 0
						: m->member[i].unclean)
			return true;
	return false;
}

/* The next worker that is still the old program's; false: none is. */
static bool
worker_next(struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.old) {
			renew_worker(&m->member[i], NULL);
			return true;
		}
	return false;
}

/* Whether some keeper is still the old program's: its place waits for a worker,
 * whose keepers are new ones. */
static bool
keepers_are_old(const struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		for (int j = 0; j < FAMILY_KEEPERS; j++)
			if (m->member[i].family.keeper[j].old)
				return true;
	return false;
}

void
renew_next(struct master *m, uint64_t now)
{
	if (!m->renewing || m->phase != PHASE_RUNNING || is_busy(m))
		return;
	if (worker_next(m) || keepers_are_old(m) || others_renew_next(m, now))
		return;
	m->renewing = false;
	m->upgraded = true;
	log_info("upgraded to chatd " CHATD_VERSION
		 ": all workers and keepers are replaced");
}
