/*
 * log: one line per event, to syslog, stderr or a file.
 *
 * A daemon's processes send their lines to the log process
 * (logger/logger.h), which alone writes; a process that has none writes to
 * its own sink.
 *
 * Layer 0. Any process may call it; pure code (codec, utf8) does not: the
 * decision to log is made where something can be done about it. Text that a
 * client sent goes through log_text().
 */
#ifndef CHATD_BASE_LOG_H
#define CHATD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sink.h"

/*
 * Chooses the process's own sink. `file` is used with LOG_TO_FILE only and kept
 * by reference. Returns 0, or -1 and errno when the file cannot be opened (the
 * former sink stays); see sink_open().
 */
int log_open(enum log_sink sink, const char *file);

/*
 * From now on each line is one send that never waits, to the log process that
 * reads the other end of that SOCK_SEQPACKET socket. A line that finds no room
 * in the socket is lost, counted, and the next line tells the number. -1: to
 * the own sink again.
 */
void log_send_to(int fd);

/* The process's name in front of every line on stderr and in the file: "worker
 * 2". */
void log_set_name(const char *name);

/* With verbose on, log_debug() lines appear too. */
void log_set_verbose(bool on);
bool log_is_verbose(void);

/*
 * Of each message, known by its format, there may be one line a second, and 64
 * at once before that counts; of log_debug() a hundred times as many. Further
 * lines are held back and told as a number, "and 12 more in 1.0 s like: ...".
 */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_verbosely(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Its arguments, which may be costly, are evaluated only if the line appears.
 */
#define log_debug(...)                              \
	do {                                        \
		if (log_is_verbose())               \
			log_verbosely(__VA_ARGS__); \
	} while (0)

/* Tells how many lines were held back, once a second for each message; Called
 * by each process's loop, so that the number is told although no line
 * follows. */
void log_more(void);

/* Tells how many lines of each message were held back, at once: before the
 * process ends. */
void log_flush(void);

/* A log_error() that is never held back, then exit(1). */
void
log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * Client text made printable (stravis), cut at 256 bytes of input. Lives in
 * one of four static buffers in turn: good for one log line.
 */
const char *log_text(const void *bytes, size_t len);

#endif
