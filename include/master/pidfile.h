/*
 * pidfile: says which process is the master, and that there is one only: the
 * file is locked for as long as the master lives. Layer 6.
 */
#ifndef CHATD_MASTER_PIDFILE_H
#define CHATD_MASTER_PIDFILE_H

#include <stddef.h>

struct pidfile {
	int fd;		  /* -1: there is none */
	const char *path; /* kept by reference, absolute */
};

/* Creates and locks it. Returns 0, or -1 with a message that says who holds
 * it. */
int pidfile_take(
    struct pidfile *p, const char *path, char *error, size_t error_len);

/* Writes the own pid, after daemonizing. Returns 0, or -1 and errno. */
int pidfile_tell(const struct pidfile *p);

/* Lets go without touching the file or the lock. */
void pidfile_drop(struct pidfile *p);

/* Removes it; the master's alone. */
void pidfile_leave(struct pidfile *p);

#endif
