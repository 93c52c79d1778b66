/*
 * Keepers: each worker has one from before its first worker's start until
 * the daemon ends. A keeper that dies or hangs is replaced at once; the worker
 * fills the new one. No process that may be the only holder of a socket is
 * ended, and a source of sockets that lives but cannot be reached is tried
 * again: only one that is dead has nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/birth.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "net/custody.h"
#include "master/roles.h"
#include "net/link.h"
#include "children.h"
#include "keep.h"
#include "member.h"
#include "member_state.h"
#include "private.h"
#include "process/probe.h"
#include "process/process.h"

enum {
	LIVELY_MS = 500, /* a keeper that has given no life sign for so long
			  * is not relied on */
	KEEPER_WAIT_MS = 1000, /* after one that could not be reached */
	COMPLAIN_MS = 10000,   /* the same of one keeper again after */
	BEFORE_MS = 10000 /* until it is said that the next one is not filled */
};

/* Says that a keeper cannot be reached: it is tried ten times a second, and
 * said once in ten. Keeps errno. */
static void
keeper_complain(
    const struct member *w, const char *before, const char *after, int error)
{
	static uint64_t again_ms[CONF_WORKERS_MAX];
	uint64_t now = clock_ms();

	if (now >= again_ms[w->place]) {
		again_ms[w->place] = now + COMPLAIN_MS;
		log_error("%skeeper %d%s: %s", before, w->place, after,
		    strerror(error));
	}
	errno = error;
}

/* One end of a new custody link has been passed on, or could not be: closes it
 * here, and then the other one, too. Returns the other end, or -1; keeps
 * errno. */
static int
connect_end(const int fd[2], bool passed)
{
	int saved = errno;

	close(fd[0]);
	if (!passed)
		close(fd[1]);
	errno = saved;
	return passed ? fd[1] : -1;
}

/* Makes a custody link and gives one end to the keeper at a control link.
 * Returns the other end, or -1 and errno. */
static int
keeper_connect(const struct member *w, int control)
{
	bool passed;
	int fd[2];

	if (control == -1) {
		errno = EPIPE;
		return -1;
	}
	if (custody_pair(fd) == -1) {
		keeper_complain(w, "no link to ", "", errno);
		return -1;
	}
	passed = custody_order(control, KEEPER_LINK, fd[0]) == 0;
	if (!passed && !custody_is_gone(errno))
		keeper_complain(w, "", " cannot be told of its worker", errno);
	return connect_end(fd, passed);
}

/* Makes a custody link and gives one end to the worker that has retired.
 * Returns the other end, or -1 and errno. */
static int
former_connect(const struct member *w)
{
	int fd[2];

	if (custody_pair(fd) == -1)
		return -1;
	return connect_end(
	    fd, link_send(w->former.link, MSG_GIVE_BACK, NULL, 0, fd[0]) == 0);
}

/* Says in shared memory which keeper there is now. */
static void
keeper_show(const struct member *w)
{
	struct shm_worker *line = &w->master->hub.worker[w->place];

	watchdog_forget_keeper(&w->master->watchdog, w->place);
	SHM_STORE(line->keeper, (uint32_t)w->keeper.pid);
	SHM_STORE(line->custody, w->custody);
}

/* Makes the keeper of a worker. False if that has to be tried again. */
static bool
keeper_start(struct member *w)
{
	struct master *m = w->master;
	const struct birth_keeper birth = {m->keeper_number + 1};

	/* also after one that died while the one before it stayed */
	w->keeper.generation = w->keeper_generation;
	if (!children_start(&w->keeper, &birth))
		return false;
	w->keeper_generation = w->keeper.generation;
	w->custody = m->keeper_number = birth.number;
	w->keeper_wait_ms = 0;
	w->keeper_filled = w->keeper_linked = false;
	keeper_show(w);
	return true;
}

void
keep_init(struct member *w)
{
	child_init(&w->keeper, child_row_of(CHILD_EACH_WORKER), w->place, -1);
	w->keeper.master = w->master;
	w->before = w->former = w->keeper;
}

void
keep_drop(struct member *w)
{
	child_unlink(&w->keeper);
	child_unlink(&w->before);
	w->before.pid = 0;
	child_unlink(&w->former);
	w->former.pid = 0;
}

