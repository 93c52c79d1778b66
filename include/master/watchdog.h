/*
 * watchdog: which workers hang. Layer 4; reads shared memory only, keeps its
 * own notes, kills nobody: the master does.
 *
 * A worker's life sign is its tick, which also grows while it waits for the
 * mutex. One whose tick stands still for the limit hangs. Where somebody has
 * waited for the mutex for WATCHDOG_LOCK_MS, its holder is looked at first: a
 * holder whose tick stood still as long is the culprit, and only that one. If
 * no holder is named (it was stopped between taking the mutex and naming
 * itself), the culprit is who wanted the mutex and does not tick while waiters
 * do.
 *
 * The limit is of the worker's time, not of the clock's: while it could run
 * and gets no processor, on a machine that has too much to do, only what it
 * had of one counts. One that is stopped, sleeps or spins hangs by the clock
 * as far as it was not kept waiting.
 */
#ifndef CHATD_MASTER_WATCHDOG_H
#define CHATD_MASTER_WATCHDOG_H

#include "hub/shm.h"

enum {
	WATCHDOG_PERIOD_MS = 100,
	/* The clock grows by so much at most from one look to the next. Larger:
	 * a stall of the machine is held against other processes; smaller: a
	 * busy master's clock falls behind. */
	WATCHDOG_GONE_MAX_MS = 2 * WATCHDOG_PERIOD_MS,
	WATCHDOG_LOCK_MS = 500
};

struct watchdog {
	/* The clock at the last look, and CLOCK_MONOTONIC then. */
	uint64_t clock_ms, looked_ms;
	/* Says whether a worker runs or could, and how long it has run in
	 * all; false: nobody knows. May be set after watchdog_init. */
	bool (*probe)(void *arg, int worker, bool *runnable, uint64_t *used_ms);
	void *probe_arg;
	struct {
		uint64_t tick;
		uint64_t still_ms; /* since it was seen to grow */
		uint64_t used_ms;  /* of a processor so far, + 1; 0: unknown */
		uint64_t waiting_ms; /* in LOCK_WAITING since; 0: is not */
	} worker[SHM_WORKERS];
};

struct watchdog_verdict {
	int worker;
	uint64_t still_ms; /* its tick stood still for so long */
	bool has_lock;	   /* others waited for it */
};

/* now_ms is CLOCK_MONOTONIC; clock_ms is where the clock goes on, 0: begins
 * with now_ms. */
void watchdog_init(struct watchdog *d, uint64_t clock_ms, uint64_t now_ms);

/*
 * The master's clock: the time in which the master itself ran. However long
 * the machine or the master stood still, it grows by WATCHDOG_GONE_MAX_MS at
 * most from one look to the next, so that a deadline that counts in it is not
 * missed by a process that had no time to meet it. Never goes back; never
 * ahead of CLOCK_MONOTONIC; crosses an upgrade.
 */
uint64_t watchdog_clock_ms(const struct watchdog *d, uint64_t now_ms);

/* A slot has a new process, which is alive as of now. */
void watchdog_forget(struct watchdog *d, int worker);

/*
 * Looks at the workers in mask, every WATCHDOG_PERIOD_MS or so. Returns the
 * number of those to kill.
 */
int watchdog_look(struct watchdog *d, const struct hub *h, uint64_t mask,
    uint64_t limit_ms, uint64_t now_ms, struct watchdog_verdict *verdict);

/* How long a worker's tick had stood still at the last look. */
uint64_t watchdog_still_ms(const struct watchdog *d, int worker);

/* Whether a worker has ticked within the last WATCHDOG_LOCK_MS. */
bool watchdog_is_lively(const struct watchdog *d, int worker);

#endif
