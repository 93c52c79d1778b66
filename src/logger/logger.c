#include "logger/logger.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	RETRY_MS = 1000, /* after a write that failed */
	SLOW_MS = 1000,	 /* a reader that takes nothing for so long is told */
	TELL_MS = 60 * 1000, /* a failure is told so often */
	ORPHAN_S = 1,	     /* after the master's death, even within write() */
	/*
	 * A wake-up for each line costs more than the line, and the process
	 * that sends it pays a part of that. After so many wake-ups without a
	 * pause the log process rests after each, and then takes all that has
	 * come. Longer: lines are seen later, and more must fit into the
	 * socket; shorter: more wake-ups.
	 */
	REST_AFTER = 16,
	REST_MS = 20
};

struct logger {
	const struct logger_start *start;
	bool may_read;	   /* LOGGER_GO has come */
	bool leaving;	   /* LOGGER_LEAVE: another one has what there is */
	bool finishing;	   /* LOGGER_FINISH, or the master is gone */
	bool ended;	   /* no process is left that could send a line */
	bool drained;	   /* there was no more to read just now */
	uint32_t woken;	   /* times in a row that there was a line */
	uint64_t leave_ms; /* at the latest; 0: serves */
	uint64_t retry_ms; /* a write failed: not again before; 0: at once */
	uint64_t full_ms;  /* the reader takes nothing since; 0: it does */
	uint64_t told_ms;  /* of the last failure that was told; 0: none was */
	size_t at, len;	   /* of the buffer, whose own come after these */
	char *bytes;
};

/* The first one gives a write that waits another second. */
static void
alarm_handle(int sig)
{
	alarm(ORPHAN_S); /* SA_RESETHAND: the next one kills */
}

