/* log: one line per event, to syslog, stderr or a file. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <vis.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rate.h"

enum {
	TEXT_MAX_BYTES = 256, /* of client text, before escaping */
	TEXT_BUFFERS = 4,

	/*
	 * Without a log process a slow reader of the log makes the writer wait,
	 * but neither for long at a time (the watchdog would count that as a
	 * hang) nor for more than a part of the time. Lines that do not fit
	 * then are lost, and counted.
	 */
	WAIT_MS = 100,
	WAIT_PART = 4,

	/*
	 * Lines a second of one message, known by its format; further lines are
	 * counted, and told as a number. Larger: a client that is refused again
	 * and again makes the log grow faster; smaller: fewer of the refused
	 * clients are named. The burst is one line for each of the 64 workers
	 * that there may be.
	 */
	RATE_PER_S = 1,
	RATE_BURST = 64,
	RATE_VERBOSE =
	    100, /* a log_debug() message may come so many times as often */
	MORE_MS = 1000, /* between two "and N more" of one message */
	SITES =
	    256, /* messages that are told apart; twice what a process has */
	LIKE_BYTES =
	    120 /* of the line that is quoted in "and N more ... like" */
};

/* A message: all lines of one format. */
struct log_site {
	const char *fmt; /* NULL: free */
	struct rate rate;
	int level;	       /* of the lines held back */
	uint32_t more;	       /* lines held back that have not been told of */
	uint64_t since_ms;     /* the first of them */
	char like[LIKE_BYTES]; /* how the last line that was written began */
};

static struct sink log_own = {.kind = LOG_TO_STDERR, .fd = STDERR_FILENO};
static int log_socket = -1; /* to the log process; -1: log_own is written */
static char log_name[sizeof(((struct log_record *)NULL)->name)];
static pid_t log_pid; /* 0: not known yet */
static bool log_verbose;
static uint32_t log_lost; /* lines since the last that was written */
static struct log_site log_sites[SITES];
static uint32_t log_n_more; /* sites with lines held back */

int
log_open(enum log_sink kind, const char *file)
{
	struct sink next;

	if (sink_open(&next, kind, file) == -1)
		return -1;
	sink_close(&log_own);
	log_own = next;
	return 0;
}

void
log_send_to(int fd)
{
	log_socket = fd;
}

void
log_set_name(const char *name)
{
	const pid_t pid = getpid();

	snprintf(log_name, sizeof(log_name), "%s", name);
	/* lines held back before the fork are told by the parent */
	if (log_pid != 0 && log_pid != pid) {
		log_lost = 0;
		log_n_more = 0;
		memset(log_sites, 0, sizeof(log_sites));
	}
	log_pid = pid;
}

void
log_set_verbose(bool on)
{
	log_verbose = on;
}

bool
log_is_verbose(void)
{
	return log_verbose;
}

/* Waits for room in a pipe, if it may; false: there is none. */
static bool
log_wait(int fd)
{
	static uint64_t then_ms;
	static uint64_t credit = WAIT_MS * WAIT_PART;
	struct pollfd p = {fd, POLLOUT, 0};
	uint64_t now = clock_ms();
	int r;

	credit += now - then_ms;
	if (credit > WAIT_MS * WAIT_PART)
		credit = WAIT_MS * WAIT_PART;
	r = poll(&p, 1, (int)(credit / WAIT_PART));
	then_ms = clock_ms();
	now = (then_ms - now) * WAIT_PART;
	credit -= now < credit ? now : credit;
	return r == 1;
}

/* Writes a line; returns how much of it. */
static size_t
log_write(const char *line, size_t len)
{
	size_t at = 0;
	ssize_t done;

	while (at < len) {
		done = sink_write(&log_own, line + at, len - at);
		if (done > 0)
			at += (size_t)done;
		else if (done == 0 ||
		    (errno != EINTR &&
			(errno != EAGAIN || !log_wait(log_own.fd))))
			break;
	}
	return at;
}

/* Writes a record to the process's own sink; true: it is not lost. */
static bool
log_put_own(const struct log_record *r, size_t text)
{
	static bool cut; /* the last line was written in part */
	char line[1 + SINK_LINE_BYTES] = "\n";
	size_t len = cut + sink_format(&log_own, r, text, line + cut);
	size_t done = log_write(line, len);

	if (done > 0)
		cut = line[done - 1] != '\n';
	/* the number of lost lines is told, even if the line itself is lost
	 * now */
	if (r->lost > 0 && done > 0 && memchr(line + 1, '\n', done - 1) != NULL)
		log_lost = 0;
	return done == len;
}

/* Sends a record to the log process, which never takes time; true: it is not
 * lost. */
