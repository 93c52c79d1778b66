/*
 * The log process, a child of the master: started before the first worker,
 * replaced when it dies, at USR1 and by an upgrade, ended after all others.
 *
 * All processes send their lines into one socket, whose other end the master
 * keeps, too, as it does the buffer of lines that are read and not written:
 * what is in them waits for the next log process. That one opens the log
 * itself, since open() may take as long as it likes, with the master's rights,
 * since the workers' user need not be able to make files there. Only when it
 * has done so the one before it is told to leave; so a log that cannot be
 * opened leaves the former one in use. It then executes the children's program,
 * so that its addresses are no other process's.
 *
 * It is not a kind of child (process/child.h), and shares with those the fork
 * and the program alone: it opens the log with the master's rights before it
 * gives these up, it outlives the master until the last lines are written, no
 * watchdog may judge it, since a disk may hold it for as long as it likes, and
 * at a change two of them are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "logger/logger.h"
#include "base/title.h"
#include "log_child.h"
#include "private.h"
#include "process/executable.h"
#include "process/identity.h"
#include "process/process.h"
#include "process/spawn.h"

enum {
	/* Larger: longer bursts and pauses of the log process lose no line;
	 * it is memory that is used then. The kernel may grant less. */
	SOCKET_BYTES = 1024 * 1024,
	/* The start waits so long for the log to be opened. Larger: more is
	 * told by the start's status; smaller: a slow disk delays it less. */
	FIRST_MS = 2000,
	OPEN_MS = 5000,	   /* a reopened log is given up after that */
	LEAVE_MS = 1500,   /* LOGGER_LEAVE_MS and a margin: killed after that */
	STOP_MIN_MS = 100, /* the last lines have so long at the stop ... */
	STOP_PAST_MS = 700, /* ... and that much past its deadline */
	AGAIN_MS = 1000,    /* between two that die at once */
	REAP_MS = 100,	    /* for a killed one to be gone */
	LINES_FD = 3,	    /* the child's descriptors */
	CONTROL_FD = 4,
	BUFFER_FD = 5,
	PROGRAM_FD = 6,
	NEXT_FD = 7
};

static const char name[] = "log process"; /* in complaints */

/* A log process's first word: it has opened the log, or why it has not. */
struct log_report {
	bool good;
	char text[480];
};

void
log_child_init(struct master *m)
{
	m->log = (struct log_child){
	    .lines = {-1, -1}, .now = {.control = -1}, .next = {.control = -1}};
}

/* Gives up what belongs to a log process that is gone. */
static void
process_forget(struct log_process *p)
{
	if (p->control != -1)
		close(p->control);
	*p = (struct log_process){.control = -1};
}

/* Keeps these descriptors, from LINES_FD on, and no other. */
static void
descriptors_shed(int lines, int control, int buffer, int program)
{
	const int from[] = {lines, control, buffer, program};
	int high[NEXT_FD - LINES_FD];

	for (int i = 0; i < NEXT_FD - LINES_FD; i++)
		high[i] = fcntl(from[i], F_DUPFD, NEXT_FD);
	if (high[0] == -1 || high[1] == -1)
		_exit(1);
	for (int i = 0; i < NEXT_FD - LINES_FD; i++)
		if (high[i] == -1)
			close(LINES_FD + i);
		else
			dup2(high[i], LINES_FD + i);
	closefrom(NEXT_FD);
}

/* Says what failed, in full. */
static void __attribute__((format(printf, 2, 3)))
report_fail(struct log_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	r->good = false;
}

/* Opens the log, and where its failures are told, both with the master's
 * rights. */
static void
sinks_open(const struct master *m, struct sink *sink, struct sink *other,
    struct log_report *r)
{
	const char *file = m->conf->log_file;
	const bool foreground = m->options->foreground;
	const bool is_stream = file != NULL && sink_stream(file) != -1;
	const enum log_sink kind = file != NULL ? LOG_TO_FILE
	    : foreground			? LOG_TO_STDERR
						: LOG_TO_SYSLOG;

