/* log: one line per event, to syslog, stderr or a file. */
#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <vis.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	LINE_MAX_BYTES = 8192, /* of a whole line; the rest is cut */
	TEXT_MAX_BYTES = 256,  /* of client text, before escaping */
	TEXT_BUFFERS = 4,

	/*
	 * Who reads the log may keep a process waiting, but neither for long
	 * at a time (the watchdog may be set to that) nor for more than a part
	 * of the time. What does not fit then is lost, and counted.
	 */
	WAIT_MS = 100,
	WAIT_PART = 4
};

static enum log_sink log_sink = LOG_TO_STDERR;
/* Of the file, to syslog, or standard error opened anew; -1: none. */
static int log_fd = -1;
static bool log_is_socket;  /* log_fd is none, standard error is a socket */
static bool log_is_journal; /* which notes the time, and wants the level */
static const char *log_file;
static char log_name[64];
static bool log_verbose;

/* Opens a log file for appending. Whoever may write its folder could otherwise
 * lay a link where root then writes. */
static int
log_open_file(const char *file)
{
	return open(file,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
	    0640);
}

/* Whether standard error leads to systemd's journal. */
static bool
is_journal(const struct stat *s)
{
	const char *name = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;

	return name != NULL &&
	    sscanf(name, "%llu:%llu", &device, &inode) == 2 &&
	    device == s->st_dev && inode == s->st_ino;
}

/*
 * A pipe or terminal at standard error is opened anew for writes that do not
 * wait: a flag set on what is there would be everybody's who has it. -1: it is
 * something else, or may not be opened.
 */
