#include "conversion.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory_file.h"
#include "hub/stats.h"
#include "limits.h"
#include "master/resume.h"
#include "member.h"
#include "others.h"
#include "private.h"
#include "process/process.h"
#include "process/spawn.h"

enum {
#ifdef CHATD_SANITIZED
	STEP_MS = 20000,
#else
	/* For the child to get ready, for workers to retire, and for the copy,
	 * each. Longer: clients wait longer for a copy that hangs; shorter: a
	 * busy machine is refused. */
	STEP_MS = 5000,
#endif
	/* For requests that are half there. Longer: those who connect wait
	 * longer for one that does not come; shorter: more of them are ended.
	 */
	PART_MS = 1000,
	TEXT_MAX = 512
};

enum step {
	STEP_PREPARING,
	STEP_DISMISSING,
	STEP_PARTING,
	STEP_STOPPING,
	STEP_COPYING,
	STEP_OVER
};

struct conversion {
	struct master *master;
	const struct conversion_calls *calls;
	pid_t pid; /* 0: it is dead, or was given up */
	int link;  /* to it */
	int memory;
	struct hub_limits limits;
	uint32_t connections;
	struct event *event;
	enum step step;
	enum conversion_state state;
	uint64_t limit_ms; /* of this step */
	uint64_t part_ms;  /* workers were told to accept no more */
	uint64_t stop_ms;  /* and to retire */
	char why[TEXT_MAX];
};

/* It has failed; the first reason counts. */
static void __attribute__((format(printf, 2, 3)))
conversion_fail(struct conversion *c, const char *fmt, ...)
{
	va_list ap;

	if (c->state == CONVERSION_FAILED)
		return;
	c->state = CONVERSION_FAILED;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
}

/* Goes to the next step. */
static void
conversion_step(struct conversion *c, enum step step)
{
	c->step = step;
	c->limit_ms = master_clock_ms(c->master) + STEP_MS;
}

/* Says something to the child. */
static void
conversion_tell(struct conversion *c, const char *text)
{
	if (send(c->link, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		-1 &&
	    errno != EPIPE && errno != ECONNRESET) /* its death says why */
		conversion_fail(c,
		    "the process that copies the memory cannot be told to: %s",
		    strerror(errno));
}

/* Tells all workers to retire. */
static void
conversion_stop_workers(struct conversion *c)
{
	struct master *m = c->master;

	c->stop_ms = master_clock_ms(m);
	conversion_step(c, STEP_STOPPING);
	c->calls->retire(m);
	conversion_retired(m); /* there may be none */
}

/* Whether a request is half there, or may still come. */
static bool
conversion_has_requests(const struct master *m)
{
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0 &&
		    (SHM_LOAD(m->hub.worker[i].accepting) != 0 ||
			SHM_LOAD(m->hub.worker[i].pending) != 0))
			return true;
	return false;
}

/* Goes on from step 3 once that is over. */
static void
conversion_part(struct conversion *c, uint64_t now)
{
	struct master *m = c->master;
	const char *why = c->calls->obstacle(m);

	if (c->step == STEP_DISMISSING && others_are_gone(m) && why == NULL) {
		c->part_ms = now;
		conversion_step(c, STEP_PARTING);
		c->calls->part(m);
	}
	if (c->step == STEP_PARTING && why == NULL &&
	    (!conversion_has_requests(m) || now >= c->part_ms + PART_MS))
		conversion_stop_workers(c);
	else if (why != NULL && now >= c->limit_ms)
		conversion_fail(c, "%s", why);
}

void
conversion_retired(struct master *m)
{
	struct conversion *c = m->conversion;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.pid != 0)
			return;
	conversion_step(c, STEP_COPYING);
	conversion_tell(c, "copy");
}

