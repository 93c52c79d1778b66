/* daemon: leaving the terminal, and descriptors enough. Layer 6. */
#ifndef CHATD_MASTER_DAEMON_H
#define CHATD_MASTER_DAEMON_H

#include <stddef.h>
#include <stdint.h>

/*
 * Forks; the child returns, in its own session, its streams at /dev/null, with
 * the pipe's end that daemon_ready() and daemon_fail() write to. The parent
 * stays until it hears from there, and exits with status 0, or 1 with the
 * message on stderr. -1 and errno: nothing happened.
 */
int daemon_detach(void);

/* All is well: lets the parent go. */
void daemon_ready(int pipe_fd);

/* Tells the parent what went wrong. */
void daemon_fail(int pipe_fd, const char *message);

/* Raises RLIMIT_NOFILE to want if the system allows it; returns what it is. */
uint64_t daemon_raise_files(uint64_t want);

/* Raises RLIMIT_MEMLOCK, the bytes that a user's processes may lock, to want if
 * the system allows it. */
void daemon_raise_locked(uint64_t want);

#endif
