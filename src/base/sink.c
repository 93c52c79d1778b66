/* sink: where the log is written to. */
#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
	LINKS_MAX = 8, /* followed from a name to a standard stream */
	FILE_FLAGS =
	    O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
};

/* Replaces the end of path, behind its last slash, by a link's relative target,
 * or all of it by an absolute one. False: too long. */
static bool
path_follow(char path[PATH_MAX], const char *target)
{
	char *slash = strrchr(path, '/');
	size_t at =
	    *target == '/' || slash == NULL ? 0 : (size_t)(slash + 1 - path);

	return strlcpy(path + at, target, PATH_MAX - at) < PATH_MAX - at;
}

int
sink_stream(const char *file)
{
	static const char *const names[][2] = {{"/dev/stdout", "/dev/stderr"},
	    {"/dev/fd/1", "/dev/fd/2"}, {"/proc/self/fd/1", "/proc/self/fd/2"}};
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	if (strlcpy(path, file, sizeof(path)) >= sizeof(path))
		return -1;
	for (int link = 0; link < LINKS_MAX; link++) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			for (int k = 0; k < 2; k++)
				if (strcmp(path, names[i][k]) == 0)
					return STDOUT_FILENO + k;
		n = readlink(path, target, sizeof(target) - 1);
		if (n == -1)
			return -1;
		target[n] = '\0';
		if (!path_follow(path, target))
			return -1;
	}
	return -1;
}

/*
 * Opens a log file for appending. Without O_NOFOLLOW a user who may write its
 * folder could put a symbolic link there, and root would write to its target. A
 * named pipe without a reader cannot be opened for writing alone: it is opened
 * for both first, for a moment.
 */
