/* log: one line per event, to syslog, stderr or a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <vis.h>

#include "base/log.h"

enum {
	LINE_MAX_BYTES = 8192, /* of a whole line; the rest is cut */
	TEXT_MAX_BYTES = 256,  /* of client text, before escaping */
	TEXT_BUFFERS = 4
};

static enum log_sink log_sink = LOG_TO_STDERR;
static int log_fd = -1; /* of the file */
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

int
log_open(enum log_sink sink, const char *file)
{
	int fd = -1;

	if (sink == LOG_TO_FILE && (fd = log_open_file(file)) == -1)
		return -1;
	if (log_fd != -1)
		close(log_fd);
	if (log_sink == LOG_TO_SYSLOG && sink != LOG_TO_SYSLOG)
		closelog();
	if (sink == LOG_TO_SYSLOG)
		openlog("chatd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
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

/* Writes time, program, name and level into a line; returns their length. */
static size_t
log_prefix(char *line, size_t size, int level)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, size - n, ".%03ldZ chatd[%d] %s%s%s",
	    now.tv_nsec / 1000000, (int)getpid(), log_name,
	    *log_name ? ": " : "", log_level_word(level));
	return n;
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
	size_t start = 0, len, i;
	ssize_t done;

	if (log_sink != LOG_TO_SYSLOG)
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
	if (log_sink == LOG_TO_SYSLOG) {
		line[len] = '\0';
		syslog(level, "%s%s%s%s", log_name, *log_name ? ": " : "",
		    log_level_word(level), line);
	} else {
		line[len++] = '\n';
		do
			done = write(
			    log_fd != -1 ? log_fd : STDERR_FILENO, line, len);
		while (done == -1 && errno == EINTR);
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
