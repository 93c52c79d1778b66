#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "master/report.h"
#include "net/link.h"
#include "accuse.h"
#include "clean.h"
#include "keep.h"
#include "member.h"
#include "order.h"
#include "private.h"
#include "process/process.h"
#include "renew.h"
#include "resize.h"
#include "spawn.h"
#include "writes.h"

enum { START_FAILURES = 3 }; /* before the first readiness: give up */

/* A worker's line in shared memory. */
static struct shm_line *
line_of(const struct member *w)
{
	return &w->master->hub.line[w->slot];
}

/* Prepares a slot that has no process yet. */
void
member_init(struct member *w, struct master *m, int slot)
{
	memset(w, 0, sizeof(*w));
	w->master = m;
	w->slot = slot;
	child_init(&w->child, child_kind_of(CHILD_WORKER, 0), slot, slot);
	w->child.line = m->hub.base != NULL ? line_of(w) : NULL;
	w->cleaner = -1;
	keep_init(w);
}

/* Listens no more. */
static void
event_drop(struct member *w)
{
	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
}

/* Gives up the link. */
void
member_deinit(struct member *w)
{
	event_drop(w);
	child_unlink(&w->child);
}

/* Shows how a ready worker stands. */
void
member_show(struct member *w)
{
	const struct master *m = w->master;

	SHM_STORE(line_of(w)->state,
	    m->phase >= PHASE_QUITTING ? WORKER_STOPPING
		: m->drain_rate != 0   ? WORKER_DRAINING
				       : WORKER_RUNNING);
}

/* Says what a worker sent that it should not have. */
static void
complain(struct member *w, const char *what)
{
	log_warn("worker %d: message ignored: %s", w->slot, what);
	accuse_bad(w);
}

/* Gives a worker one end of a link; false: not now. */
static bool
end_give(struct member *to, const struct member *peer, int fd)
{
	const struct message_link link = {
	    .peer = (uint32_t)peer->slot, .generation = peer->child.generation};

	return link_send(to->child.link, MSG_LINK, &link, sizeof(link), fd) ==
	    0;
}

/* Connects two workers; false: not now. */
static bool
pair_connect(struct member *a, struct member *b)
{
	int fd[2], saved;
	bool good;

	if (link_pair(fd) == -1)
		return false;
	good = end_give(a, b, fd[0]) && end_give(b, a, fd[1]);
	saved = errno;
	close(fd[0]);
	close(fd[1]);
	errno = saved;
	return good;
}

/* Connects two workers, or notes that they are to be: without links they would
 * miss relays for ever. */
static void
members_connect(struct member *a, struct member *b)
{
	const uint64_t bit = 1ull << b->slot;

	if (pair_connect(a, b)) {
		a->unlinked &= ~bit;
		return;
	}
	if ((a->unlinked & bit) == 0)
		log_error("no link between workers %d and %d: %s, trying again",
		    a->slot, b->slot, strerror(errno));
	a->unlinked |= bit;
}

/* Tries again to connect a worker. One that is gone is connected by its
 * successor's HELLO. */
static void
links_time(struct member *w)
{
	struct member *peer = w->master->member;

	if (!w->child.ready)
		return;
	for (int i = 0; i < CONF_WORKERS_MAX && w->unlinked >> i != 0; i++)
		if ((w->unlinked >> i & 1) != 0 && peer[i].child.ready)
			members_connect(w, &peer[i]);
		else
			w->unlinked &= ~(1ull << i);
}

/* A worker is initialised: link it, let it know how things stand. */
static void
hello_handle(struct member *w, const struct message_hello *hello)
{
	struct master *m = w->master;

	if (hello->worker != (uint32_t)w->slot ||
	    hello->generation != w->child.generation || w->child.ready) {
		complain(
		    w, w->child.ready ? "HELLO again" : "HELLO of another");
		return;
	}
	w->child.ready = true;
	w->unclean = false;
	keep_ready(w);
	renew_ready(w);
	policy_ready(&w->child.policy);
	watchdog_forget(&m->watchdog, w->slot);
	member_show(w);
	log_debug(
	    "worker %d (pid %d) is initialised", w->slot, (int)w->child.pid);
	for (int i = 0; i < m->n_workers; i++)
		if (i != w->slot && m->member[i].child.ready)
			members_connect(w, &m->member[i]);
	if (m->drain_rate != 0)
		member_owe(w, OWED_DRAIN);
	if (m->phase == PHASE_RUNNING) {
		member_owe(w, OWED_START);
		writes_tell(m, false);
	}
	master_check(m);
	renew_next(m, master_clock_ms(m));
	order_time(m);
}

