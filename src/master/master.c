#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/stats.h"
#include "master/control.h"
#include "master/daemon.h"
#include "net/loop.h"
#include "children.h"
#include "conversion.h"
#include "log_child.h"
#include "member.h"
#include "order.h"
#include "page.h"
#include "others.h"
#include "private.h"
#include "process/probe.h"
#include "reload.h"
#include "renew.h"
#include "resize.h"
#include "upgrade.h"

static const int signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
enum {
	LEFT_MS = 500,	   /* after that, for those to die */
	CHILDREN_MS = 300, /* to reap what is killed at the very end */
	N_SIGNALS = sizeof(signals) / sizeof(signals[0]),
	STOOD_MS = 1000 /* a look that late is worth a line in the log */
};

/* Whether a child is one of those that families name, as their pages are now.
 */
static bool
child_is_named(struct master *m, pid_t pid)
{
	families_look(m);
	for (int i = 0; i < m->n_workers; i++)
		if (family_names(&m->member[i].family, pid) ||
		    giver_is(&m->member[i], pid))
			return true;
	return false;
}

/* For struct master. */
static bool
child_is_known(struct master *m, pid_t pid)
{
	const struct child *c;

	for (unsigned i = 0; (c = children_at(m, i)) != NULL; i++)
		if (c->pid == pid)
			return true;
	return m->log.now.pid == pid || m->log.next.pid == pid ||
	    upgrade_owns(m, pid) || conversion_owns(m, pid) ||
	    reload_owns(m, pid) || beginners_own(m, pid) ||
	    errand_owns(m, pid) || child_is_named(m, pid);
}

/* The next child that has died; 0: there is none. What the pages of families
 * say of it is taken in before it is reaped: later, its pid may be another
 * one's. */
static pid_t
reap_next(struct master *m, int *status)
{
	siginfo_t si = {0};

	if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    si.si_pid == 0)
		return 0;
	families_look(m);
	return waitpid(si.si_pid, status, WNOHANG);
}

/* Reaps children that have died. */
void
master_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = reap_next(m, &status)) > 0)
		(void)(children_died(m, pid, status) ||
		    families_reaped(m, pid) || upgrade_died(m, pid, status) ||
		    reload_died(m, pid) || beginners_died(m, pid) ||
		    errand_died(m, pid, status) ||
		    log_child_died(m, pid, status) ||
		    others_stranger_died(m, pid) || giver_died(m, pid));
	families_go(m);
}

/* A signal arrived. */
static void
signal_cb(int sig, short what, void *arg)
{
	struct master *m = arg;
	char error[1024];

	switch (sig) {
	case SIGTERM:
	case SIGINT:
		/* A worker that died just before is replaced: its successor
		 * tells its clients. */
		master_reap(m);
		master_stop(m);
		break;
	case SIGQUIT:
		master_reap(m);
		master_quit(m);
		break;
	case SIGHUP:
		reload_begin(m, NULL); /* logs what is wrong */
		break;
	case SIGUSR1:
		log_child_reopen(m);
		break;
	case SIGUSR2:
		upgrade_begin(m, NULL, error, sizeof(error));
		break;
	case SIGCHLD:
		master_reap(m);
		break;
	}
}

/* For the watchdog. */
static bool
watch_probe(void *arg, int line, struct probe *probe)
{
	return probe_process(children_with_line(arg, line)->pid, probe);
}

/* Says what the watchdog is to look at. */
static struct watchdog_scene
watch_scene(const struct master *m)
{
	struct watchdog_scene s = {.limit_ms = m->live.watchdog_ms};
	const struct child *c;

	for (int i = 0; i < m->n_workers; i++) {
		const uint64_t bit = 1ull << i;

		c = children_with_line(m, i);
		s.workers |= c->pid != 0 && !c->killed ? bit : 0;
		s.starting |= c->ready ? 0 : bit;
	}
	s.others = others_lively(m);
	s.others_starting = others_starting(m);
	s.readers = others_reading(m);
	for (int i = 0; i < m->n_others; i++) {
		s.other[i] = m->other[i].line;
		if (m->other[i].kind != NULL)
			s.other_ms[i] = m->other[i].kind->still_ms;
	}
	return s;
}

/* Kills the process of a line that hangs. */
static void
watch_kill(struct master *m, const struct watchdog_verdict *v)
{
	char why[64];

	snprintf(why, sizeof(why), "%s for %llu ms%s",
	    v->is_stuck ? "did not read on in the journal" : "hung",
	    (unsigned long long)v->still_ms,
	    v->has_lock ? " with the lock" : "");
	(void)child_kill(children_with_line(m, v->place), why);
}

