/*
 * invariant: what is true of the daemon's shared memory, and of the sockets
 * that its processes hold, in each quiet moment: a worker has exactly the
 * descriptors that its connections claim, and its two keepers have the same;
 * every record is one that its connection says it has; every count is what a
 * recount gives.
 */
#ifndef CHATD_TESTS_INVARIANT_H
#define CHATD_TESTS_INVARIANT_H

#include <sys/types.h>

#include "hub/shm.h"

/* Maps the memory of a master for reading, which was made with those limits.
 * False with a message. */
bool invariant_attach(struct hub *h, pid_t master,
    const struct hub_limits *limits, char *why, size_t why_len);

enum invariant {
	INVARIANT_CUSTODY,
	INVARIANT_RECORD,
	INVARIANT_COUNT,
	INVARIANT_PRESENCE,
	INVARIANTS
};

/* Tells what is not so, in words. */
typedef void (*invariant_tell)(void *arg, enum invariant what, const char *why);

/* Looks at everything; returns how many connections there are. */
uint32_t invariant_look(const struct hub *h, invariant_tell tell, void *arg);

#endif
