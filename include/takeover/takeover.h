/*
 * takeover: the beginning of every worker: what its predecessor left. The
 * client sockets are in the table of descriptors, the slots say which is whose
 * and what to do with it. A worker may die here, at any point: its successor
 * begins again. Layer 4.
 */
#ifndef CHATD_TAKEOVER_TAKEOVER_H
#define CHATD_TAKEOVER_TAKEOVER_H

#include "codec/birth.h"
#include "takeover/adopt.h"

/* Where the predecessor's connections are, and what it died of. */
struct takeover_start {
	uint32_t generation;	 /* of this worker; 1: it has no predecessor */
	int giver[BIRTH_GIVERS]; /* see pull.h */
	struct adopt_fault fault;
};

/* Goes on with the connections of this worker's slots. Owns the links. Called
 * once, after table_settle() and chat_init(), before anything else touches the
 * chat. */
void takeover(struct chat *ch, const struct takeover_start *start);

#endif