/* Does what the child's word asks for. */
static void
conversion_heard(struct conversion *c, const char *word)
{
	if (strcmp(word, "ready") == 0 && c->step == STEP_PREPARING) {
		conversion_step(c, STEP_DISMISSING);
		others_dismiss(c->master);
		conversion_part(c, master_clock_ms(c->master));
	} else if (strncmp(word, "done ", 5) == 0 && c->step == STEP_COPYING) {
		/* if it is stopped it would stay: the next program does not
		 * know it */
		if (c->pid != 0)
			(void)process_kill(
			    c->pid, "the process that copies memory");
		log_info("memory copied in %" PRIu64 " ms since workers were "
			 "told to stop: %s",
		    master_clock_ms(c->master) - c->stop_ms, word + 5);
		c->step = STEP_OVER;
		c->state = CONVERSION_DONE;
		c->master->next =
		    (struct next_memory){c->memory, c->limits, c->connections};
	} else
		conversion_fail(
		    c, "%s", strncmp(word, "no ", 3) == 0 ? word + 3 : word);
}

/* The child has said something, or has ended. */
static void
conversion_read_cb(int fd, short what, void *arg)
{
	struct conversion *c = arg;
	char word[TEXT_MAX];
	ssize_t n = recv(fd, word, sizeof(word) - 1, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		event_del(c->event); /* its death says why */
		return;
	}
	word[n] = '\0';
	conversion_heard(c, word);
	c->calls->changed(c->master);
}

/* The child's way from the fork to its exec. */
static void __attribute__((noreturn)) conversion_exec(const struct master *m,
    const struct conversion *c, int state, int link, const struct spawn *s)
{
	char what[64], text[128];

	if (!spawn_tie(s, SIGKILL))
		_exit(1);
	fcntl(m->hub.fd, F_SETFD, 0);
	fcntl(state, F_SETFD, 0);
	fcntl(link, F_SETFD, 0);
	fcntl(c->memory, F_SETFD, 0);
	snprintf(what, sizeof(what), RESUME_CONVERT, state, link, c->memory);
	spawn_signals(NULL);
	c->calls->run(m, what);
	snprintf(text, sizeof(text), "no %s", strerror(errno));
	(void)!send(link, text, strlen(text), MSG_NOSIGNAL);
	_exit(1);
}

/* Starts the child. Returns NULL, or what is wrong. */
static const char *
conversion_fork(struct conversion *c)
{
	static char error[512];
	struct master *m = c->master;
	int state, fd[2];
	struct spawn s;

	if ((state = state_write(m, error, sizeof(error))) == -1)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == -1) {
		close(state);
		return strerror(errno);
	}
	if ((c->pid = spawn_fork(&s)) == 0)
		conversion_exec(m, c, state, fd[1], &s);
	snprintf(error, sizeof(error), "fork: %s", strerror(errno));
	close(state);
	close(fd[1]);
	c->link = fd[0];
	return c->pid == -1 ? error : NULL;
}

/* Says to the child how large the memory is to be, and whom the child becomes,
 * since workers may have written anything into what it reads. */
static void
conversion_tell_task(struct conversion *c)
{
	const struct identity *id = &c->master->identity;
	char text[TEXT_MAX];
	int len = limits_print(text, sizeof(text), &c->limits, c->connections);

	snprintf(text + len, sizeof(text) - (size_t)len, "\n" RESUME_IDENTITY,
	    id->drop, (unsigned)id->uid, (unsigned)id->gid);
	conversion_tell(c, text);
}

const char *
conversion_begin(struct master *m, const struct hub_limits *limits,
    uint32_t connections, const struct conversion_calls *calls)
{
	struct conversion *c;
	const char *why;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return "no memory";
	*c = (struct conversion){.master = m,
	    .calls = calls,
	    .link = -1,
	    .limits = *limits,
	    .connections = connections};
	c->memory = memory_file("chatd");
	if (c->memory == -1) {
		free(c);
		return strerror(errno);
	}
	m->conversion = c;
	conversion_step(c, STEP_PREPARING);
	if ((why = conversion_fork(c)) != NULL) {
		c->pid = 0;
		return why; /* and the caller ends it */
	}
	c->event = event_new(
	    m->base, c->link, EV_READ | EV_PERSIST, conversion_read_cb, c);
	if (c->event == NULL || event_add(c->event, NULL) == -1)
		return "no event";
	conversion_tell_task(c);
	log_info("the shared memory is copied for the new program");
	return NULL;
}

