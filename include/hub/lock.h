/*
 * lock: the one process-shared robust mutex. It guards publishing and the
 * presence table. No system call, no malloc, no log while it is held. The
 * master never takes it. Layer 2.
 */
#ifndef CHATD_HUB_LOCK_H
#define CHATD_HUB_LOCK_H

#include "hub/shm.h"

enum { LOCK_SLICE_MS = 50 }; /* waited for in slices, with a tick after each */

struct shm_lock;

/* Makes it process-shared and robust. Returns 0 or an errno value. */
int lock_init(struct shm_lock *lock);

/*
 * Takes it, whatever its last holder died of, and redoes what follows from
 * the last committed publication (journal_redo). While it waits the worker
 * ticks and is LOCK_WAITING. Aborts if the mutex is beyond recovery: the
 * watchdog's remedy is a new worker.
 */
void hub_lock(struct hub *h);
void hub_unlock(struct hub *h);

/* The worker named beside the mutex as its holder, or -1. For the watchdog. */
int lock_holder(const struct hub *h);

#endif