/* What follows when a slot's process serves no more, dead or not. */
static void
member_left(struct member *w)
{
	w->child.pid = 0;
	w->child.ready = false;
	w->unclean = true;
	w->retire_ms = 0;
	w->keeper_linked = false;
	w->cleaner_from = KEEP_FORMER;
	w->full = 0;
	clean_reassign(w);
	order_lost(w);
	order_time(w->master);
}

/* A worker has retired: it holds its sockets while another goes on. */
static void
member_retired(struct member *w)
{
	struct master *m = w->master;

	if (w->retire_ms == 0 || w->former.pid != 0) {
		complain(w, "RETIRED without having been told to");
		return;
	}
	log_info("worker %d (pid %d) retired, %s", w->slot, (int)w->child.pid,
	    w->course == COURSE_STAYS ? "replaced" : "none follows");
	w->former.pid = w->child.pid;
	w->former.link = w->child.link;
	w->child.link = -1;
	/* the next one has as long to get ready as this one had to wait */
	if (w->renew_ms != 0)
		w->renew_ms = master_clock_ms(m);
	w->fault_hand = HAND_NOTHING;
	member_deinit(w);
	report_bury(m, w->slot);
	member_left(w);
	if (m->phase >= PHASE_QUITTING) {
		clean_assign(w);
		master_check(m);
	} else if (w->course != COURSE_STAYS) {
		resize_gone(w);
		clean_assign(w);
	} else {
		m->renewals++;
		spawn_worker(w);
	}
}

/* Judges one datagram and acts on it. */
static void
datagram_handle(struct member *w, struct link_datagram *d)
{
	struct message_custody custody;
	const void *payload;
	const char *why;
	size_t len;

	switch (message_check(
	    d->bytes, d->len, d->n_fds, PARTY_WORKER, &payload, &len, &why)) {
	case MSG_HELLO:
		hello_handle(w, payload);
		break;
	case MSG_CLEANED:
		if (!clean_done(w, payload))
			complain(w, "CLEANED that nobody asked for");
		break;
	case MSG_KEPT:
		memcpy(&custody, payload, sizeof(custody));
		keep_filled(w, custody.keeper);
		break;
	case MSG_UNKEPT:
		memcpy(&custody, payload, sizeof(custody));
		keep_unlinked(w, custody.keeper);
		break;
	case MSG_RETIRED:
		member_retired(w);
		break;
	case MSG_DONE:
		if (!order_done(w, payload))
			complain(w, "DONE that nobody asked for");
		break;
	case MSG_ACCUSE:
		if (!accuse_handle(w, payload))
			complain(w, "ACCUSE of a worker that does not live");
		break;
	case -1:
		complain(w, why);
		break;
	default:
		complain(w, "no handler");
	}
	if (d->fd != -1)
		close(d->fd);
}

/* A worker's link can be read, for as many messages as it may send. */
static void
member_read_cb(int fd, short what, void *arg)
{
	struct member *w = arg;
	struct link_datagram d[LINK_BATCH];
	int n = link_receive(fd, d);

	if (n == -1) {
		/* Its death follows, or it has gone wrong: see member_time. */
		w->child.eof_ms = master_clock_ms(w->master);
		event_del(w->event);
		return;
	}
	for (int i = 0; i < n; i++)
		if (w->child.link == fd)
			datagram_handle(w, &d[i]);
		else if (d[i].fd != -1)
			close(d[i].fd);
	if (w->child.link != fd)
		return; /* it has retired */
	w->budget -= (uint32_t)n < w->budget ? (uint32_t)n : w->budget;
	if (w->budget == 0) {
		complain(w, "more of them than make sense, reading slowly");
		event_del(w->event);
	}
}

