#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/slot.h"
#include "hub/stats.h"
#include "master/report.h"
#include "master/roles.h"
#include "net/link.h"
#include "accuse.h"
#include "children.h"
#include "clean.h"
#include "conversion.h"
#include "links.h"
#include "member.h"
#include "member_state.h"
#include "members.h"
#include "mover.h"
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
	return &w->master->hub.line[w->place];
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

/* The worker that a child is. */
static struct member *
member_of(const struct child *c)
{
	return &c->master->member[c->number];
}

/* A worker is ready: link it, let it know how things stand. */
static void
member_hello(struct child *c)
{
	struct member *w = member_of(c);
	struct master *m = w->master;

	w->unclean = false;
	giver_end_all(w);
	family_hello(&w->family);
	renew_ready(w);
	member_show(w);
	links_hello(c);
	if (m->drain_rate != 0)
		owed_add(&w->child, OWED_DRAIN);
	if (m->phase == PHASE_RUNNING) {
		owed_add(&w->child, OWED_START);
		writes_tell(m, false);
	}
	master_check(m);
	renew_next(m, master_clock_ms(m));
	order_time(m);
}

/* What follows when a place's process serves no more, dead or not. */
static void
member_left(struct member *w)
{
	w->child.ready = false;
	w->unclean = true;
	/* it was told to retire: only the next one is waited for */
	if (w->renew_ms != 0 && w->retire_ms != 0)
		w->renew_ms = master_clock_ms(w->master);
	w->retire_ms = 0;
	w->holds = false;
	w->cleaner_from = GIVER_WORKER;
	w->full = 0;
	clean_reassign(w);
	order_lost(w);
	order_time(w->master);
}

/* What follows when a worker has retired. */
static void
member_follow(struct member *w)
{
	struct master *m = w->master;

	w->retired = true;
	/* the next worker has as long to get ready as this one had to wait */
	if (w->renew_ms != 0)
		w->renew_ms = master_clock_ms(m);
	w->fault_hand = HAND_NOTHING;
	report_bury(m, w->place);
	member_left(w);
	if (m->phase >= PHASE_QUITTING)
		spawn_worker(w); /* its clients are served or told, as others */
	else if (w->course != COURSE_STAYS) {
		resize_gone(w);
		clean_assign(w);
	} else if (conversion_holds(m))
		conversion_retired(m);
	else {
		m->renewals++;
		spawn_worker(w);
	}
}

/* Says that a worker has retired. */
static void
member_log_retired(const struct member *w, int pid)
{
	log_info("worker %d (pid %d) retired, %s", w->place, pid,
	    conversion_holds(w->master)	    ? "the memory is to be copied"
		: w->course == COURSE_STAYS ? "replaced"
					    : "none follows");
}

/* A worker has retired and holds its sockets, since its keepers are dead: the
 * next one is the first of another family, and gets them from it. Returns NULL,
 * or what is wrong with that. */
static const char *
member_retired(struct member *w)
{
	if (w->retire_ms == 0 || !w->holds)
		return "RETIRED without having been told to";
	member_log_retired(w, (int)w->child.pid);
	giver_hold(w, &w->child);
	family_process_gone(&w->family);
	family_leave(&w->family);
	member_follow(w);
	return NULL;
}

/* Acts on a worker's message. Returns NULL, or what is wrong with it. */
static const char *
member_message(struct child *c, int type, const void *payload)
{
	struct member *w = member_of(c);

	switch (type) {
	case MSG_CLEANED:
		return clean_done(w, payload) ? NULL
					      : "CLEANED that nobody asked for";
	case MSG_RETIRED:
		return member_retired(w);
	case MSG_DONE:
		return order_done(w, payload) ? NULL
					      : "DONE that nobody asked for";
	case MSG_ACCUSE:
		return accuse_handle(w, payload)
		    ? NULL
		    : "ACCUSE of a worker that does not live";
	default:
		return "no handler";
	}
}

int
member_adopt(struct member *w)
{
	if (family_adopt(&w->family) == -1 ||
	    (w->mover.pid != 0 && children_adopt(&w->mover) == -1))
		return -1;
	return children_adopt(&w->child);
}

