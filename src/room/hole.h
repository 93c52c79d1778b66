/* hole: publications that the ring has overwritten before they were delivered.
 * Layer 3. */
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

/* Whether the hole may hold a publication of its channel just before this one.
 * Not if this one is after `until`: hole_mark() has marked its channel. */
static inline bool
hole_is_before(const struct hole *hole, const struct publication *p)
{
	return p->position <= hole->until && hole_has(hole, p->previous);
}

/* Marks the channels of a connection of which it has missed the newest
 * publication, so that it is told. */
void hole_mark(struct chat *ch, uint32_t conn, const struct hole *hole);

/* hole_mark() for all connections here; sets `until`. */
void hole_mark_all(struct chat *ch, struct hole *hole);

#endif