/* Forgets a source besides the keeper. Returns its pid, 0: there was none. */
static pid_t
source_forget(struct member *w, enum keep_source source)
{
	struct child *c = source == KEEP_FORMER ? &w->former
	    : source == KEEP_BEFORE		? &w->before
						: NULL;
	pid_t pid = c != NULL ? c->pid : 0;

	if (pid == 0)
		return 0;
	child_unlink(c);
	c->pid = 0;
	return pid;
}

void
keep_source_end(struct member *w, enum keep_source source)
{
	/* The pid is forgotten first: master_reap() ignores it then. */
	pid_t pid = source_forget(w, source);

	if (pid != 0)
		(void)process_kill(pid, "a keeper that is replaced");
}

/* Which pid a source has; 0: there is none. */
static pid_t
source_pid(const struct member *w, enum keep_source source)
{
	switch (source) {
	case KEEP_FORMER:
		return w->former.pid;
	case KEEP_BEFORE:
		return w->before.pid;
	case KEEP_KEEPER:
		return w->keeper.pid;
	default:
		return 0;
	}
}

/* A link to a source that there is. -1 and errno. */
static int
source_connect(const struct member *w, enum keep_source source)
{
	switch (source) {
	case KEEP_FORMER:
		return former_connect(w);
	case KEEP_BEFORE:
		return keeper_connect(w, w->before.link);
	case KEEP_KEEPER:
		return keeper_connect(w, w->keeper.link);
	default:
		errno = EINVAL;
		return -1;
	}
}

bool
keep_source_link(struct member *w, int *fd)
{
	*fd = -1;
	for (; w->cleaner_from < KEEP_SOURCES; w->cleaner_from++) {
		if (source_pid(w, w->cleaner_from) == 0)
			continue;
		*fd = source_connect(w, w->cleaner_from);
		if (*fd != -1)
			return true;
		if (!custody_is_gone(errno))
			return false; /* it lives and has what is needed */
	}
	return true;
}

/* Closes the links to the sources besides the keeper. */
static void
giver_unlink(struct keep_links *links)
{
	for (int i = 0; i < KEEP_KEEPER; i++) {
		if (links->giver[i] != -1)
			close(links->giver[i]);
		links->giver[i] = -1;
	}
}

/* Makes the links to the sources besides the keeper. False: not now. */
static bool
giver_link(struct member *w, struct keep_links *links)
{
	enum keep_source from;

	for (from = KEEP_FORMER; from <= KEEP_BEFORE; from++) {
		if (source_pid(w, from) == 0)
			continue;
		links->giver[from] = source_connect(w, from);
		if (links->giver[from] == -1 && !custody_is_gone(errno)) {
			giver_unlink(links);
			return false;
		}
	}
	return true;
}

bool
keep_takeover(struct member *w, struct keep_links *links)
{
	*links = (struct keep_links){-1, {-1, -1}};
	w->keeper_linked = false;
	if (!giver_link(w, links))
		return false;
	/* Without a keeper there is nothing to be lost, but much to be lost
	 * later: the timer goes on trying. */
	if (w->keeper.pid == 0 && !keeper_start(w))
		return true;
	links->custody = keeper_connect(w, w->keeper.link);
	w->keeper_linked = links->custody != -1;
	w->keeper_filled = false;
	if (w->keeper_linked || custody_is_gone(errno))
		return true;
	giver_unlink(links);
	return false;
}

void
keep_check(struct member *w)
{
	/* If it cannot be told it finds out by itself: it has no worker. */
	if (w->keeper.pid != 0)
		(void)custody_order(w->keeper.link, KEEPER_CHECK, -1);
}

/* Connects the keeper with the worker that lives; it is filled then. False: not
 * now. */
static bool
keeper_relink(struct member *w)
{
	const struct message_custody m = {w->custody};
	int fd;

	/* A keeper has one link: while a worker takes over it may be that over
	 * which this one gives back what it has. keep_ready() comes then. */
	if (w->child.pid == 0 || !w->child.ready || w->keeper_linked)
		return true;
	fd = keeper_connect(w, w->keeper.link);
	if (fd == -1)
		return false;
	w->keeper_filled = false;
	w->keeper_linked =
	    link_send(w->child.link, MSG_CUSTODY, &m, sizeof(m), fd) == 0;
	if (!w->keeper_linked)
		log_warn("worker %d cannot be told of its keeper: %s", w->place,
		    strerror(errno));
	close(fd);
	return w->keeper_linked;
}