	sink_open(other,
	    foreground && kind != LOG_TO_STDERR && !is_stream ? LOG_TO_STDERR
							      : LOG_TO_SYSLOG,
	    NULL);
	if (is_stream && !foreground)
		report_fail(r,
		    "log-file %s: a daemon has no standard streams; name a "
		    "file, or start chatd with -d",
		    file);
	else if (sink_open(sink, kind, file) == -1)
		report_fail(r, "log-file %s: %s", file,
		    errno == ELOOP ? "it is a symbolic link; name the file "
				     "itself"
				   : strerror(errno));
	else if (sink->is_file && sink->fd != -1 &&
	    identity_give(&m->identity, sink->fd) == -1)
		report_fail(r, "log-file %s: not given to user %s: %s", file,
		    m->identity.name, strerror(errno));
	if (!r->good) /* told to go on all the same, it tries again */
		*sink = (struct sink){.kind = kind,
		    .file = file,
		    .fd = -1,
		    .owned = true,
		    .is_file = kind == LOG_TO_FILE};
}

/* Executes the children's program as a log process, with what is open. */
static void __attribute__((noreturn))
child_execute(struct logger_passport *p, const struct log_report *r)
{
	char fd[16];
	char *argv[] = {
	    (char *)EXECUTABLE_CHILD, (char *)LOGGER_OPTION, fd, NULL};
	const int keep[] = {p->sink.fd, p->other.fd};
	int file;

	p->report_bytes = sizeof(*r);
	memcpy(p->report, r, sizeof(*r));
	file = memory_file_fill(memory_file("chatd-passport"), p, sizeof(*p));
	if (file == -1)
		_exit(1);
	fcntl(file, F_SETFD, 0);
	fcntl(PROGRAM_FD, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < 2; i++)
		if (keep[i] > STDERR_FILENO)
			fcntl(keep[i], F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", file);
	execveat(PROGRAM_FD, "", argv, environ, AT_EMPTY_PATH);
	_exit(1);
}

/* The child's way from the fork to its exec. Signals are blocked. */
static void __attribute__((noreturn))
child_run(struct master *m, int control, const struct spawn *s)
{
	static struct log_report report;
	static struct logger_passport p;

	_Static_assert(sizeof(report) <= sizeof(p.report), "a report fits");
	p.size = sizeof(p);
	p.parent = s->parent;
	p.lines = LINES_FD;
	p.control = CONTROL_FD;
	p.buffer = m->log.buffer != -1 ? BUFFER_FD : -1;
	report.good = true;
	title_set("log");
	descriptors_shed(
	    m->log.lines[0], control, m->log.buffer, m->nursery.program);
	log_send_to(-1);
	spawn_signals(&s->mask);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error */
	if (!spawn_tie(s, SIGALRM))
		_exit(0);
	sinks_open(m, &p.sink, &p.other, &report);
	if (p.sink.file != NULL)
		strlcpy(p.file, p.sink.file, sizeof(p.file));
	/* the change of user undoes the signal at the master's death */
	if (identity_assume(&m->identity) == -1)
		report_fail(&report, "cannot become user %s: %s",
		    m->identity.name, strerror(errno));
	else if (!spawn_tie(s, SIGALRM))
		_exit(0);
	child_execute(&p, &report);
}

/* Starts the next log process. Returns 0, or -1 and errno. */
static int
child_start(struct master *m)
{
	struct spawn s;
	int control[2], saved;
	pid_t pid;

	m->log.again_ms = clock_ms() + AGAIN_MS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) ==
	    -1)
		return -1;
	if ((pid = spawn_fork(&s)) == 0) {
		close(control[0]);
		child_run(m, control[1], &s);
	}
	saved = errno;
	close(control[1]);
	if (pid == -1) {
		close(control[0]);
		errno = saved;
		return -1;
	}
	m->log.next = (struct log_process){
	    .pid = pid, .control = control[0], .started_ms = clock_ms()};
	return 0;
}

/* Starts one where there is none, or to follow one; a failure is tried again.
 */
static void
child_follow(struct master *m)
{
	if (child_start(m) == -1)
		log_error("log process: %s, trying again in %d ms",
		    strerror(errno), AGAIN_MS);
}

/* Gives a log process an order. One that does not take it is killed by the
 * time limit that follows. */
