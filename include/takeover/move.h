/*
 * move: connections go on at a living worker: those of a worker that is dead
 * and has no replacement yet, and those that a living one gives away. The new
 * worker copies their records into its own memory; one store, of the slot's
 * life, makes them its own. Layer 4.
 */
#ifndef CHATD_TAKEOVER_MOVE_H
#define CHATD_TAKEOVER_MOVE_H

#include "takeover/adopt.h"
#include "conn/chat.h"

/*
 * Takes up connections: n descriptors (owned from now on) with their ids, at
 * most MOVE_MAX. Those of `from`, which is dead, after slot_recall(),
 * move_redo() and subscription_rechain(); with fault NULL those that it gives
 * to this worker. Each is taken whole or stays where it was: *left (NULL: not
 * asked) is the number of those for which there is no room here. The duplicate
 * of one that is not taken is closed. Returns how many were taken.
 */
uint32_t move_take(struct chat *ch, int from, const uint64_t *id, const int *fd,
    uint32_t n, const struct adopt_fault *fault, uint32_t *left);

/* At a takeover: completes the move to a dead worker that it had committed. */
void move_redo(struct hub *h, int worker);

#endif