/* Sees that there is a keeper, and that its worker is connected with it; what
 * fails is tried again. */
static void
keeper_ensure(struct member *w)
{
	w->keeper_wait_ms = 0;
	if (w->keeper.pid == 0 && !keeper_start(w))
		return;
	if (!keeper_relink(w))
		w->keeper_wait_ms = master_clock_ms(w->master) + KEEPER_WAIT_MS;
}

void
keep_ready(struct member *w)
{
	if (!w->keeper_linked)
		keeper_ensure(w);
}

void
keep_renew(struct member *w)
{
	if (w->child.pid == 0 || !w->keeper_filled || w->before.pid != 0)
		return; /* it alone has some of the sockets */
	w->before = w->keeper;
	w->before_custody = w->custody;
	w->before_ms = master_clock_ms(w->master);
	w->keeper.pid = 0;
	w->keeper.link = -1;
	w->keeper_linked = w->keeper_filled = false;
	keeper_ensure(w);
}

void
keep_filled(struct member *w, uint32_t number)
{
	if (number != w->custody || !w->keeper_linked)
		return; /* that one is no more */
	w->keeper_filled = true;
	keep_source_end(w, KEEP_FORMER);
	keep_source_end(w, KEEP_BEFORE);
}

void
keep_unlinked(struct member *w, uint32_t number)
{
	if (number != w->custody)
		return;
	w->keeper_linked = w->keeper_filled = false;
	if (w->keeper.pid != 0)
		keeper_ensure(w);
}

const char *
keep_problem(const struct member *w)
{
	const struct shm_worker *line = &w->master->hub.worker[w->place];
	static char text[128];

	if (w->keeper.pid == 0)
		snprintf(text, sizeof(text), "keeper %d is missing", w->place);
	else if (!w->keeper_filled || SHM_LOAD(line->unkept) != 0)
		snprintf(text, sizeof(text),
		    "keeper %d has only %u of %u connections", w->place,
		    SHM_LOAD(line->kept), SHM_LOAD(line->opened));
	else if (w->before.pid != 0)
		snprintf(text, sizeof(text), "keeper %d is being replaced",
		    w->place);
	else if (watchdog_keeper_still_ms(&w->master->watchdog, w->place) >=
	    LIVELY_MS)
		snprintf(
		    text, sizeof(text), "keeper %d does not respond", w->place);
	else
		return NULL;
	return text;
}

bool
keep_is_sound(const struct member *w)
{
	return keep_problem(w) == NULL;
}

/* The keeper that was to be replaced is the keeper again: the new one died
 * before it had everything. */
static void
before_return(struct member *w)
{
	const struct policy policy = w->keeper.policy; /* knows of its death */

	w->keeper = w->before;
	w->keeper.policy = policy;
	w->custody = w->before_custody;
	w->before.pid = 0;
	w->before.link = -1;
	w->keeper_linked = w->keeper_filled = false;
	keeper_show(w);
}

/* Takes note of the keeper's death. */
static void
keeper_gone(struct member *w)
{
	struct shm_worker *line = &w->master->hub.worker[w->place];

	w->keeper_linked = w->keeper_filled = false;
	SHM_STORE(line->custody, 0);
	SHM_STORE(line->keeper, 0);
	if (w->before.pid != 0)
		before_return(w);
}

bool
keep_source_died(struct member *w, pid_t pid)
{
	if (w->former.pid != pid && w->before.pid != pid)
		return false;
	/* it is reaped: its pid may be another process's by now */
	(void)source_forget(
	    w, w->former.pid == pid ? KEEP_FORMER : KEEP_BEFORE);
	return true;
}

/* The worker whose keeper a child is. */
static struct member *
keep_of(const struct child *c)
{
	return &c->master->member[c->number];
}

/* A keeper is dead; true: another one follows. */
static bool
keep_died(struct child *c, const struct child_end *end)
{
	struct member *w = keep_of(c);
	struct master *m = w->master;
	const uint64_t now = master_clock_ms(m);

	keeper_gone(w);
	if (end->leaving || w->keeper.pid == 0)
		return true;
	/* the one before serves at once, its next replacement waits */
	if (end->wait_ms == 0)
		policy_respawned(&w->keeper.policy, now);
	if (m->renew_keeper_ms < now + end->wait_ms)
		m->renew_keeper_ms = now + end->wait_ms;
	keeper_ensure(w);
	return false;
}

