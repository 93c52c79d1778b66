/*
 * worker: one process with one libevent loop that serves clients. Layer 6;
 * meets the master in messages (codec/message.h) only.
 */
#ifndef CHATD_WORKER_WORKER_H
#define CHATD_WORKER_WORKER_H

#include <stdint.h>

#include "codec/birth.h"
#include "conf/conf.h"
#include "hub/shm.h"
#include "net/endpoint.h"
#include "process/child.h"

extern const struct child_kind worker_kind;

/* What a worker is born with. */
struct worker_start {
	int worker; /* its number: its place */
	uint32_t generation;
	/* Links to processes outside of its family that have sockets of the
	 * connections; -1: none. */
	int giver[BIRTH_GIVERS];
	uint32_t fault_hand; /* enum hand: what the predecessor had in hand
			      * when it died of its own fault */
	uint64_t fault_arg;
	int control;	 /* its end of the link to the master */
	struct hub *hub; /* mapped, with hub_become() */
	const struct conf_live *live;
	uint32_t connections; /* of all workers at once */
	bool io_uring;
	const struct endpoints *endpoints; /* bound; listening by the time of
					    * MSG_START */
};

#endif
