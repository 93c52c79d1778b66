/* birth: what the master tells a child of one kind at its start, besides what
 * every child is told (process/child.h). Plain data. Layer 1. */
#ifndef CHATD_CODEC_BIRTH_H
#define CHATD_CODEC_BIRTH_H

#include <stdbool.h>
#include <stdint.h>

enum { BIRTH_GIVERS = 2 };

/* A worker: what it takes over from its predecessor, and by which links. */
struct birth_worker {
	int custody;	 /* its end of the link to its keeper; -1: none */
	uint32_t keeper; /* and that keeper's number (hub/kept.h) */
	/* Links to other processes that have sockets of the connections: the
	 * worker that retired, and a keeper that is being replaced; -1: none.
	 */
	int giver[BIRTH_GIVERS];
	uint32_t fault_hand; /* enum hand: what the predecessor had in hand
			      * when it died of its own fault */
	uint64_t fault_arg;
	uint32_t connections; /* of all workers at once */
	bool io_uring;
};

/* A keeper. */
struct birth_keeper {
	uint32_t number; /* hub/kept.h: no two keepers ever have the same */
};

#endif