/* Counts failures before the first readiness; true if it is time to give up
 * rather than to let the process that started chatd wait. */
bool
member_start_failed(struct master *m)
{
	if (m->phase != PHASE_STARTING || ++m->start_failures < START_FAILURES)
		return false;
	master_fail(m, "the workers do not start, see the log");
	return true;
}

/* Whether none is to follow a worker. */
static bool
member_leaves(const struct child *c)
{
	return member_of(c)->course != COURSE_STAYS;
}

/* Whether a worker that is dead has retired, and its keepers have its sockets.
 * One that was told to quit or stop after that may have left for good. */
static bool
member_has_retired(const struct member *w, int status)
{
	const struct master *m = w->master;

	return w->retire_ms != 0 && !w->holds && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0 &&
	    (m->phase < PHASE_QUITTING || slot_held(&m->hub, w->place) > 0);
}

/* A worker's process is gone and reaped; true: another one follows. */
static bool
member_died(struct child *c, const struct child_end *end)
{
	struct member *w = member_of(c);
	struct master *m = w->master;

	family_died(&w->family, end);
	if (member_has_retired(w, end->status)) {
		member_log_retired(w, (int)end->pid);
		member_follow(w);
		return false;
	}
	conversion_worker_died(w);
	/* one that was stopped from outside while it took over did nothing
	 * wrong with what it had in hand */
	w->fault_hand = end->fault && !end->unready ? SHM_LOAD(line_of(w)->hand)
						    : HAND_NOTHING;
	w->fault_arg = SHM_LOAD(line_of(w)->hand_arg);
	report_bury(m, w->place);
	member_left(w);
	if (m->phase >= PHASE_QUITTING) {
		SHM_STORE(line_of(w)->state, WORKER_STOPPED);
		/* a worker that left by itself has left no connection behind */
		w->unclean =
		    !WIFEXITED(end->status) || WEXITSTATUS(end->status) != 0;
		if (!w->unclean)
			family_leave(&w->family);
		clean_assign(w);
		master_check(m);
		return false;
	}
	if (w->course != COURSE_STAYS) {
		resize_gone(w);
		clean_assign(w);
		return false;
	}
	if (end->fault && member_start_failed(m))
		return false;
	m->respawns++;
	if (end->wait_ms != 0)
		clean_assign(w);
	return true;
}

/* Whether a back-off may end: no other worker is adopting the connections. */
static bool
member_may_start(const struct child *c)
{
	const struct member *w = member_of(c);

	return w->course != COURSE_GONE && !conversion_holds(w->master) &&
	    w->cleaner == -1 && !mover_is_there(w) &&
	    !family_awaits(&w->family, c);
}

/* It may be there. */
static void
member_look(struct child *c)
{
	family_look(&member_of(c)->family);
}

/* It could not be made. */
static void
member_failed(struct child *c)
{
	struct member *w = member_of(c);
	struct master *m = w->master;

	(void)member_start_failed(m);
	if (m->phase >= PHASE_QUITTING && !member_is_there(w)) {
		clean_assign(w);
		master_check(m); /* it may have waited for this one alone */
	}
}

/* Makes the next worker. */
static void
member_start(struct child *c, uint64_t now)
{
	spawn_worker(member_of(c));
}

/* What a worker's deadlines ask for. */
static void
member_due(struct child *c, uint64_t now)
{
	struct member *w = member_of(c);
	const struct master *m = w->master;

	family_time(&w->family, now);
	giver_time(w, now);
	if (!member_is_there(w)) {
		if (c->respawn_ms != 0 && now >= c->respawn_ms &&
		    w->cleaner == -1 && w->course != COURSE_GONE)
			mover_make_way(w);
		else if (w->unclean && member_is_vacant(w) &&
		    !conversion_holds(m))
			clean_time(w, now);
		return;
	}
	if (c->pid == 0)
		return;
	renew_time(w, now);
}

const struct child_role worker_role = {.start = member_start,
    .look = member_look,
    .failed = member_failed,
    .may_start = member_may_start,
    .hello = member_hello,
    .message = member_message,
    .leaves = member_leaves,
    .died = member_died,
    .due = member_due,
    .save = member_save,
    .load = member_load};
