/*
 * policy: when a worker that died is replaced. Layer 5, pure.
 *
 * A worker that had reported ready is replaced at once: whatever killed it, it
 * had proved that the program and the machine can run one, and its clients
 * wait. Waiting is for what would otherwise fork in circles:
 *
 * - a worker that dies before it is ready will most likely do so again, so
 *   its place backs off for 1, 2, 4 ... 60 s;
 * - three workers of a place in a row that die of their own fault (SEGV, ABRT,
 *   BUS, FPE, ILL, an exit without having been told to) within 10 s of their
 * start are a pattern, so from the third on the place backs off likewise;
 * - being killed (by hand, for memory, by the watchdog) says nothing about the
 *   worker and never counts; but no place forks more than 20 times in 10 s,
 *   which is what a machine short of memory, or a script, can do at most.
 *
 * 10 s of good life clear the counts.
 */
#ifndef CHATD_PROCESS_POLICY_H
#define CHATD_PROCESS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	POLICY_GOOD_LIFE_MS = 10 * 1000,
	POLICY_FAULTS = 3,
	POLICY_BACKOFF_MIN_MS = 1000,
	POLICY_BACKOFF_MAX_MS = 60 * 1000,
	POLICY_BURST = 20,
	POLICY_BURST_MS = 10 * 1000
};

/* What is remembered of a place; all zero at first. */
struct policy {
	uint32_t faults;  /* in a row, each within 10 s of its start */
	uint32_t unready; /* in a row, each before it was ready */
	uint32_t next;	  /* in respawn[] */
	uint64_t respawn_ms[POLICY_BURST]; /* the newest times, a ring */
};

/* Whether a status of waitpid() is a worker's own fault. For a worker that
 * was not told to leave. */
bool policy_is_fault(int wait_status);

/* A worker said HELLO. */
void policy_ready(struct policy *p);

/*
 * A worker of this place died at that age. Returns how long to wait before its
 * replacement is forked, 0 = not at all.
 */
uint64_t policy_died(struct policy *p, bool fault, bool was_ready,
    uint64_t age_ms, uint64_t now_ms);

/* A replacement is forked. */
void policy_respawned(struct policy *p, uint64_t now_ms);

#endif