/* Arms SIGALRM, see logger_main(). */
static void
alarm_arm(void)
{
	struct sigaction a = {
	    .sa_handler = alarm_handle, .sa_flags = (int)SA_RESETHAND};
	sigset_t set;

	sigaction(SIGALRM, &a, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Tells a failure of the sink elsewhere, once a minute. */
static void
failure_tell(struct logger *l, const char *why, uint64_t now)
{
	const struct sink *s = l->start->sink;
	struct log_record r = {.format = SINK_FORMAT,
	    .level = LOG_WARNING,
	    .pid = getpid(),
	    .name = "log"};
	struct timespec wall;
	char line[SINK_LINE_BYTES];
	size_t len;

	if (l->told_ms != 0 && now < l->told_ms + TELL_MS)
		return;
	l->told_ms = now;
	clock_gettime(CLOCK_REALTIME, &wall);
	r.second = wall.tv_sec;
	r.millisecond = (int32_t)(wall.tv_nsec / 1000000);
	snprintf(r.text, sizeof(r.text),
	    "%s%s: %s; its lines wait, and are lost when too many wait",
	    s->kind == LOG_TO_FILE ? "log-file " : "",
	    s->kind == LOG_TO_FILE	   ? s->file
		: s->kind == LOG_TO_SYSLOG ? "syslog"
					   : "standard error",
	    why);
	len = sink_format(l->start->other, &r, strlen(r.text), line);
	/* there is nowhere else to tell a failure of this one, too */
	(void)!sink_write(l->start->other, line, len);
}

/* Whether a record is what this program understands. */
static bool
record_is_sound(const struct log_record *r, size_t len)
{
	return len >= offsetof(struct log_record, text) &&
	    r->format == SINK_FORMAT && memchr(r->name, '\0', sizeof(r->name));
}

/* Notes in the buffer how far it is written and filled: of a killed log process
 * the next one writes at most a line twice, and none never. */
static void
buffer_note(const struct logger *l)
{
	struct logger_buffer *b = l->start->buffer;

	__atomic_store_n(&b->len, (uint32_t)l->len, __ATOMIC_RELEASE);
	__atomic_store_n(&b->at, (uint32_t)l->at, __ATOMIC_RELEASE);
}

/* Goes on with what the log process before this one has left, from the
 * beginning of a line. */
static void
buffer_take(struct logger *l)
{
	const struct logger_buffer *b = l->start->buffer;

	l->at = __atomic_load_n(&b->at, __ATOMIC_ACQUIRE);
	l->len = __atomic_load_n(&b->len, __ATOMIC_ACQUIRE);
	if (l->at > l->len || l->len > LOGGER_BYTES)
		l->at = l->len = 0;
	while (l->at > 0 && l->at < l->len && l->bytes[l->at - 1] != '\n')
		l->at--;
}

/* Reads records as long as there is room for one more, and formats them. */
static void
lines_read(struct logger *l)
{
	static struct log_record r;
	const size_t head = offsetof(struct log_record, text), len = l->len;
	ssize_t n;

	l->drained = false;
	while (LOGGER_BYTES - l->len >= SINK_LINE_BYTES) {
		n = recv(l->start->lines, &r, sizeof(r), MSG_DONTWAIT);
		if (n <= 0) {
			l->ended = n == 0;
			l->drained = n == 0 || errno == EAGAIN;
			break;
		}
		if (record_is_sound(&r, (size_t)n)) {
			l->len += sink_format(l->start->sink, &r,
			    (size_t)n - head, l->bytes + l->len);
			buffer_note(l);
		} else
			failure_tell(
			    l, "a line that is not understood", clock_ms());
	}
	l->woken = l->len > len ? l->woken + 1 : 0;
}

/* Writes what there is, as far as it can be written now. */
static void
lines_write(struct logger *l, uint64_t now)
{
	ssize_t n;

	while (l->at < l->len) {
		n = sink_write(
		    l->start->sink, l->bytes + l->at, l->len - l->at);
		if (n > 0) {
			l->at += (size_t)n;
			buffer_note(l);
			l->full_ms = 0;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			if (l->full_ms == 0)
				l->full_ms = now;
			else if (now >= l->full_ms + SLOW_MS)
				failure_tell(l, "it is not read", now);
			return;
		}
		failure_tell(l,
		    errno == EPIPE ? "nobody reads it" : strerror(errno), now);
		l->retry_ms = now + RETRY_MS;
		if (l->leave_ms != 0)
			l->leave_ms = now; /* it will not do so any more */
		return;
	}
	if (l->len == 0)
		return;
	l->at = l->len = 0;
	buffer_note(l);
}

/* From now on it has so much time left. */
static void
leave_begin(struct logger *l, uint64_t now)
{
	if (l->leave_ms == 0)
		l->leave_ms = now + LOGGER_LEAVE_MS;
	l->retry_ms = 0;
}

/* The master's order, or its end. */
static void
order_read(struct logger *l, uint64_t now)
{
	char what = LOGGER_FINISH;
	ssize_t n = recv(l->start->control, &what, 1, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	switch (what) {
	case LOGGER_GO:
		buffer_take(l);
		l->may_read = true;
		return;
	case LOGGER_LEAVE:
		l->leaving = true;
		break;
	default:		  /* also an end or an error: n <= 0 */
		if (!l->may_read) /* another one has what was sent */
			l->leaving = true;
		l->finishing = true;
		break;
	}
	leave_begin(l, now);
}

/* Whether there is nothing left to do. */
static bool
logger_may_leave(const struct logger *l)
{
	if (l->leaving)
		return true;
	return l->leave_ms != 0 && l->at == l->len &&
	    (l->ended || (l->finishing && l->drained));
}

/* Waits for something to do. */
static void
logger_wait(struct logger *l, uint64_t now)
{
	const bool room = LOGGER_BYTES - l->len >= SINK_LINE_BYTES;
	const bool rests = l->woken >= REST_AFTER && l->leave_ms == 0;
	const bool reads =
	    l->may_read && !l->leaving && !l->ended && room && !rests;
	const bool full = l->full_ms != 0 && l->retry_ms == 0;
	struct pollfd p[3] = {
	    {l->finishing ? -1 : l->start->control, POLLIN, 0},
	    {reads ? l->start->lines : -1, POLLIN, 0},
	    {full ? l->start->sink->fd : -1, POLLOUT, 0}};
	uint64_t until = now + TELL_MS;

	if (l->retry_ms != 0 && l->retry_ms < until)
		until = l->retry_ms;
	if (full && now + SLOW_MS < until)
		until = now + SLOW_MS;
	if (l->leave_ms != 0 && l->leave_ms < until)
		until = l->leave_ms;
	if (rests && now + REST_MS < until)
		until = now + REST_MS;
	if (poll(p, 3, until > now ? (int)(until - now) : 0) > 0 &&
	    p[0].revents != 0)
		order_read(l, clock_ms());
}

void
logger_main(const struct logger_start *start)
{
	static struct logger logger;
	struct logger *l = &logger;
	uint64_t now = clock_ms();

	l->start = start;
	l->bytes = start->buffer->bytes;
	alarm_arm();
	while (
	    !logger_may_leave(l) && (l->leave_ms == 0 || now < l->leave_ms)) {
		logger_wait(l, now);
		now = clock_ms();
		if (l->may_read && !l->leaving && !l->ended)
			lines_read(l);
		if (l->ended)
			leave_begin(l, now);
		if (!l->leaving && now >= l->retry_ms) {
			l->retry_ms = 0;
			lines_write(l, now);
		}
	}
	_exit(0);
}
