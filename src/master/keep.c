/*
 * Keepers: each worker slot has one from before its first worker's start until
 * the daemon ends. A keeper that dies or hangs is replaced at once; the worker
 * fills the new one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "keeper/keeper.h"
#include "master/daemon.h"
#include "net/custody.h"
#include "net/link.h"
#include "process.h"

enum {
	/* A keeper that is killed again and again, by somebody or by what is
	 * wrong with it, must not keep the machine busy. */
	KEEPER_BURST = 20,
	KEEPER_BURST_MS = 10000,
	KEEPER_WAIT_MS = 1000,
	BEFORE_MS = 10000 /* to fill the next one */
};

/* Gives the keeper at a link an order with one end of a custody link (-1:
 * none). */
static int
order(int link, uint8_t what, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {&what, 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (link == -1) {
		errno = EPIPE;
		return -1;
	}
	if (fd != -1) {
		h.msg_control = control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(link, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Makes a custody link: one end to the keeper with an order. Returns the
 * worker's end, or -1. */
static int
connect_keeper(struct member *w, enum keeper_order what)
{
	int fd[2];

	if (custody_pair(fd) == -1) {
		log_error("no link to keeper %d: %s", w->slot, strerror(errno));
		return -1;
	}
	if (order(w->keeper_link, (uint8_t)what, fd[0]) == -1) {
		log_error(
		    "keeper %d does not listen: %s", w->slot, strerror(errno));
		close(fd[1]);
		fd[1] = -1;
	}
	close(fd[0]);
	return fd[1];
}

/* The child's way from the fork to keeper_main(). */
static void __attribute__((noreturn))
child_run(struct member *w, int control, pid_t parent, const sigset_t *mask)
{
	struct master *m = w->master;
	char name[32];

	snprintf(name, sizeof(name), "keeper %d", w->slot);
	log_set_name(name);
	daemon_set_title(name);
	spawn_child_drop(m);
	for (int i = 0; i < m->n_listeners; i++)
		close(m->listener[i]);
	if (identity_assume(&m->identity) == -1)
		log_fatal("cannot become user %s: %s", m->identity.name,
		    strerror(errno));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		log_fatal("PR_SET_PDEATHSIG: %s", strerror(errno));
	if (getppid() != parent)
		_exit(0);
	spawn_signals_reset(mask);
	keeper_main(&m->hub, w->slot, control);
}

/* Makes a slot's keeper. False if that has to be tried again. */
static bool
keeper_start(struct member *w)
{
	struct shm_worker *line = &w->master->hub.worker[w->slot];
	pid_t parent = getpid(), pid;
	sigset_t all, mask;
	int link[2], saved;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) == -1) {
		log_error("keeper %d: %s", w->slot, strerror(errno));
		return false;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	if ((pid = fork()) == 0) {
		close(link[0]);
		child_run(w, link[1], parent, &mask);
	}
	saved = errno;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	close(link[1]);
	if (pid == -1) {
		log_error(
		    "cannot start keeper %d: %s", w->slot, strerror(saved));
		close(link[0]);
		return false;
	}
	w->keeper_pid = pid;
	w->keeper_wait_ms = 0;
	w->keeper_link = link[0];
	w->keeper_old = false;
	w->keeper_tick_ms = master_clock_ms(w->master);
	SHM_STORE(line->keeper, (uint32_t)pid);
	return true;
}

void
keep_init(struct member *w)
{
	w->keeper_link = -1;
}

/* Gives up the link. */
static void
link_drop(struct member *w)
{
	if (w->keeper_link != -1)
		close(w->keeper_link);
	w->keeper_link = -1;
}

void
keep_drop(struct member *w)
{
	link_drop(w);
	if (w->before_pid != 0)
		close(w->before_link);
	w->before_pid = 0;
}

/* The one before is not needed any more, and reaped as somebody unknown. */
static void
before_end(struct member *w)
{
	if (w->before_pid == 0)
		return;
	close(w->before_link);
	kill(w->before_pid, SIGKILL);
	w->before_pid = 0;
}

/* The worker died before it had filled its keeper: the one before does that,
 * and leaves. */
static void
before_hand_over(struct member *w)
{
	int fd[2];

	if (w->before_pid == 0)
		return;
	if (custody_pair(fd) == -1) {
		log_error(
		    "no link between keepers %d: %s", w->slot, strerror(errno));
		before_end(w);
		return;
	}
	if (order(w->before_link, KEEPER_HAND_BACK, fd[0]) == -1 ||
	    order(w->keeper_link, KEEPER_FILL, fd[1]) == -1)
		log_error("keeper %d does not fill the next one: %s", w->slot,
		    strerror(errno));
	close(fd[0]);
	close(fd[1]);
	close(w->before_link); /* when it has done so, it leaves */
	w->before_pid = 0;
}

void
keep_filled(struct member *w)
{
	before_end(w);
}

int
keep_hand_back(struct member *w)
{
	int fd = -1;

	if (w->keeper_pid != 0 || keeper_start(w)) {
		before_hand_over(w);
		fd = connect_keeper(w, KEEPER_HAND_BACK);
	}
	w->keeper_wait_ms =
	    fd == -1 ? master_clock_ms(w->master) + KEEPER_WAIT_MS : 0;
	return fd;
}

void
keep_forget(struct member *w)
{
	if (w->keeper_pid != 0 &&
	    order(w->keeper_link, KEEPER_FORGET, -1) == -1)
		kill(w->keeper_pid, SIGKILL);
}

/* A new keeper for a worker that lives: it will be filled. */
static void
keeper_replace(struct member *w)
{
	uint64_t again = master_clock_ms(w->master) + KEEPER_WAIT_MS;
	int fd;

	w->keeper_wait_ms = again;
	if (!keeper_start(w))
		return; /* which clears the wait if it does its work */
	if (w->pid == 0)
		return;
	fd = connect_keeper(w, KEEPER_FILL);
	if (fd == -1) {
		w->keeper_wait_ms = again;
		return;
	}
	if (link_send(w->link, MSG_CUSTODY, NULL, 0, fd) == -1) {
		log_warn("worker %d does not take its keeper: %s", w->slot,
		    strerror(errno));
		w->keeper_wait_ms = again;
	}
	close(fd);
}

/* Another one in the place of one that may be of no use; it is reaped as
 * somebody unknown. */
static void
keeper_discard(struct member *w)
{
	pid_t pid = w->keeper_pid;

	w->keeper_pid = 0;
	link_drop(w);
	if (pid > 0)
		kill(pid, SIGKILL);
	keeper_replace(w);
}

void
keep_renew(struct member *w)
{
	if (w->pid == 0 || w->keeper_pid == 0) {
		keeper_discard(w);
		return;
	}
	before_end(w);
	w->before_pid = w->keeper_pid;
	w->before_link = w->keeper_link;
	w->before_ms = master_clock_ms(w->master);
	w->keeper_pid = 0;
	w->keeper_link = -1;
	keeper_replace(w);
}

bool
keep_died(struct member *w, pid_t pid, int status)
{
	uint64_t now = master_clock_ms(w->master);

	if (w->before_pid == pid) {
		close(w->before_link);
		w->before_pid = 0;
		return true;
	}
	if (w->keeper_pid != pid)
		return false;
	w->keeper_pid = 0;
	SHM_STORE(w->master->hub.worker[w->slot].keeper, 0);
	link_drop(w);
	if (w->master->phase >= PHASE_QUITTING)
		return true;
	log_warn("keeper %d (pid %d) died of %s %d, replaced", w->slot,
	    (int)pid, WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (now - w->keeper_burst_ms > KEEPER_BURST_MS) {
		w->keeper_burst_ms = now;
		w->keeper_deaths = 0;
	}
	if (++w->keeper_deaths > KEEPER_BURST)
		w->keeper_wait_ms = now + KEEPER_WAIT_MS;
	else
		keeper_replace(w);
	return true;
}

void
keep_time(struct member *w, uint64_t now)
{
	uint64_t tick = SHM_LOAD(w->master->hub.worker[w->slot].keeper_tick);

	/* One that nobody is connected to may have what is not wanted any
	 * more: another one, then. */
	if (w->keeper_wait_ms != 0 && now >= w->keeper_wait_ms)
		keeper_discard(w);
	if (w->before_pid != 0 && now > w->before_ms + BEFORE_MS)
		before_end(w);
	if (tick != w->keeper_tick) {
		w->keeper_tick = tick;
		w->keeper_tick_ms = now;
	}
	/* started just now, its time may be later than what is now */
	if (w->keeper_pid != 0 &&
	    now > w->keeper_tick_ms + w->master->live.watchdog_ms) {
		log_warn("keeper %d hung, killed", w->slot);
		w->keeper_tick_ms = now;
		kill(w->keeper_pid, SIGKILL);
	}
}

/* Kills and reaps one. */
static void
keeper_end(pid_t pid)
{
	if (pid == 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
}

void
keep_end(struct member *w)
{
	keeper_end(w->before_pid);
	keeper_end(w->keeper_pid);
	keep_drop(w);
	w->keeper_pid = 0;
}
