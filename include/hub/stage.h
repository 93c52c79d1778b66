/*
 * stage: what a worker has read of its clients and not done. It has parts, each
 * of which names a connection before anything of it is read there, and none
 * again before all of them are done: so for who comes after a death each one's
 * input is where it is named, or known. Layer 2.
 */
#ifndef CHATD_HUB_STAGE_H
#define CHATD_HUB_STAGE_H

#include "hub/shm.h"
#include "hub/stats.h"

enum { STAGE_PART = SHM_STAGE / STAGE_PARTS };

/* Where a part of a worker's stage begins. */
static inline uint8_t *
stage_at(const struct hub *h, int worker, unsigned part)
{
	return h->stage + (size_t)worker * SHM_STAGE + part * STAGE_PART;
}

/* Bytes from there to the stage's end, which the last part in use may have. */
static inline size_t
stage_room(unsigned part)
{
	return SHM_STAGE - part * STAGE_PART;
}

/* All is done: no part names a connection any more. */
static inline void
stage_clear(struct hub *h)
{
	while (h->staged > 0) {
		SHM_STORE(h->me->staged_conn[h->staged - 1], 0);
		h->staged--;
	}
}

/* stage_clear(), whatever a process before has left. */
static inline void
stage_clear_all(struct hub *h)
{
	h->staged = STAGE_PARTS;
	stage_clear(h);
}

/* The next part, below STAGE_PARTS, is for a connection's input from there on.
 */
static inline void
stage_name(struct hub *h, uint64_t conn, uint64_t start)
{
	SHM_STORE(h->me->staged_from[h->staged], start);
	SHM_STORE(h->me->staged_conn[h->staged], conn);
	h->staged++;
}

/* The part of a worker's stage that names a connection; STAGE_PARTS: none. */
static inline unsigned
stage_find(const struct hub *h, int worker, uint64_t conn)
{
	unsigned k = 0;

	while (k < STAGE_PARTS &&
	    SHM_LOAD(h->worker[worker].staged_conn[k]) != conn)
		k++;
	return k;
}

#endif