static int
file_open(const char *file)
{
	int fd = open(file, FILE_FLAGS | O_CREAT, 0640), both, saved;
	struct stat st;

	if (fd != -1 || errno != ENXIO || lstat(file, &st) == -1)
		return fd;
	errno = ENXIO;
	if (!S_ISFIFO(st.st_mode))
		return -1;
	both = open(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (both == -1) {
		errno = EPIPE; /* no permission to read: no way to open it */
		return -1;
	}
	fd = open(file, FILE_FLAGS);
	saved = errno;
	close(both);
	errno = saved;
	return fd;
}

/* Whether a stream leads to systemd's journal. */
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
 * A standard stream. A pipe or terminal is opened anew for writes that do not
 * wait: O_NONBLOCK set on the inherited descriptor would hold for all processes
 * that have it. A stream that may not be opened anew is used as it is.
 */
static void
stream_open(struct sink *s, int stream)
{
	char path[32];
	struct stat st;
	int fd = -1;

	s->fd = stream;
	if (fstat(stream, &st) == -1)
		return;
	s->is_socket = S_ISSOCK(st.st_mode);
	s->is_journal = is_journal(&st);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", stream);
	fd =
	    open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return;
	s->fd = fd;
	s->owned = true;
}

/* A socket to syslog; -1 and errno: syslog does not run. Not syslog(3), which
 * waits for ever for one that does not read. */
static int
syslog_open(void)
{
	static const struct sockaddr_un sun = {
	    .sun_family = AF_UNIX, .sun_path = _PATH_LOG};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;

	if (fd != -1 &&
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	return fd;
}

int
sink_open(struct sink *s, enum log_sink kind, const char *file)
{
	struct sink next = {.kind = kind, .file = file, .fd = -1};
	int stream = kind == LOG_TO_STDERR ? STDERR_FILENO : -1;

	if (kind == LOG_TO_FILE)
		stream = sink_stream(file);
	if (stream != -1)
		stream_open(&next, stream);
	else {
		next.owned = true;
		next.fd = kind == LOG_TO_FILE ? file_open(file) : syslog_open();
		next.is_file = kind == LOG_TO_FILE;
	}
	if (kind == LOG_TO_FILE && next.fd == -1 && errno != EPIPE)
		return -1;
	*s = next;
	return 0;
}

void
sink_close(struct sink *s)
{
	if (s->owned && s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

/* The word for a level in front of the text; info has none. */
static const char *
level_word(int level)
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
prefix_format(const struct sink *s, const struct log_record *r, int level,
    char *line, size_t size)
{
	const time_t second = r->second;
	const bool syslog = s->kind == LOG_TO_SYSLOG;
	const char *colon = r->name[0] != '\0' ? ": " : "";
	struct tm tm = {0};
	size_t n = 0;

	if (s->is_journal)
		return (size_t)snprintf(line, size, "<%d>%.35s%s%s", level,
		    r->name, colon, level_word(level));
	if (syslog) {
		localtime_r(&second, &tm);
		n = (size_t)snprintf(line, size, "<%d>", LOG_DAEMON | level);
		n += strftime(line + n, size - n, "%b %e %T", &tm);
	} else {
		gmtime_r(&second, &tm);
		n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(line + n, size - n, ".%03uZ",
		    (unsigned)r->millisecond % 1000);
	}
	n += (size_t)snprintf(line + n, size - n, " chatd[%d]%s %.35s%s%s",
	    (int)r->pid, syslog ? ":" : "", r->name, colon, level_word(level));
	return n;
}

/* Replaces what is not printable from there on; bytes above 0x7f are UTF-8. */
static void
line_clean(char *line, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
}

size_t
sink_format(const struct sink *s, const struct log_record *r, size_t text,
    char line[SINK_LINE_BYTES])
{
	const int level = r->level & LOG_PRIMASK;
	const size_t size = SINK_LINE_BYTES;
	size_t n = 0, from = 0;

	if (r->lost > 0) {
		n = prefix_format(s, r, LOG_WARNING, line, size);
		n += (size_t)snprintf(line + n, size - n,
		    "%u log lines were lost: the log is not read or written "
		    "as fast as it grows",
		    r->lost);
		line_clean(line, 0, n);
		line[n++] = '\n';
		from = n;
	}
	n += prefix_format(s, r, level, line + n, size - n);
	if (text > SINK_TEXT_BYTES)
		text = SINK_TEXT_BYTES;
	while (text > 0 && r->text[text - 1] == '\n')
		text--;
	memcpy(line + n, r->text, text);
	n += text;
	line_clean(line, from, n);
	line[n++] = '\n';
	return n;
}

/* Opens the sink anew if it is closed; false and errno: that failed. */
static bool
sink_is_there(struct sink *s)
{
	if (s->fd == -1)
		s->fd = s->kind == LOG_TO_SYSLOG ? syslog_open()
						 : file_open(s->file);
	return s->fd != -1;
}

/* Sends one line to syslog, which may have been started again since the last
 * one; returns its length with the line feed. */
static ssize_t
syslog_write(struct sink *s, const char *bytes, size_t len)
{
	const char *end = memchr(bytes, '\n', len);
	const size_t line = end != NULL ? (size_t)(end - bytes) : len;

	for (int round = 0; round < 2; round++) {
		if (!sink_is_there(s))
			return -1;
		/* a line that syslog never takes must not stop the others */
		if (send(s->fd, bytes, line, MSG_DONTWAIT | MSG_NOSIGNAL) !=
			-1 ||
		    errno == EMSGSIZE)
			return (ssize_t)(end != NULL ? line + 1 : line);
		if (errno == EAGAIN || errno == EINTR)
			return -1;
		sink_close(s);
	}
	return -1;
}

ssize_t
sink_write(struct sink *s, const char *bytes, size_t len)
{
	struct pollfd p = {s->fd, POLLOUT, 0};

	if (s->kind == LOG_TO_SYSLOG)
		return syslog_write(s, bytes, len);
	if (s->is_socket)
		return send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->owned && !sink_is_there(s))
		return -1;
	if (s->owned || poll(&p, 1, 0) == 1)
		return write(s->fd, bytes, len);
	errno = EAGAIN;
	return -1;
}
