/* delivery: one publication to the connections here that it is for.
 * Layer 3. */
#ifndef CHATD_SRC_ROOM_DELIVERY_H
#define CHATD_SRC_ROOM_DELIVERY_H

#include "hub/journal.h"
#include "hole.h"

/* By what a connection has a publication's channel. */
struct concern {
	struct subscription *sub; /* NULL: it is its own, or the lobby */
	uint32_t *flags;	  /* where its mark of a gap is kept, */
	uint32_t gap;		  /* and that bit */
	uint64_t since;		  /* offset up to which nothing is for it */
};

/* Whether a connection gets a publication; *out says by what. */
bool delivery_concerns(struct chat *ch, uint32_t conn,
    const struct publication *p, struct concern *out);

/* To all connections here that have its channel. Returns the bytes that it
 * counts against the `queue` of each. */
size_t delivery_all(struct chat *ch, const struct publication *p);

/* To one connection, if it is for it; `hole`: what was lost before it. */
void delivery_alone(struct chat *ch, uint32_t conn, const struct publication *p,
    const struct hole *hole);

#endif
