/*
 * line: a process's line in shared memory: who it is, that it lives, how it
 * stands with the lock, what it has in hand and how far it has read. Layer 2.
 *
 * The workers' lines come first, by their numbers, which are also bits of
 * presence masks; the lines of others, such as readers of the journal, follow
 * and have no bit.
 */
#ifndef CHATD_HUB_LINE_H
#define CHATD_HUB_LINE_H

#include "base/other.h"
#include "hub/shm.h"

enum worker_state {
	WORKER_STOPPED, /* no process, none to come */
	WORKER_STARTING,
	WORKER_RUNNING,
	WORKER_STOPPING,
	WORKER_WAITING, /* back-off: a process will come */
	WORKER_DRAINING /* accepts no more, ends its connections slowly */
};

enum lock_state { LOCK_NONE, LOCK_WANTED, LOCK_WAITING };

/* What a worker has in hand: the cause, if it crashes of its own fault. */
enum hand {
	HAND_NOTHING,
	HAND_INPUT,    /* of the connection of that id */
	HAND_DELIVERY, /* of the publication at that position */
	HAND_MESSAGE,  /* over a link */
	HAND_ADOPTION, /* of the connection of that id */
	HAND_BLOCKED,  /* a reader cannot go on, and tries again by itself */
	HAND_DAMAGED   /* what it reads is spoiled: `chatctl store` */
};

struct shm_line {
	/* written by the master */
	_Atomic uint32_t pid __attribute__((aligned(64)));
	_Atomic uint32_t generation;
	_Atomic uint32_t state;	     /* enum worker_state */
	_Atomic uint64_t started_ms; /* clock_ms() */

	/* written by the process, often */
	_Atomic uint64_t tick __attribute__((aligned(64))); /* grows: alive */
	OTHER_ONLY(uint64_t other);
	_Atomic uint64_t cursor; /* delivered up to here (journal.h) */
	_Atomic uint32_t lock_state;
	/* id of its thread, which the lock names; 0: no process. The master
	 * clears it when it reaps the process. */
	_Atomic uint32_t thread;
	_Atomic uint32_t wait_turn; /* of the lock, from which it waits or has
				     * waited last */
	_Atomic uint32_t hand;
	_Atomic uint64_t hand_arg; /* connection id or position */
	/* of a reader (hub/reader.h) */
	_Atomic uint64_t settled; /* all up to this position is answered */
};

/* "running", as chatctl says it; "?" for other numbers. */
const char *worker_state_name(uint32_t state);

/* The life sign that the master's watchdog looks for. Also stores the thread's
 * id again, in case another process has written over it. */
static inline void
line_tick(struct hub *h)
{
	SHM_TELL(h->mine->thread, h->thread);
	SHM_COUNT(h->mine->tick, 1);
}

#endif
