/* The phases of the master: starting, serving, leaving. */
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hub/stats.h"
#include "master/daemon.h"
#include "master/fdstore.h"
#include "master/notify.h"
#include "member.h"
#include "others.h"
#include "private.h"
#include "ready.h"
#include "renew.h"
#include "spawn.h"
#include "upgrade.h"
#include "writes.h"

enum {
	/* TERM: killed after that, gone within 5 s; of many connections each
	 * takes its time besides */
	STOP_MS = 4000,
	/* The service manager is told of what takes longer; etc/chatd.service
	 * has 10 s by itself. Larger: it kills before that. */
	UNTOLD_MS = 8000,
	LAST_MS = 2000,	      /* to end, when all workers have left */
	QUIT_GRACE_MS = 2000, /* past the drain timeout */
	STARTING_MAX = 8 /* at once at the start, so that a small machine gets
			  * each ready in time */
};

/* Tells the service manager, if there is one. */
static void
notify(const char *state)
{
	if (notify_send(state) == -1)
		log_warn("service manager not told: %s", strerror(errno));
}

/* Puts down why the master ends with status 1, and ends it. */
void
master_fail(struct master *m, const char *fmt, ...)
{
	va_list ap;

	if (m->status != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(m->failure, sizeof(m->failure), fmt, ap);
	va_end(ap);
	m->status = 1;
	log_error("%s", m->failure);
	master_stop(m);
}

/* Gives up the listeners: no client connects to workers that leave. */
void
master_close_listeners(struct master *m)
{
	endpoints_close(&m->endpoints);
}

/* Forks at the start, a few at a time. */
static void
start_more(struct master *m)
{
	int starting = 0;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0 && !m->member[i].child.ready)
			starting++;
	for (int i = 0; i < m->n_workers && starting < STARTING_MAX &&
	     m->phase == PHASE_STARTING;
	     i++)
		if (m->member[i].child.pid == 0 &&
		    m->member[i].child.generation == 0 &&
		    m->member[i].child.respawn_ms == 0) {
			spawn_worker(&m->member[i]);
			starting++;
		}
}

void
master_mend_listeners(struct master *m)
{
	if (m->phase != PHASE_RUNNING)
		return;
	for (int i = 0; i < m->endpoints.n; i++)
		switch (listener_mend(m->endpoints.at[i].fd)) {
		case 1:
			log_error("address %s: some worker has ended listening "
				  "there, or made it wait, for all of them; "
				  "undone",
			    m->endpoints.at[i].name);
			break;
		case -1:
			log_error("address %s: %s", m->endpoints.at[i].name,
			    strerror(errno));
			break;
		default:
			break;
		}
}

/* All workers are ready: from now on a connection succeeds. */
static void
serve(struct master *m)
{
	for (int i = 0; i < m->endpoints.n; i++)
		if (listener_listen(m->endpoints.at[i].fd) == -1) {
			master_fail(m, "cannot listen: %s", strerror(errno));
			return;
		}
	m->phase = PHASE_RUNNING;
	for (int i = 0; i < m->n_workers; i++)
		owed_add(&m->member[i].child, OWED_START);
	if (m->ready_pipe != -1)
		daemon_ready(m->ready_pipe);
	m->ready_pipe = -1;
	fdstore_put(m);
	ready_log_room(m);
	writes_tell(m, true);
	ready_log_address(m);
	notify("READY=1\nSTATUS=serving");
}

/* Serves the chat when all that has to be there first is. */
static void
phase_start(struct master *m)
{
	const bool waits = others_first(m);

	if (m->first_failed != NULL) {
		master_fail(
		    m, "%s does not start, see the log", m->first_failed);
		return;
	}
	for (int i = 0; i < m->n_workers; i++)
		if (!m->member[i].child.ready) {
			start_more(m);
			return;
		}
	if (!waits)
		serve(m);
}

/* Sees whether the master can go on to its next phase. */
void
master_check(struct master *m)
{
	if (m->phase == PHASE_STARTING) {
		phase_start(m);
	} else if (m->phase >= PHASE_QUITTING) {
		for (int i = 0; i < m->n_workers; i++)
			if (member_is_there(&m->member[i]))
				return;
		m->done = true;
		event_base_loopbreak(m->base);
	}
}

/* Tells the service manager that stopping may take longer than its own limit.
 */
static void
tell_limit(uint64_t limit_ms)
{
	char state[64];

	if (limit_ms < UNTOLD_MS)
		return;
	snprintf(state, sizeof(state), "EXTEND_TIMEOUT_USEC=%llu",
	    (unsigned long long)(limit_ms + LAST_MS) * 1000);
	notify(state);
}

/* Has all workers leave: at once, or when their clients have left. */
static void
leave(struct master *m, enum phase phase, unsigned owed, uint64_t limit_ms)
{
	upgrade_end(m); /* the new program would not know of it */
	if (m->phase < PHASE_QUITTING) {
		master_close_listeners(m);
		notify("STOPPING=1");
	}
	m->phase = phase;
	beginners_leave(m);
	limit_ms += stats_closing_ms(&m->hub);
	m->deadline_ms = master_clock_ms(m) + limit_ms;
	if (phase == PHASE_STOPPING)
		tell_limit(limit_ms);
	for (int i = 0; i < m->n_workers; i++) {
		struct member *w = &m->member[i];

		w->child.respawn_ms = 0;
		if (w->renew_ms != 0)
			renew_refuse(w, "chatd is leaving");
		SHM_STORE(m->hub.line[i].state,
		    w->child.pid != 0 ? WORKER_STOPPING : WORKER_STOPPED);
		owed_add(&w->child, owed);
	}
	master_check(m);
}

/* Stops: TERM, INT, `chatctl stop`. */
void
master_stop(struct master *m)
{
	if (m->phase == PHASE_STOPPING)
		return;
	log_info("stopping");
	leave(m, PHASE_STOPPING, OWED_STOP, STOP_MS);
}

/* Takes no more clients, and stops when the last has left: QUIT. */
void
master_quit(struct master *m)
{
	if (m->phase >= PHASE_QUITTING)
		return;
	log_info("leaving when the last client has left, at most %llu s",
	    (unsigned long long)m->live.drain_ms / 1000);
	fdstore_leave();
	leave(m, PHASE_QUITTING, OWED_QUIT, m->live.drain_ms + QUIT_GRACE_MS);
}