static bool
log_put_socket(const struct log_record *r, size_t text)
{
	const size_t len = offsetof(struct log_record, text) + text;
	ssize_t n;

	do
		n = send(log_socket, r, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n != -1;
}

/* Fills a record with a line; returns the length of its text. */
static size_t __attribute__((format(printf, 3, 0)))
log_fill(struct log_record *r, int level, const char *fmt, va_list ap)
{
	const int saved = errno;
	struct timespec now;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	r->format = SINK_FORMAT;
	r->level = level;
	r->pid = log_pid != 0 ? log_pid : getpid();
	r->lost = log_lost;
	r->second = now.tv_sec;
	r->millisecond = (int32_t)(now.tv_nsec / 1000000);
	memcpy(r->name, log_name, sizeof(r->name));
	errno = saved; /* for %m */
	n = vsnprintf(r->text, sizeof(r->text), fmt, ap);
	return n < 0			   ? 0
	    : (size_t)n >= sizeof(r->text) ? sizeof(r->text) - 1
					   : (size_t)n;
}

/* Puts a record to the sink, in one piece, so that the lines of several
 * processes do not mix; true: it is not lost. */
static bool
log_out(const struct log_record *r, size_t text)
{
	if (!(log_socket != -1 ? log_put_socket(r, text)
			       : log_put_own(r, text)))
		return false;
	log_lost = 0;
	return true;
}

/* The site of a format. There are more of them than formats; else some share
 * one. */
static struct log_site *
site_find(const char *fmt)
{
	uint32_t at = (uint32_t)((uintptr_t)fmt * 0x9e3779b97f4a7c15ull >> 56);
	struct log_site *s = &log_sites[at];

	for (uint32_t k = 0; k < SITES; k++) {
		s = &log_sites[(at + k) % SITES];
		if (s->fmt == NULL)
			s->fmt = fmt;
		if (s->fmt == fmt)
			break;
	}
	return s;
}

/* Whether a line may be written now; else it is counted. */
static bool
site_allows(struct log_site *s, int level, uint64_t now_ms)
{
	const uint32_t times = level == LOG_DEBUG ? RATE_VERBOSE : 1;

	if (rate_take(&s->rate, now_ms, times * RATE_PER_S, times * RATE_BURST))
		return true;
	if (s->more++ == 0) {
		s->since_ms = now_ms;
		s->level = level;
		log_n_more++;
	}
	return false;
}

/* Formats and puts a line that is not held back; true: it is not lost. */
static bool __attribute__((format(printf, 2, 3)))
log_say(int level, const char *fmt, ...)
{
	struct log_record r;
	size_t text;
	va_list ap;

	va_start(ap, fmt);
	text = log_fill(&r, level, fmt, ap);
	va_end(ap);
	return log_out(&r, text);
}

/* Tells how many lines of a site were held back; what cannot be told now is
 * told later. */
static void
site_tell(struct log_site *s, uint64_t now_ms)
{
	if (!log_say(s->level, "and %u more in %.1f s like: %s", s->more,
		(double)(now_ms - s->since_ms) / 1000, s->like))
		return;
	s->more = 0;
	log_n_more--;
}

/* Tells of all lines held back since so long ago. */
static void
sites_tell(uint64_t age_ms)
{
	const int saved = errno;
	uint64_t now_ms;

	if (log_n_more == 0)
		return;
	now_ms = clock_ms();
	for (uint32_t k = 0; k < SITES && log_n_more > 0; k++)
		if (log_sites[k].more > 0 &&
		    now_ms - log_sites[k].since_ms >= age_ms)
			site_tell(&log_sites[k], now_ms);
	errno = saved;
}

void
log_more(void)
{
	sites_tell(MORE_MS);
}

void
log_flush(void)
{
	sites_tell(0);
}

/* Puts a line if its message's rate allows. Lost lines are counted; the next
 * line that is written tells their number. */
static void __attribute__((format(printf, 2, 0)))
log_put(int level, const char *fmt, va_list ap)
{
	struct log_record r; /* its text is not cleared for each line */
	struct log_site *s = site_find(fmt);
	const uint64_t now_ms = clock_ms();
	const int saved = errno;
	size_t text;

	if (s->more > 0 && now_ms - s->since_ms >= MORE_MS)
		site_tell(s, now_ms);
	if (site_allows(s, level, now_ms)) {
		errno = saved;
		text = log_fill(&r, level, fmt, ap);
		r.text[text] = '\0';
		strlcpy(s->like, r.text, sizeof(s->like));
		if (!log_out(&r, text))
			log_lost++;
	}
	errno = saved;
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_put(LOG_ERR, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_put(LOG_WARNING, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_put(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_verbosely(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_put(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	struct log_record r;
	size_t text;
	va_list ap;

	log_flush();
	va_start(ap, fmt);
	text = log_fill(&r, LOG_ERR, fmt, ap);
	va_end(ap);
	(void)log_out(&r, text); /* whatever its rate */
	exit(1);
}

/* Whether a text is shown as it is: printable ASCII without what strvis()
 * escapes there. */
static bool
text_is_plain(const unsigned char *p, size_t len)
{
	size_t k;

	for (k = 0; k < len; k++)
		if (p[k] < ' ' || p[k] > '~' || p[k] == '"' || p[k] == '\\')
			return false;
	return true;
}

const char *
log_text(const void *bytes, size_t len)
{
	static char buffers[TEXT_BUFFERS][4 * TEXT_MAX_BYTES + 1];
	static unsigned int turn;
	char *out = buffers[turn++ % TEXT_BUFFERS];
	int saved = errno;

	if (len > TEXT_MAX_BYTES)
		len = TEXT_MAX_BYTES;
	if (text_is_plain(bytes, len)) { /* without a look at the locale */
		if (len > 0)
			memcpy(out, bytes, len);
		out[len] = '\0';
	} else if (strvisx(out, bytes, len,
		       VIS_OCTAL | VIS_CSTYLE | VIS_TAB | VIS_NL | VIS_DQ) < 0)
		*out = '\0';
	errno = saved;
	return out;
}
