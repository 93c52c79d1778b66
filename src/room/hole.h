/* hole: what the ring has overwritten before it was delivered. Layer 3. */
#ifndef CHATD_SRC_CHAT_HOLE_H
#define CHATD_SRC_CHAT_HOLE_H

#include "room/rooms.h"
#include "hub/journal.h"

/* Whether a position lies in it. */
static inline bool
hole_has(const struct hole *hole, uint64_t position)
{
	return position > hole->from && position < hole->to;
}

/* Whether a publication is one before which something of its channel lies in
 * it. Those after `until` are not: hole_mark() has seen to their channels. */
static inline bool
hole_is_before(const struct hole *hole, const struct publication *p)
{
	return p->position <= hole->until && hole_has(hole, p->previous);
}

/* Marks where a connection has missed the newest publication of what it is in,
 * so that it is told. */
void hole_mark(struct chat *ch, uint32_t conn, const struct hole *hole);

/* hole_mark() for all connections here; sets `until`. */
void hole_mark_all(struct chat *ch, struct hole *hole);

#endif
