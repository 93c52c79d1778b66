/*
 * reader_child: what every child does that reads the journal (hub/reader.h): it
 * lives, hears the master, has a link with each worker, and waits while there
 * is nothing to read. What it does with what it reads is its kind's:
 *
 * reader_init(&r, start->hub, start->kind->reader - 1u, mark);
 * reader_child_init(&c, start, &r);
 * child_hello(start);
 * while (reader_child_turn(&c, all_is_done ? READER_CHILD_WAIT_MS : 0)) {
 *	... reader_next(), reader_taken() ...
 *	reader_child_wake(&c, reader_answer(&r, ...));
 * }
 * child_leave();
 *
 * A worker finds what a reader has appended in the journal, as it finds what
 * other workers have. Links say only that there is something: a full one says
 * so already. Layer 5.
 */
#ifndef CHATD_PROCESS_READER_CHILD_H
#define CHATD_PROCESS_READER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/shm.h"

struct child_start;
struct reader;

/* The longest wait for something to read, if no client waits for the reader:
 * that wakes it. Larger: what is not waited for is read later, and more at
 * once; smaller: a daemon that does nothing costs more processor time. */
enum { READER_CHILD_WAIT_MS = 20 };

/* System calls of these functions and of hub/reader.h, for child_kind.calls
 * (<seccomp.h>): those of the kind's own follow, and -1. */
#define READER_CHILD_CALLS                                              \
	SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendmsg),       \
	    SCMP_SYS(sendmmsg), SCMP_SYS(sendto), SCMP_SYS(write),      \
	    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex),           \
	    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mmap),           \
	    SCMP_SYS(munmap), SCMP_SYS(close), SCMP_SYS(clock_gettime), \
	    SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),               \
	    SCMP_SYS(restart_syscall)

struct reader_child {
	struct child_start *start;
	struct reader *reader;
	bool blocked;  /* it cannot go on */
	uint64_t wake; /* workers that are to be woken */
	/* What the master says to this kind alone, checked; NULL: nothing. */
	void (*other)(void *arg, int type, const void *payload, size_t len);
	void *other_arg;
	int link[SHM_WORKERS]; /* to each worker; -1: none */
};

/* No links yet: the master gives them. */
void reader_child_init(
    struct reader_child *c, struct child_start *start, struct reader *reader);

/* What it has appended is for these workers, as a mask: they are told so in
 * reader_child_turn(), or now. */
void reader_child_wake(struct reader_child *c, uint64_t mask);
void reader_child_flush(struct reader_child *c);

/* Ticks, wakes workers, hears the master, and waits ms at most (0: not) until
 * a client waits for the reader; all of it if it is blocked. Returns false if
 * it is to leave. */
bool reader_child_turn(struct reader_child *c, int ms);

/* Says whether it cannot go on, and tries again by itself (a disk is full): the
 * cursor that stands still meanwhile is no fault of its own. */
void reader_child_blocked(struct reader_child *c, bool blocked);

#endif