static int
log_open_stderr(void)
{
	struct stat s;

	if (fstat(STDERR_FILENO, &s) == -1)
		return -1;
	log_is_socket = S_ISSOCK(s.st_mode);
	log_is_journal = is_journal(&s);
	if (!S_ISFIFO(s.st_mode) && !S_ISCHR(s.st_mode))
		return -1;
	return open("/proc/self/fd/2",
	    O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* A socket to syslog; -1: nobody is there. Not syslog(3), which waits for ever
 * for one that does not read. */
static int
log_open_syslog(void)
{
	static const struct sockaddr_un sun = {
	    .sun_family = AF_UNIX, .sun_path = _PATH_LOG};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd != -1 &&
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
log_open(enum log_sink sink, const char *file)
{
	int fd = -1;

	if (sink == LOG_TO_FILE && (fd = log_open_file(file)) == -1)
		return -1;
	log_is_socket = log_is_journal = false;
	if (sink == LOG_TO_STDERR)
		fd = log_open_stderr();
	if (sink == LOG_TO_SYSLOG)
		fd = log_open_syslog(); /* if it is there yet */
	if (log_fd != -1)
		close(log_fd);
	log_fd = fd;
	log_file = file;
	log_sink = sink;
	return 0;
}

int
log_reopen(void)
{
	int fd;

	if (log_sink != LOG_TO_FILE)
		return 0;
	if ((fd = log_open_file(log_file)) == -1)
		return -1;
	close(log_fd);
	log_fd = fd;
	return 0;
}

void
log_set_name(const char *name)
{
	snprintf(log_name, sizeof(log_name), "%s", name);
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

/* The word for a level in front of the text; what is normal has none. */
static const char *
log_level_word(int level)
{
	switch (level) {
	case LOG_ERR:
		return "error: ";
	case LOG_WARNING:
		return "warning: ";
	case LOG_DEBUG:
		return "debug: ";
	default:
		return "";
	}
}

/* Writes time, program, name and level into a line, in the manner of its sink;
 * returns their length. */
static size_t
log_prefix(char *line, size_t size, int level)
{
	struct timespec now;
	struct tm tm;
	size_t n = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (log_is_journal)
		return (size_t)snprintf(line, size, "<%d>%s%s%s", level,
		    log_name, *log_name ? ": " : "", log_level_word(level));
	if (log_sink == LOG_TO_SYSLOG) {
		localtime_r(&now.tv_sec, &tm);
		n = (size_t)snprintf(line, size, "<%d>", LOG_DAEMON | level);
		n += strftime(line + n, size - n, "%b %e %T", &tm);
	} else {
		gmtime_r(&now.tv_sec, &tm);
		n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(
		    line + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
	}
	n += (size_t)snprintf(line + n, size - n, " chatd[%d]%s %s%s%s",
	    (int)getpid(), log_sink == LOG_TO_SYSLOG ? ":" : "", log_name,
	    *log_name ? ": " : "", log_level_word(level));
	return n;
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

/* Sends a line to syslog, which may have been started again since then; all of
 * it, or -1. */
static ssize_t
log_send(const char *line, size_t len)
{
	for (int round = 0; round < 2; round++) {
		if (log_fd != -1 &&
		    send(log_fd, line, len - 1, MSG_DONTWAIT | MSG_NOSIGNAL) !=
			-1)
			return (ssize_t)len;
		if (log_fd != -1 && (errno == EAGAIN || errno == EINTR))
			return -1;
		if (log_fd != -1)
			close(log_fd);
		if ((log_fd = log_open_syslog()) == -1)
			return -1;
	}
	return -1;
}

/* Writes what there is room for; -1: nothing. */
static ssize_t
log_write_some(const char *bytes, size_t len)
{
	struct pollfd p = {STDERR_FILENO, POLLOUT, 0};

	if (log_sink == LOG_TO_SYSLOG)
		return log_send(bytes, len);
	if (log_is_socket)
		return send(
		    STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (log_fd != -1)
		return write(log_fd, bytes, len);
	if (poll(&p, 1, 0) == 1)
		return write(STDERR_FILENO, bytes, len);
	errno = EAGAIN;
	return -1;
}

/* Writes a line; returns how much of it. */
static size_t
log_write(const char *line, size_t len)
{
	size_t at = 0;
	ssize_t done;

	while (at < len) {
		done = log_write_some(line + at, len - at);
		if (done > 0)
			at += (size_t)done;
		else if (done == 0 ||
		    (errno != EINTR &&
			(errno != EAGAIN ||
			    !log_wait(log_fd != -1 ? log_fd : STDERR_FILENO))))
			break;
	}
	return at;
}

/* Writes a line, and before it how many were lost. */
static void
log_line(const char *line, size_t len)
{
	static unsigned lost;
	static bool cut; /* the last one was written in part */
	char note[256] = "\n";
	size_t n = cut, done;

	if (lost > 0) {
		n += log_prefix(note + n, sizeof(note) - n, LOG_WARNING);
		n += (size_t)snprintf(note + n, sizeof(note) - n,
		    "%u lines are lost: the log is not read\n", lost);
		if (log_write(note, n) < n) {
			lost++;
			return;
		}
		lost = 0;
	}
	done = log_write(line, len);
	cut = done > 0 && done < len;
	lost += done < len;
}

/*
 * Puts one line to the sink in one write, so that the lines of several
 * processes do not mix. A line that cannot be written has nowhere else to go.
 */
static void
log_put(int level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int saved = errno, n;
	size_t start, len, i;

	start = log_prefix(line, sizeof(line), level);
	errno = saved; /* for %m */
	n = vsnprintf(line + start, sizeof(line) - start - 1, fmt, ap);
	len = strlen(line + start) + start;
	if (n < 0)
		len = start;
	while (len > start && line[len - 1] == '\n')
		len--;
	for (i = start; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	line[len++] = '\n';
	log_line(line, len);
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
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!log_verbose)
		return;
	va_start(ap, fmt);
	log_put(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_put(LOG_ERR, fmt, ap);
	va_end(ap);
	exit(1);
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
	if (len == 0 ||
	    strvisx(
		out, bytes, len, VIS_OCTAL | VIS_CSTYLE | VIS_TAB | VIS_NL) < 0)
		*out = '\0';
	errno = saved;
	return out;
}