/* Makes the next keeper. */
static void
keep_start(struct child *c, uint64_t now)
{
	keeper_ensure(keep_of(c));
}

/* Says that the next keeper is not filled yet. */
static void
before_warn(struct member *w, uint64_t now)
{
	if (w->before.pid == 0 || now <= w->before_ms + BEFORE_MS)
		return;
	w->before_ms = now;
	log_warn("keeper %d still does not have everything: its predecessor "
		 "stays",
	    w->place);
}

/* The next worker has waited for that long for a process besides the keeper,
 * which shows no life signs of its own: one that is stopped is continued, one
 * that takes for ever is given up, or no client would ever be served. */
static void
giver_judge(struct member *w, enum keep_source source, uint64_t waited_ms)
{
	const bool former = source == KEEP_FORMER;
	const char *name = former ? "worker" : "keeper";
	const char *state = former ? "has retired" : "is to be replaced";
	pid_t pid = source_pid(w, source);
	struct probe probe;

	if (pid == 0 || waited_ms < WATCHDOG_CONTINUE_MS)
		return;
	if (waited_ms >= WATCHDOG_TAKEOVER_MAX_MS) {
		log_warn("%s %d (pid %d) %s and does not give its connections "
			 "back: killed",
		    name, w->place, (int)pid, state);
		keep_source_end(w, source);
	} else if (probe_process(pid, &probe) && probe.state == 'T') {
		log_warn("%s %d (pid %d) %s and was stopped while the next "
			 "worker waits for it: continued",
		    name, w->place, (int)pid, state);
		kill(pid, SIGCONT);
	}
}

/* Looks at the process, besides the keeper, that the next worker, or the one
 * that goes on for a dead one, gets its sockets from: of two, at that which is
 * asked first. */
static void
givers_time(struct member *w, uint64_t now)
{
	uint64_t since = w->child.pid != 0 ? w->child.started_ms : w->clean_ms;

	if (w->child.pid != 0 ? w->child.ready : w->cleaner == -1)
		return;
	/* begun just now, its time may be later than what is now */
	if (now > since)
		giver_judge(w, w->former.pid != 0 ? KEEP_FORMER : KEEP_BEFORE,
		    now - since);
}

/* What the deadlines of a worker's keepers ask for. */
static void
keep_due(struct child *c, uint64_t now)
{
	struct member *w = keep_of(c);

	if (w->master->phase >= PHASE_QUITTING)
		return;
	givers_time(w, now);
	if (w->keeper_wait_ms != 0 && now >= w->keeper_wait_ms)
		keeper_ensure(w);
	before_warn(w, now);
}

void
keep_judged(struct member *w, const struct watchdog_verdict *v)
{
	const unsigned long long ms = v->still_ms;
	char why[64];

	if (w->keeper.pid == 0)
		return;
	if (v->action == WATCHDOG_CONTINUE) {
		log_warn("keeper %d (pid %d) was stopped for %llu ms while the "
			 "next worker waits for it: continued",
		    w->place, (int)w->keeper.pid, ms);
		kill(w->keeper.pid, SIGCONT);
		return;
	}
	snprintf(why, sizeof(why), "hung for %llu ms", ms);
	(void)child_kill(&w->keeper, why);
}

void
keep_leave(struct member *w)
{
	keep_source_end(w, KEEP_FORMER);
	keep_source_end(w, KEEP_BEFORE);
	(void)process_kill(
	    w->keeper.pid, "the keeper of a worker that has left");
	child_unlink(&w->keeper);
	w->keeper.pid = 0;
}

void
keep_end(struct member *w, uint64_t limit_ms)
{
	process_end(w->former.pid, "a worker that had retired", limit_ms);
	process_end(w->before.pid, "a former keeper", limit_ms);
	process_end(w->keeper.pid, "a keeper", limit_ms);
	keep_drop(w);
	w->keeper.pid = 0;
}

const struct child_role keeper_role = {.start = keep_start,
    .died = keep_died,
    .due = keep_due,
    .save = keep_save,
    .load = keep_load};
