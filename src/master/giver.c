#include "giver.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "children.h"
#include "codec/custody.h"
#include "codec/message.h"
#include "member.h"
#include "net/custody.h"
#include "net/link.h"
#include "net/rights.h"
#include "private.h"
#include "process/probe.h"
#include "process/process.h"

static const char *const names[] = {
    [GIVER_WORKER] = "worker", [GIVER_KEEPER] = "keeper"};

void
giver_init(struct member *w)
{
	for (int i = 0; i < GIVERS; i++) {
		child_init(&w->giver[i], NULL, w->place, -1);
		w->giver[i].master = w->master;
	}
}

void
giver_hold(struct member *w, struct child *c)
{
	giver_end(w, GIVER_WORKER);
	w->giver[GIVER_WORKER].pid = c->pid;
	w->giver[GIVER_WORKER].link = c->link;
	children_ignore(c);
	c->link = -1;
	c->pid = 0;
}

/* Hands a keeper of an older program, which knows orders of one byte, the end
 * of a link. */
static int
giver_order(int control, int fd)
{
	RIGHTS_SPACE(1) space;
	uint8_t what = KEEPER_LINK;
	struct iovec v = {&what, 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};

	rights_put(&h, &space, &fd, 1);
	return sendmsg(control, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int
giver_connect(struct member *w, enum giver which)
{
	const struct child *c = &w->giver[which];
	int fd[2], r, saved;

	if (c->pid == 0 || c->link == -1) {
		errno = 0;
		return -1;
	}
	if (custody_pair(fd) == -1)
		return -1;
	r = which == GIVER_KEEPER
	    ? giver_order(c->link, fd[0])
	    : link_send(c->link, MSG_GIVE_BACK, NULL, 0, fd[0]);
	saved = r == -1 && custody_is_gone(errno) ? 0 : errno;
	close(fd[0]);
	if (r == 0)
		return fd[1];
	close(fd[1]);
	errno = saved;
	return -1;
}

void
giver_unlink(int fd[GIVERS])
{
	for (int i = 0; i < GIVERS; i++) {
		if (fd[i] != -1)
			close(fd[i]);
		fd[i] = -1;
	}
}

bool
giver_link(struct member *w, int fd[GIVERS])
{
	int saved;

	fd[GIVER_WORKER] = fd[GIVER_KEEPER] = -1;
	for (int i = 0; i < GIVERS; i++) {
		fd[i] = giver_connect(w, (enum giver)i);
		if (fd[i] != -1 || errno == 0)
			continue;
		saved = errno;
		giver_unlink(fd);
		errno = saved;
		return false;
	}
	return true;
}

bool
giver_lives(const struct member *w, enum giver which)
{
	return w->giver[which].pid != 0;
}

bool
giver_is(const struct member *w, pid_t pid)
{
	return w->giver[GIVER_WORKER].pid == pid ||
	    w->giver[GIVER_KEEPER].pid == pid;
}

/* Forgets one. Returns its pid, 0: there was none. */
static pid_t
giver_forget(struct member *w, enum giver which)
{
	struct child *c = &w->giver[which];
	pid_t pid = c->pid;

	child_unlink(c);
	c->pid = 0;
	return pid;
}

bool
giver_died(struct master *m, pid_t pid)
{
	for (int i = 0; i < m->n_workers; i++)
		for (int k = 0; k < GIVERS; k++)
			if (m->member[i].giver[k].pid == pid) {
				(void)giver_forget(
				    &m->member[i], (enum giver)k);
				return true;
			}
	return false;
}

void
giver_end(struct member *w, enum giver which)
{
	/* The pid is forgotten first: it is reaped as unknown. */
	const pid_t pid = giver_forget(w, which);

	if (pid != 0)
		(void)process_kill(pid, "a process that has given its sockets");
}

void
giver_end_all(struct member *w)
{
	for (int i = 0; i < GIVERS; i++)
		giver_end(w, (enum giver)i);
}

/* The next worker has waited for that long for one that shows no life signs of
 * its own: one that is stopped is continued, one that takes for ever is given
 * up, or no client would ever be served. */
static void
giver_judge(struct member *w, enum giver which, uint64_t waited_ms)
{
	const pid_t pid = w->giver[which].pid;
	struct probe probe;

	if (pid == 0 || waited_ms < WATCHDOG_CONTINUE_MS)
		return;
	if (waited_ms >= WATCHDOG_TAKEOVER_MAX_MS) {
		log_warn("%s %d (pid %d) has retired and does not give its "
			 "connections back: killed",
		    names[which], w->place, (int)pid);
		giver_end(w, which);
	} else if (probe_process(pid, &probe) && probe.state == 'T') {
		log_warn("%s %d (pid %d) has retired and was stopped while the "
			 "next worker waits for it: continued",
		    names[which], w->place, (int)pid);
		kill(pid, SIGCONT);
	}
}

void
giver_time(struct member *w, uint64_t now)
{
	const uint64_t since =
	    w->child.pid != 0 ? w->child.started_ms : w->clean_ms;

	if (w->child.pid != 0 ? w->child.ready : w->cleaner == -1)
		return;
	/* begun just now, its time may be later than what is now */
	if (now > since)
		giver_judge(w,
		    giver_lives(w, GIVER_WORKER) ? GIVER_WORKER : GIVER_KEEPER,
		    now - since);
}

void
giver_stop(struct member *w, uint64_t limit_ms)
{
	for (int i = 0; i < GIVERS; i++)
		process_end(giver_forget(w, (enum giver)i), names[i], limit_ms);
}

void
giver_descriptors(const struct member *w, void (*f)(int fd))
{
	for (int i = 0; i < GIVERS; i++)
		if (w->giver[i].link != -1)
			f(w->giver[i].link);
}
