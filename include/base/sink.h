/*
 * sink: where the log is written to: syslog, a standard stream, a file. Layer
 * 0. A sink is opened, formats records as it wants them and writes lines; no
 * call waits for the process that reads them. Only a regular file's file
 * system may keep open and write waiting.
 */
#ifndef CHATD_BASE_SINK_H
#define CHATD_BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SINK_LINE_BYTES = 8192, /* of a formatted line, with its notes */
	SINK_TEXT_BYTES = 7680, /* of a record's text; what is more is cut */
	SINK_FORMAT = 1		/* of records; an upgrade may bring another */
};

enum log_sink { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

/* One line as its process sends it to the log process: the head, and as much of
 * `text` as is used, not terminated. */
struct log_record {
	uint32_t format; /* SINK_FORMAT */
	int32_t level;	 /* of syslog(3) */
	int32_t pid;
	uint32_t lost;	/* lines of this process that were lost before it */
	int64_t second; /* since 1970 */
	int32_t millisecond;
	char name[36]; /* of the process, "worker 2", terminated; or "" */
	char text[SINK_TEXT_BYTES];
};

struct sink {
	enum log_sink kind;
	const char *file; /* LOG_TO_FILE; kept by reference */
	int fd;		  /* -1: not there now, sink_write() opens it */
	bool owned;	  /* fd is closed with the sink */
	bool is_socket;
	bool is_journal; /* systemd's, which notes the time, wants the level */
	bool is_file;	 /* fd, if there, is that of a file with a name */
};

/*
 * Opens it. A file is opened for appending and made if need be; it must not be
 * a symbolic link, except one to a standard stream. Syslog that does not run,
 * and a named pipe without a reader, are no failure: sink_write() fails until
 * they are there. Returns 0, or -1 and errno, and *s is as it was.
 */
int sink_open(struct sink *s, enum log_sink kind, const char *file);

void sink_close(struct sink *s);

/* The descriptor that a file's name stands for, 1 or 2, as /dev/stdout,
 * /dev/fd/2 and symbolic links to them do; -1: another file. */
int sink_stream(const char *file);

/*
 * Writes a record with `text` bytes of text as whole lines into line: where
 * `lost` is not 0, a line before it says so. Whatever the record holds, the
 * lines are printable. Returns their length.
 */
size_t sink_format(const struct sink *s, const struct log_record *r,
    size_t text, char line[SINK_LINE_BYTES]);

/*
 * Writes what there is room for, of whole lines or the rest of one. Returns how
 * much that was, or -1 and errno: EAGAIN: its reader is slow, EPIPE: a pipe
 * without a reader, else what open(2), connect(2) and write(2) say.
 */
ssize_t sink_write(struct sink *s, const char *bytes, size_t len);

#endif