/* Has the watchdog look, and does what it says. */
static void
watch(struct master *m)
{
	struct watchdog_verdict v;
	const struct watchdog_scene scene = watch_scene(m);
	const bool found =
	    watchdog_look(&m->watchdog, &m->hub, &scene, clock_ms(), &v);

	if (m->watchdog.late_ms >= STOOD_MS)
		log_warn("the machine or this process stood still for %llu ms: "
			 "not held against other processes",
		    (unsigned long long)m->watchdog.late_ms);
	if (found)
		watch_kill(m, &v);
}

/* Kills workers that have not left in time, and leaves without those that do
 * not even die. */
static void
late_end(struct master *m, uint64_t now)
{
	for (int i = 0; i < m->n_workers; i++)
		member_kill(&m->member[i], "did not leave in time");
	if (now < m->deadline_ms + LEFT_MS || m->done)
		return;
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0)
			log_error("worker %d (pid %d) does not end: left "
				  "behind",
			    i, (int)m->member[i].child.pid);
	m->status = 1;
	m->done = true;
	event_base_loopbreak(m->base);
}

/* Everything that is due by the clock. */
static void
timer_cb(int fd, short what, void *arg)
{
	struct master *m = arg;
	uint64_t now;

	watch(m);
	now = master_clock_ms(m);
	children_time(m, now);
	beginners_time(m, now);
	renew_next(m, now);
	resize_time(m, now);
	rebalance_time(m, now);
	order_time(m);
	upgrade_time(m, now);
	log_child_time(m, now);
	master_mend_listeners(m);
	log_more();
	if (m->phase == PHASE_STARTING)
		master_check(m);
	if (m->phase >= PHASE_QUITTING && now >= m->deadline_ms)
		late_end(m, now);
}

/* Frees the loop and what is registered on it, but for links and control. */
static void
master_drop_events(struct master *m)
{
	for (int i = 0; i < N_SIGNALS; i++)
		if (m->signal[i] != NULL)
			event_free(m->signal[i]);
	memset(m->signal, 0, sizeof(m->signal));
	if (m->timer != NULL)
		event_free(m->timer);
	m->timer = NULL;
	if (m->base != NULL)
		event_base_free(m->base);
	m->base = NULL;
}

/* Makes the loop, its signals and its timer. Returns 0, or -1. */
int
master_make_events(struct master *m)
{
	const struct timeval period = {.tv_usec = WATCHDOG_PERIOD_MS * 1000};

	m->base = loop_new();
	if (m->base == NULL)
		return -1;
	for (int i = 0; i < N_SIGNALS; i++) {
		m->signal[i] = evsignal_new(m->base, signals[i], signal_cb, m);
		if (m->signal[i] == NULL || event_add(m->signal[i], NULL) == -1)
			return -1;
	}
	m->timer = event_new(m->base, -1, EV_PERSIST, timer_cb, m);
	if (m->timer == NULL || event_add(m->timer, &period) == -1)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	m->knows = child_is_known;
	m->watchdog.probe = watch_probe;
	m->watchdog.probe_arg = m;
	return 0;
}

/* Gives everything back. */
static void
deinit(struct master *m)
{
	const uint64_t limit_ms = clock_ms() + CHILDREN_MS;

	upgrade_end(m);
	reload_end(m);
	page_drop(m);
	beginners_deinit(m);
	if (m->control != NULL)
		control_close(m->control);
	order_drop(m);
	others_end(m, limit_ms);
	for (int i = 0; i < m->n_workers; i++)
		member_deinit(&m->member[i]);
	for (int i = 0; i < m->n_workers; i++) {
		family_end(&m->member[i].family, limit_ms);
		giver_stop(&m->member[i], limit_ms);
	}
	log_child_end(m);
	master_close_listeners(m);
	master_drop_events(m);
	if (m->hub.base != NULL)
		hub_destroy(&m->hub);
	pidfile_leave(&m->pidfile);
	free(m->kept.text);
	conf_free(m->conf);
	free(m);
}

struct master *
master_new(const struct options *options, struct conf *conf)
{
	struct master *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	TAILQ_INIT(&m->orders);
	m->options = options;
	m->conf = conf;
	conf_access_settle(conf, conf);
	m->live = conf->live;
	m->ready_pipe = m->pidfile.fd = m->page = m->bundle = m->next.fd = -1;
	m->nursery.pages = m->nursery.log = m->nursery.program =
	    m->nursery.wire = -1;
	log_child_init(m);
	beginners_init(m);
	m->started_ms = clock_ms();
	m->n_workers = m->wanted = conf->workers;
	for (int i = 0; i < m->n_workers; i++)
		member_init(&m->member[i], m, i);
	watchdog_init(&m->watchdog, 0, m->started_ms);
	return m;
}

int
master_loop(struct master *m)
{
	int status;

	if (m->status == 0) {
		master_check(m);
		if (!m->done)
			event_base_dispatch(m->base);
		log_info("stopped");
	}
	log_flush();
	if (m->ready_pipe != -1)
		daemon_fail(m->ready_pipe, m->failure);
	status = m->status;
	deinit(m);
	return status;
}
