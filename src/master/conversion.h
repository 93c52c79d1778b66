/*
 * conversion: the part of an upgrade in which shared memory is copied for a
 * program of another layout, or with other sizes. The order of steps:
 *
 *  1. The rehearsal says that it would have the memory copied, and with which
 *     limits (RESUME_COPIES in resume.h). Refused there: what it does not
 *     understand, what does not fit.
 *  2. A child executes the new program, which maps the old memory for reading
 *     and makes the new one in a file of the master's. Workers serve.
 *  3. Children of other kinds leave. Then workers accept no connections until
 *     no request is half there: one of those would keep its worker from step 4
 *     while the clients of all others wait.
 *  4. All workers retire: each ends its turn and leaves. Its keepers have its
 *     sockets. Clients wait from here on.
 *  5. The child copies and proves the copy.
 *  6. The master executes the new program: the point of no return. The old
 *     program's keepers make its workers, which share their sockets, and bring
 *     keepers of their own.
 *
 * Whatever fails before step 6 (the child dies, hangs or refuses; a worker
 * dies or does not retire) ends it: workers are started again over the old
 * memory, which nobody has changed, as after any planned turn.
 */
#ifndef CHATD_MASTER_CONVERSION_H
#define CHATD_MASTER_CONVERSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hub/shm.h"

struct master;
struct member;

enum conversion_state {
	CONVERSION_RUNS,
	CONVERSION_DONE,  /* m->next is the copy */
	CONVERSION_FAILED /* see conversion_failure() */
};

/* What it asks of others. */
struct conversion_calls {
	/* In the child: executes the new program with that argument; returns
	 * only if that fails. */
	void (*run)(const struct master *m, const char *what);
	/* What stands in the way of having workers retire, in words; NULL:
	 * nothing. */
	const char *(*obstacle)(const struct master *m);
	void (*part)(struct master *m);	   /* has workers accept no more */
	void (*retire)(struct master *m);  /* tells all workers to retire */
	void (*go_on)(struct master *m);   /* undoes part() and retire() */
	void (*changed)(struct master *m); /* ask conversion_time() */
};

/* Begins: step 2. Returns NULL, or what is wrong. */
const char *conversion_begin(struct master *m, const struct hub_limits *limits,
    uint32_t connections, const struct conversion_calls *calls);

/* How it stands; every timer period, and when something has happened. */
enum conversion_state conversion_time(struct master *m, uint64_t now);

/* Why it has failed. */
const char *conversion_failure(const struct master *m);

/* Gives it up: workers are started again, if the daemon goes on. */
void conversion_end(struct master *m);

/* Whether workers are not to be started now. */
bool conversion_holds(const struct master *m);

/* A worker has retired for it. */
void conversion_retired(struct master *m);

/* A worker has died, which it must not in steps 4 and 5. */
void conversion_worker_died(struct member *w);

/* Whether that was the child that copies. */
bool conversion_died(struct master *m, pid_t pid, int status);

bool conversion_owns(const struct master *m, pid_t pid);

/* "preparing", "parting", "stopping", "copying"; for people. */
const char *conversion_name(const struct master *m);

/* The new program's part, in that child: it talks to the master over `link`
 * and makes the new memory in `memory`. Returns the exit status. */
int conversion_child(int state, int link, int memory);

#endif