static void
order_send(const struct log_process *p, char what)
{
	(void)!send(p->control, &what, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The next one takes the place of the one that is gone. */
static void
next_promote(struct master *m)
{
	m->log.now = m->log.next;
	m->log.next = (struct log_process){.control = -1};
	order_send(&m->log.now, LOGGER_GO);
	if (m->log.reopening)
		log_info("log reopened");
	m->log.reopening = m->log.reopen_again;
	m->log.reopen_again = false;
}

/* Gives up the next one, for the one that there is. */
static void
next_discard(struct master *m)
{
	if (m->log.next.pid != 0)
		(void)process_kill(
		    m->log.next.pid, name); /* reaped as unknown */
	process_forget(&m->log.next);
	m->log.reopening = false;
}

/* The next one has opened the log, or not. */
static void
report_handle(struct master *m, const struct log_report *r)
{
	m->log.next.opened = true;
	if (!r->good)
		log_error("%s%s", r->text,
		    m->log.now.pid != 0 ? "; the log goes on where it was"
					: "");
	if (m->log.now.pid == 0)
		next_promote(m); /* even so: it tries again each second */
	else if (!r->good)
		next_discard(m);
	else {
		order_send(&m->log.now, LOGGER_LEAVE);
		m->log.now.leave_ms = clock_ms() + LEAVE_MS;
	}
}

/* Reads the next one's report, if it is there; true: it is. */
static bool
report_read(struct master *m, struct log_report *r)
{
	struct log_process *next = &m->log.next;

	if (next->pid == 0 || next->opened ||
	    recv(next->control, r, sizeof(*r), MSG_DONTWAIT) !=
		(ssize_t)sizeof(*r))
		return false;
	r->text[sizeof(r->text) - 1] = '\0';
	return true;
}

/* Waits a while for the report of the first one. */
static bool
report_wait(struct master *m, struct log_report *r)
{
	struct pollfd p = {m->log.next.control, POLLIN, 0};
	const uint64_t limit = clock_ms() + FIRST_MS;
	uint64_t now;

	while ((now = clock_ms()) < limit &&
	    poll(&p, 1, (int)(limit - now)) == -1 && errno == EINTR)
		;
	return report_read(m, r);
}

/* Whether the first one is gone without a report. */
static bool
next_has_ended(const struct master *m)
{
	char c;

	return recv(m->log.next.control, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* Makes the socket for all lines and the buffer behind it. Returns 0, or -1 and
 * errno. */
static int
lines_open(struct master *m)
{
	const int bytes = SOCKET_BYTES;

	if (socketpair(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, m->log.lines) == -1)
		return -1;
	m->log.buffer = memory_file("chatd-log");
	if (m->log.buffer == -1 ||
	    ftruncate(m->log.buffer, sizeof(struct logger_buffer)) == -1 ||
	    fcntl(m->log.buffer, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return -1;
	/* root may have more than the system's limit; less will do */
	if (setsockopt(m->log.lines[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
		sizeof(bytes)) == -1)
		setsockopt(m->log.lines[1], SOL_SOCKET, SO_SNDBUF, &bytes,
		    sizeof(bytes));
	return 0;
}

int
log_child_boot(struct master *m, char *error, size_t error_len)
{
	struct log_report r;

	if (lines_open(m) == -1 || child_start(m) == -1) {
		snprintf(error, error_len, "log process: %s", strerror(errno));
		return -1;
	}
	if (report_wait(m, &r)) {
		if (!r.good) {
			snprintf(error, error_len, "%s", r.text);
			return -1;
		}
		report_handle(m, &r);
	} else if (next_has_ended(m)) {
		snprintf(error, error_len,
		    "the log process ended before it had opened the log: more "
		    "open files are needed than the limit allows (ulimit -n)");
		return -1;
	}
	log_send_to(m->log.lines[1]);
	return 0;
}

bool
log_child_died(struct master *m, pid_t pid, int status)
{
	struct log_child *log = &m->log;
	const bool replaced = log->now.leave_ms != 0;

	if (pid == log->next.pid) {
		log_error("the log process (pid %d) ended before it had opened "
			  "the log",
		    (int)pid);
		process_forget(&log->next);
		log->reopening = false;
		return true;
	}
	if (pid != log->now.pid)
		return false;
	process_forget(&log->now);
	if (!replaced)
		log_warn("log process (pid %d) %s, replaced", (int)pid,
		    process_death(status));
	if (log->next.pid != 0 && log->next.opened)
		next_promote(m);
	else if (log->next.pid == 0 && clock_ms() >= log->again_ms)
		child_follow(m);
	return true;
}

/* Kills one that does not leave. Within the write to a dead file server it
 * stays even then: it is reaped as unknown when the kernel lets it go. */
static void
now_kill(struct master *m, uint64_t now)
{
	struct log_process *p = &m->log.now;

	if (!p->killed) {
		(void)process_kill(p->pid, name);
		p->killed = true;
		p->leave_ms = now + LEAVE_MS;
		return;
	}
	process_forget(p);
	if (m->log.next.pid != 0 && m->log.next.opened)
		next_promote(m);
}

void
log_child_time(struct master *m, uint64_t now)
{
	struct log_child *log = &m->log;
	struct log_report r;

	if (report_read(m, &r))
		report_handle(m, &r);
	if (log->now.leave_ms != 0 && now >= log->now.leave_ms)
		now_kill(m, now);
	if (log->next.pid != 0 && !log->next.opened && log->now.pid != 0 &&
	    now >= log->next.started_ms + OPEN_MS) {
		log_error("the log is not opened within %d s; it goes on where "
			  "it was",
		    OPEN_MS / 1000);
		next_discard(m);
	}
	if ((log->now.pid == 0 || log->reopening) && log->next.pid == 0 &&
	    now >= log->again_ms)
		child_follow(m);
}

void
log_child_reopen(struct master *m)
{
	if (m->log.next.pid != 0 && m->log.next.opened) {
		m->log.reopen_again = true;
		return;
	}
	next_discard(m);
	m->log.reopening = true;
	child_follow(m);
}

void
log_child_adopt(struct master *m)
{
	/* the program before this one may have had no log process */
	if (m->log.lines[1] == -1 && lines_open(m) == -1) {
		log_error("log process: %s", strerror(errno));
		return;
	}
	child_follow(m);
	log_send_to(m->log.lines[1]);
}

/* Lets go of all that belongs to it. */
static void
log_child_drop(struct master *m)
{
	process_forget(&m->log.now);
	process_forget(&m->log.next);
	if (m->log.lines[0] != -1)
		close(m->log.lines[0]);
	if (m->log.buffer != -1)
		close(m->log.buffer);
	m->log.lines[0] = m->log.buffer = -1;
}

/* Gives a log process so long to end by itself. */
static void
child_end(pid_t pid, uint64_t ms)
{
	if (process_reap(pid, clock_ms() + ms))
		return;
	(void)process_kill(pid, name);
	(void)process_reap(pid, clock_ms() + REAP_MS);
}

void
log_child_end(struct master *m)
{
	struct log_process *now = &m->log.now;
	uint64_t ms = LOGGER_LEAVE_MS + STOP_MIN_MS, clock = clock_ms();

	if (m->log.lines[1] == -1)
		return;
	/* a stop that took long has less time left for the last lines */
	if (m->deadline_ms != 0 && clock + ms > m->deadline_ms + STOP_PAST_MS)
		ms = clock + STOP_MIN_MS < m->deadline_ms + STOP_PAST_MS
		    ? m->deadline_ms + STOP_PAST_MS - clock
		    : STOP_MIN_MS;
	if (now->pid == 0 && m->log.next.pid == 0)
		child_follow(m); /* for the last lines */
	if (now->pid == 0 && m->log.next.pid != 0)
		next_promote(m); /* it may get to opening the log yet */
	log_send_to(-1);
	close(m->log.lines[1]);
	m->log.lines[1] = -1;
	if (m->log.next.pid != 0 && now->leave_ms != 0) {
		/* the next one goes on once that one is gone */
		child_end(now->pid, ms / 2);
		process_forget(now);
		next_promote(m);
		ms /= 2;
	}
	if (m->log.next.pid != 0)
		child_end(m->log.next.pid, 0);
	if (now->pid != 0) {
		order_send(now, LOGGER_FINISH);
		child_end(now->pid, ms);
	}
	log_child_drop(m);
}