enum conversion_state
conversion_time(struct master *m, uint64_t now)
{
	static const char *const late[] = {
	    [STEP_PREPARING] = "the new program does not make its memory",
	    [STEP_DISMISSING] = "a process of another kind does not leave",
	    [STEP_PARTING] = "workers do not stop accepting",
	    [STEP_STOPPING] = "a worker does not retire",
	    [STEP_COPYING] = "the memory is not copied"};
	struct conversion *c = m->conversion;

	if (c->state == CONVERSION_RUNS &&
	    (c->step == STEP_DISMISSING || c->step == STEP_PARTING))
		conversion_part(c, now);
	if (c->state == CONVERSION_RUNS && now >= c->limit_ms)
		conversion_fail(
		    c, "%s within %d s", late[c->step], STEP_MS / 1000);
	return c->state;
}

const char *
conversion_failure(const struct master *m)
{
	return m->conversion->why;
}

/* Lets go of what this process has of it. */
static void
conversion_free(struct master *m)
{
	struct conversion *c = m->conversion;

	if (c->event != NULL)
		event_free(c->event);
	if (c->link != -1)
		close(c->link);
	close(c->memory);
	free(c);
	m->conversion = NULL;
	m->next.fd = -1;
}

void
conversion_end(struct master *m)
{
	struct conversion *c = m->conversion;
	const struct conversion_calls *calls;
	enum step step;

	if (c == NULL)
		return;
	calls = c->calls;
	step = c->step;
	if (c->pid > 0)
		(void)process_kill(c->pid, "the process that copies memory");
	conversion_free(m);
	others_return(m);
	if (step >= STEP_PARTING)
		calls->go_on(m);
}

bool
conversion_holds(const struct master *m)
{
	return m->conversion != NULL && m->conversion->step >= STEP_STOPPING;
}

void
conversion_worker_died(struct member *w)
{
	struct master *m = w->master;

	if (!conversion_holds(m))
		return;
	conversion_fail(
	    m->conversion, "worker %d died before it had retired", w->place);
	m->conversion->calls->changed(m);
}

bool
conversion_owns(const struct master *m, pid_t pid)
{
	return m->conversion != NULL && m->conversion->pid == pid;
}

bool
conversion_died(struct master *m, pid_t pid, int status)
{
	struct conversion *c = m->conversion;

	if (c == NULL || c->pid == 0 || c->pid != pid)
		return false;
	c->pid = 0; /* it is reaped, and not to be killed */
	/* what it has said is still to be read */
	while (c->state == CONVERSION_RUNS && c->event != NULL) {
		char word[TEXT_MAX];
		ssize_t n = recv(c->link, word, sizeof(word) - 1, MSG_DONTWAIT);

		if (n <= 0)
			break;
		word[n] = '\0';
		conversion_heard(c, word);
	}
	if (c->state == CONVERSION_RUNS)
		conversion_fail(c, "the process that copies the memory %s",
		    process_death(status));
	c->calls->changed(m);
	return true;
}

const char *
conversion_name(const struct master *m)
{
	static const char *const names[] = {[STEP_PREPARING] = "preparing",
	    [STEP_DISMISSING] = "parting",
	    [STEP_PARTING] = "parting",
	    [STEP_STOPPING] = "stopping",
	    [STEP_COPYING] = "copying",
	    [STEP_OVER] = "executing"};

	return names[m->conversion->step];
}
