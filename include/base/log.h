/*
 * log: one line per event, to syslog, stderr or a file.
 *
 * Layer 0. Any process may call it; pure code (codec, utf8) does not: the
 * decision to log is made where something can be done about it. Text that a
 * client sent goes through log_text().
 */
#ifndef CHATD_BASE_LOG_H
#define CHATD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_sink { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

/*
 * Chooses the sink. `file` is used with LOG_TO_FILE only and kept by
 * reference. Returns 0, or -1 and errno when the file cannot be opened, or is a
 * symbolic link (the former sink stays).
 */
int log_open(enum log_sink sink, const char *file);

/* Opens the file anew (after rotation); nothing with the other sinks. */
int log_reopen(void);

/* The word in front of every line on stderr and in the file: "worker 2". */
void log_set_name(const char *name);

/* With verbose on, log_debug() lines appear too. */
void log_set_verbose(bool on);
bool log_is_verbose(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* log_error(), then exit(1). */
void
log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * Client text made printable (stravis), cut at 256 bytes of input. Lives in
 * one of four static buffers in turn: good for one log line.
 */
const char *log_text(const void *bytes, size_t len);

#endif