/* A process was forked for this slot. */
void
member_born(struct member *w)
{
	w->budget = LINK_BUDGET;
	accuse_born(w);
	w->owed = 0;
	w->unlinked = 0;
	w->retire_ms = 0;
	w->cleaner = -1;
	watchdog_forget(&w->master->watchdog, w->slot);
	w->event = event_new(w->master->base, w->child.link,
	    EV_READ | EV_PERSIST, member_read_cb, w);
	if (w->event == NULL || event_add(w->event, NULL) == -1)
		member_kill(w, "cannot be listened to");
}

int
member_adopt(struct member *w)
{
	watchdog_forget(&w->master->watchdog, w->slot);
	if (w->child.link == -1)
		return 0;
	w->event = event_new(w->master->base, w->child.link,
	    EV_READ | EV_PERSIST, member_read_cb, w);
	if (w->event == NULL)
		return -1;
	return w->child.eof_ms != 0 ? 0 : event_add(w->event, NULL);
}

/* Counts failures before the first readiness; true if it is time to give up
 * rather than to let whoever started us wait. */
bool
member_start_failed(struct master *m)
{
	if (m->phase != PHASE_STARTING || ++m->start_failures < START_FAILURES)
		return false;
	master_fail(m, "the workers do not start, see the log");
	return true;
}

/* A worker's process is gone and reaped. */
void
member_died(struct member *w, int status)
{
	struct master *m = w->master;
	const bool leaving = m->phase >= PHASE_QUITTING;
	const bool unready = w->child.killed_unready;
	const uint64_t now = master_clock_ms(m);
	uint64_t wait_ms;
	bool fault;

	event_drop(w);
	wait_ms = child_died(&w->child, status,
	    leaving || w->course != COURSE_STAYS, now, &fault);
	/* one that was stopped from outside while it took over did nothing
	 * wrong with what it had in hand */
	w->fault_hand =
	    fault && !unready ? SHM_LOAD(line_of(w)->hand) : HAND_NOTHING;
	w->fault_arg = SHM_LOAD(line_of(w)->hand_arg);
	report_bury(m, w->slot);
	member_left(w);
	if (leaving) {
		SHM_STORE(line_of(w)->state, WORKER_STOPPED);
		/* one that left by itself has left nobody behind */
		w->unclean = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		clean_assign(w);
		master_check(m);
		return;
	}
	if (w->course != COURSE_STAYS) {
		resize_gone(w);
		clean_assign(w);
		return;
	}
	if (fault && member_start_failed(m))
		return;
	m->respawns++;
	if (wait_ms == 0) {
		policy_respawned(&w->child.policy, now);
		spawn_worker(w);
		return;
	}
	SHM_STORE(line_of(w)->state, WORKER_WAITING);
	w->child.respawn_ms = now + wait_ms;
	clean_assign(w);
}

/* Ends a back-off, unless another worker is just going on for this one. */
static void
backoff_time(struct member *w, uint64_t now)
{
	if (w->course == COURSE_GONE || w->child.pid != 0 ||
	    now < w->child.respawn_ms || (w->unclean && w->cleaner != -1))
		return;
	policy_respawned(&w->child.policy, now);
	spawn_worker(w);
}

/* What a worker's deadlines ask for. */
void
member_time(struct member *w, uint64_t now)
{
	if (w->child.pid == 0) {
		if (!clean_is_due(w))
			return;
		if (w->unclean)
			clean_time(w, now);
		if (w->master->phase < PHASE_QUITTING)
			backoff_time(w, now);
		return;
	}
	if (w->budget == 0 && w->child.eof_ms == 0)
		event_add(w->event, NULL);
	w->budget = LINK_BUDGET;
	if (w->owed != 0)
		member_owed_send(w);
	if (w->unlinked != 0)
		links_time(w);
	renew_time(w, now);
	if (w->child.eof_ms != 0 &&
	    now >= w->child.eof_ms + CHILD_EOF_GRACE_MS &&
	    w->master->phase < PHASE_QUITTING)
		member_kill(w, "closed its link to the master");
	if (child_is_late(&w->child,
		watchdog_still_ms(&w->master->watchdog, w->slot), now)) {
		w->child.killed_unready = true;
		member_kill(w, "was not ready in time");
	}
}
