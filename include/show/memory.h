/*
 * memory: the shared memory of a daemon that hangs or is dead, for chatctl -m:
 * of a process, of a file, or of a core file. Mapped for reading only; nothing
 * is asked of the daemon's processes, and no lock is taken. Layer 3.
 */
#ifndef CHATD_SHOW_MEMORY_H
#define CHATD_SHOW_MEMORY_H

#include <stdbool.h>

#include "hub/shm.h"
#include "show/show.h"

/* The name of its file, as /proc tells it. */
#define MEMORY_NAME "/memfd:chatd (deleted)"

struct memory {
	struct hub hub;
	void *base;
	size_t size;
	bool lives; /* a process has the file open: ages count to now */
};

/*
 * Opens what is named: the number of a process (the master, one of its
 * children, or a service manager that keeps the descriptor), or a file: one in
 * /proc/PID/fd, a copy, or a core file. Returns 0, or -1 with a sentence.
 */
int
memory_open(struct memory *m, const char *what, char *error, size_t error_len);
void memory_close(struct memory *m);

/* What is shown of it. *from->hub is m's. */
void memory_from(const struct memory *m, struct show_from *from);

#endif
