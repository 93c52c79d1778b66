/*
 * lock: the one lock of all workers: a futex word in shared memory that names
 * its owner's thread. It guards publishing and the presence table. No system
 * call, no malloc, no log while it is held. The master never takes it. Layer 2.
 *
 * If its owner dies the kernel frees it at once. If the word is corrupted, the
 * lock is taken all the same: a waiter checks after each slice whether the word
 * names a living worker. Two processes may then have the lock at once; all that
 * is done under it is bounded and checks its ranges, so that this may cost a
 * message, but no process.
 */
#ifndef CHATD_HUB_LOCK_H
#define CHATD_HUB_LOCK_H

#include "hub/shm.h"

enum {
	LOCK_SLICE_MS = 50, /* waited for in slices, with a tick after each */
	/*
	 * Turns of others after which newcomers leave the lock to the worker
	 * that has waited longest: 50 of each. Fewer: it is left to workers
	 * that do not get a processor at once, and is idle meanwhile; more: a
	 * waiter may be late by so many publications.
	 */
	LOCK_TURNS = 50 * (SHM_LINES - 1)
};

/* Free, and no worker lives: for memory that was made or found. */
void lock_reset(struct hub *h);

/* In a new process: has the kernel free the lock if this process dies with it,
 * and names its thread in its line. Called by hub_become(). */
void lock_become(struct hub *h);

/*
 * Takes the lock, also from an owner that died, and redoes what follows from
 * the last committed publication (journal_redo). While it waits the worker
 * ticks and is LOCK_WAITING.
 */
void hub_lock(struct hub *h);
void hub_unlock(struct hub *h);

/* The line of the process whose thread the lock names, or -1. For the
 * watchdog. */
int lock_holder(const struct hub *h);

#endif
