/*
 * adopt: connections of a worker that is no more go on here. Everything that
 * was private to it is derived again from the slots, their records and the
 * kernel's counts; each step can be repeated from the start. Layer 4.
 */
#ifndef CHATD_TAKEOVER_ADOPT_H
#define CHATD_TAKEOVER_ADOPT_H

#include "conn/chat.h"
#include "net/counters.h"

/* What the dead worker had in hand when it died of its own fault. */
struct adopt_fault {
	uint32_t hand; /* enum hand; HAND_NOTHING: no fault of its own */
	uint64_t arg;
};

struct adopt_result {
	uint32_t adopted;
	uint32_t closed;    /* was ending, or its peer has gone */
	uint32_t lost;	    /* open, but its socket is not there */
	uint32_t corrupted; /* its records contradict themselves: closed */
	uint32_t replayed;  /* had input that was read and not done */
};

/*
 * Goes on with the connections of this worker's slots: with the sockets that
 * these claim. Called after chat_init, before anything else touches the chat.
 */
void adopt_all(struct chat *ch, const struct adopt_fault *fault,
    struct adopt_result *result);

/* Before a dead worker's connection becomes this worker's: copies its input
 * that was read and not done into this worker's stage, which is free. A
 * successor finds it there if this worker dies then. */
void adopt_stage_bring(struct chat *ch, uint64_t conn, int from);

/* The last step for one connection that came from another worker (move.h). */
void
adopt_settle(struct chat *ch, uint32_t conn, const struct adopt_fault *fault);

#endif
