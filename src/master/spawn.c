#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/stats.h"
#include "master/control.h"
#include "master/daemon.h"
#include "net/link.h"
#include "keep.h"
#include "log_child.h"
#include "member.h"
#include "order.h"
#include "page.h"
#include "private.h"
#include "process/identity.h"
#include "reload.h"
#include "spawn.h"
#include "upgrade.h"
#include "worker/worker.h"

enum {
	RETRY_MS = 1000, /* after a fork that failed */
	REACH_MS = 100,	 /* after a keeper could not be reached */
};

/* The kernel shall rather take a worker than the master. */
static const char oom_score_adj[] = "300";

/* Makes a worker a likelier choice when memory runs out. From here, so that
 * the worker opens nothing before it serves; /proc keeps nobody waiting. */
static void
oom_volunteer(pid_t pid)
{
	char file[64];
	int fd;

	snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", (int)pid);
	if ((fd = open(file, O_WRONLY | O_CLOEXEC)) == -1)
		return;
	if (write(fd, oom_score_adj, sizeof(oom_score_adj) - 1) == -1)
		log_debug("oom_score_adj: %s", strerror(errno));
	close(fd);
}

/*
 * Signals as a worker is born with: those that are for the master are ignored,
 * since a terminal's ^C goes to the whole group; the rest is at its default.
 */
void
spawn_signals_reset(const sigset_t *mask)
{
	static const int ignored[] = {
	    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};

	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigprocmask(SIG_SETMASK, mask, NULL);
}

/* Arms the kill point that a test asked for, in a slot's first worker. */
static void
kill_point_prepare(const struct member *w)
{
#ifdef CHATD_KILL_POINTS
	const char *slot = getenv("CHATD_KILL_WORKER");
	const char *nth = getenv("CHATD_KILL_NTH");
	const char *sig = getenv("CHATD_KILL_SIGNAL");

	if (slot != NULL && nth != NULL && sig != NULL &&
	    atoi(slot) == w->slot && w->generation == 1) {
		kill_point_only(getenv("CHATD_KILL_FILE"));
		kill_point_arm((uint64_t)atoll(nth), atoi(sig));
	}
#endif
}

/* Gives up what is the master's: events, other workers' links, the control
 * socket, the lock on the pidfile, the file of the shared memory. */
void
spawn_child_drop(struct master *m)
{
	/* Without it, freeing an event here would unregister it there. */
	if (event_reinit(m->base) == -1)
		_exit(1);
	control_drop(m->control);
	log_child_drop(m);
	order_drop(m);
	reload_drop(m);
	page_drop(m);
	for (int i = 0; i < m->n_workers; i++) {
		member_deinit(&m->member[i]);
		keep_drop(&m->member[i]);
		control_forget(m->member[i].renew_wait);
	}
	master_drop_events(m);
	upgrade_drop(m);
	pidfile_drop(&m->pidfile);
	hub_close_file(&m->hub);
	if (m->ready_pipe != -1)
		close(m->ready_pipe);
}

/* The child's way from the fork to worker_main(). Signals are blocked. */
static void __attribute__((noreturn)) child_run(struct member *w, int control,
    const struct keep_links *links, pid_t parent, const sigset_t *mask)
{
	struct master *m = w->master;
	const struct worker_start start = {.worker = w->slot,
	    .generation = w->generation,
	    .control = control,
	    .custody = links->custody,
	    .keeper = w->keeper_number,
	    .giver = links->giver,
	    .giver_name = links->giver_name,
	    .fault_hand = w->fault_hand,
	    .fault_arg = w->fault_arg,
	    .hub = &m->hub,
	    .live = &m->live,
	    .connections = m->conf->connections,
	    .io_uring = m->conf->io_uring,
	    .listener = m->listener,
	    .n_listeners = m->n_listeners};
	char name[32];

	snprintf(name, sizeof(name), "worker %d", w->slot);
	log_set_name(name);
	daemon_set_title(name);
	spawn_child_drop(m);
	if (identity_assume(&m->identity) == -1)
		log_fatal("cannot become user %s: %s", m->identity.name,
		    strerror(errno));
#ifdef CHATD_SANITIZED
	/* The leak checker traces its own process. */
	prctl(PR_SET_DUMPABLE, 1);
#endif
	/* After the change of user, which would undo it; and the parent may
	 * have died before it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		log_fatal("PR_SET_PDEATHSIG: %s", strerror(errno));
	if (getppid() != parent)
		_exit(0);
	spawn_signals_reset(mask);
	kill_point_prepare(w);
	worker_main(&start);
}

/* Closes the parent's copies. */
static void
links_close(const struct keep_links *links)
{
	if (links->custody != -1)
		close(links->custody);
	if (links->giver != -1)
		close(links->giver);
}

/* The slot's process could not be made: it will be tried again. */
static void
spawn_later(struct member *w, uint64_t wait_ms)
{
	w->generation--; /* that one never was */
	SHM_STORE(w->master->hub.line[w->slot].state, WORKER_WAITING);
	w->respawn_ms = master_clock_ms(w->master) + wait_ms;
}

/* Start and respawn in one: makes the next process of a slot. A failure is
 * tried again later; so is what would lose the connections of the one before.
 */
void
spawn_worker(struct member *w)
{
	struct shm_line *line = &w->master->hub.line[w->slot];
	pid_t parent = getpid(), pid = -1;
	struct keep_links links;
	int link[2] = {-1, -1}, saved;
	sigset_t all, mask;

	w->generation++;
	w->respawn_ms = 0;
	SHM_STORE(line->generation, w->generation);
	SHM_STORE(line->started_ms, clock_ms());
	SHM_STORE(line->state, WORKER_STARTING);
	if (!keep_takeover(w, &links)) {
		spawn_later(w, REACH_MS);
		member_start_failed(w->master);
		return;
	}
	if (link_pair(link) == 0) {
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, &mask);
		if ((pid = fork()) == 0) {
			close(link[0]);
			child_run(w, link[1], &links, parent, &mask);
		}
		saved = errno;
		sigprocmask(SIG_SETMASK, &mask, NULL);
		close(link[1]);
		errno = saved;
	}
	saved = errno;
	links_close(&links);
	if (pid == -1) {
		log_error("cannot start worker %d: %s, trying again in %d ms",
		    w->slot, strerror(saved), RETRY_MS);
		if (link[0] != -1)
			close(link[0]);
		spawn_later(w, RETRY_MS);
		member_start_failed(w->master);
		return;
	}
	oom_volunteer(pid);
	SHM_STORE(line->pid, (uint32_t)pid);
	member_born(w, pid, link[0]);
}
