/*
 * watchdog: which processes with a line hang, and the master's clock. Layer 6;
 * reads shared memory only, keeps its own notes, and leaves killing to the
 * master. Keepers have no line: one that hangs is found when it is needed.
 *
 * Life signs. A process's is its line's tick, which also grows while it waits
 * for the lock. A process whose tick stands still is silent; one that is silent
 * for its limit hangs.
 *
 * Measure. Only the time in which a process could have ticked counts as
 * silence. What it had of a processor counts; what it waited for a processor
 * does not, nor what it waited for a disk (swapping), up to
 * WATCHDOG_DISK_MAX_MS. A process that spins, sleeps or is stopped could have
 * ticked.
 *
 * New start. A look that comes late shows that the machine or the master stood
 * still: all silence begins anew, once per process until it ticks again, so
 * that a master that is late for ever finds a hung process nevertheless.
 *
 * One at a time. If others are silent when one is found to hang, the machine is
 * the likelier reason: that one alone is killed, the others begin anew. Two
 * processes that do hang are found one after the other.
 *
 * Readers. A reader of the journal whose cursor stands still below the
 * journal's end is stuck, though it ticks, after WATCHDOG_STUCK_MS in which it
 * did tick; but for one that says why (HAND_BLOCKED), or is not ready yet: that
 * has a limit of its own (CHILD_HELLO_MAX).
 *
 * The lock. Where a process waits for it for WATCHDOG_LOCK_MS, a holder is
 * looked for that has held it for as long without a tick, while nothing was
 * published: that one alone is killed. If no holder is named (it was stopped
 * between taking the lock and naming itself), the culprit is the process that
 * wanted the lock and does not tick while waiters do.
 */
#ifndef CHATD_MASTER_WATCHDOG_H
#define CHATD_MASTER_WATCHDOG_H

#include "hub/shm.h"
#include "process/probe.h"

enum {
	WATCHDOG_PERIOD_MS = 100,
	/* The clock grows by so much at most from one look to the next. Larger:
	 * a stall of the machine is held against other processes; smaller: a
	 * busy master's clock falls behind. */
	WATCHDOG_GONE_MAX_MS = 2 * WATCHDOG_PERIOD_MS,
	/* A look this late gives all a new start. Larger: shorter stalls may
	 * cost a process; smaller: on a busy machine a hung process has up to
	 * twice the limit. */
	WATCHDOG_LATE_MS = 500,
	WATCHDOG_LOCK_MS = 500,
	/*
	 * Waiting for a disk that is not held against a process, while it is
	 * silent. Swapping under pressure takes seconds; 30 s is the kernel's
	 * own limit for one command of a disk, after which the disk is reset:
	 * what waits longer waits for storage that is gone. Larger: the clients
	 * of such a process wait longer for the next one; smaller: processes of
	 * a machine that swaps are killed, and their successors must read in
	 * what these had in memory.
	 */
	WATCHDOG_DISK_MAX_MS = 30000,
	/* For what does not tick. Less than the 30 s that a worker has to get
	 * ready. */
	WATCHDOG_TAKEOVER_MAX_MS = 20000,
	/* Larger: who waits for a reader that is stuck waits for longer;
	 * smaller: one whose work takes long, such as a commit to a slow disk,
	 * is taken for stuck. */
	WATCHDOG_STUCK_MS = 10000,
	/* Silence after which it is continued if it is stopped. */
	WATCHDOG_CONTINUE_MS = 200
};

/* A process as it was seen. */
struct watchdog_process {
	uint64_t tick;
	uint64_t still_ms; /* silent for so long, by the measure above */
	uint64_t disk_ms;  /* waited for a disk meanwhile */
	bool has_start;	   /* had its new start since its last tick */
	bool is_probed;	   /* probe holds what the last look saw */
	struct probe probe;
};

/* A reader of the journal as it was seen. */
struct watchdog_reader {
	uint64_t cursor, tick;
	uint64_t stuck_ms; /* has ticked, and not read on, for so long */
};

/* How a worker stands with the lock. */
struct watchdog_lock {
	uint64_t waiting_ms; /* in LOCK_WAITING since; 0: is not */
	bool is_suspect;     /* at the last look it may have had the lock */
	uint64_t held_ms;    /* a suspect without a tick for so long */
};

struct watchdog {
	/* The clock at the last look, and CLOCK_MONOTONIC then. */
	uint64_t clock_ms, looked_ms;
	uint64_t late_ms; /* since the look before, if that is too long */
	/* What the kernel says of the process with that line; false: unknown.
	 * May be set after watchdog_init. */
	bool (*probe)(void *arg, int line, struct probe *probe);
	void *probe_arg;
	uint64_t tail; /* the journal's at the last look */
	struct watchdog_process line[SHM_LINES];
	struct watchdog_lock lock[SHM_LINES];
	struct watchdog_reader reader[SHM_OTHERS];
};

/* What is to be looked at, as masks of places. */
struct watchdog_scene {
	uint64_t workers;  /* that live and are not killed */
	uint64_t starting; /* of these: before their HELLO they need not tick,
			    * and are judged for the lock alone */
	uint32_t others; /* the same of children that are neither: bit 0 has the
			  * line SHM_WORKERS */
	uint32_t others_starting;
	uint32_t readers; /* of these: those that read the journal */
	const struct shm_line *other[SHM_OTHERS]; /* where they tick */
	uint64_t other_ms[SHM_OTHERS]; /* limits of their own; 0: limit_ms */
	uint64_t limit_ms;	       /* the key `watchdog` */
};

struct watchdog_verdict {
	int place;	   /* the line of who is to be killed */
	uint64_t still_ms; /* it was silent for so long */
	bool has_lock;	   /* others waited for it */
	bool is_stuck;	   /* it did not read on for so long */
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

/* The process of that line is another one, or got ready: it is alive as of now.
 */
void watchdog_forget(struct watchdog *d, int line);

/* Looks at all, every WATCHDOG_PERIOD_MS or so; now_ms is CLOCK_MONOTONIC.
 * Returns whether one is to be killed. */
bool watchdog_look(struct watchdog *d, const struct hub *h,
    const struct watchdog_scene *scene, uint64_t now_ms,
    struct watchdog_verdict *verdict);

/* How long the process of that line had been silent at the last look. */
uint64_t watchdog_still_ms(const struct watchdog *d, int place);

/* Whether a worker has ticked within the last WATCHDOG_LOCK_MS. */
bool watchdog_is_lively(const struct watchdog *d, int place);

#endif
