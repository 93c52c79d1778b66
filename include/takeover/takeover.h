/*
 * takeover: the beginning of every worker: what its predecessor left. The
 * keeper gives duplicates of the client sockets back, the slots say what to do
 * with them. A worker may die here, at any point: its successor begins again.
 * Layer 4.
 */
#ifndef CHATD_TAKEOVER_TAKEOVER_H
#define CHATD_TAKEOVER_TAKEOVER_H

#include "takeover/adopt.h"

enum { TAKEOVER_GIVERS = 2 };

/* Where the predecessor's connections are, and what it died of. */
struct takeover_start {
	uint32_t generation; /* of this worker; 1: it has no predecessor */
	int custody;	     /* link to this worker's keeper; -1: none */
	uint32_t keeper;     /* and that keeper's number (hub/kept.h) */
	/* Links to the worker that retired and to a keeper that is being
	 * replaced; -1: there is none. */
	int giver[TAKEOVER_GIVERS];
	struct adopt_fault fault;
};

/* Goes on with the connections of this worker's slots. Owns all links. Called
 * once, after chat_init(), before anything else touches the chat. */
void takeover(struct chat *ch, const struct takeover_start *start);

#endif
