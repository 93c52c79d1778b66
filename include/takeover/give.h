/*
 * give: connections that this worker gives to others (takeover/move.h is the
 * other side). Each is frozen, noted and, once the other worker has taken it,
 * forgotten; what is not taken goes on here. Layer 4.
 */
#ifndef CHATD_TAKEOVER_GIVE_H
#define CHATD_TAKEOVER_GIVE_H

#include "conn/chat.h"

/* Chooses a connection and freezes it: it is SLOT_MOVING to worker `to` and
 * nothing is done with it any more. SHM_NONE: there is none. */
uint32_t give_freeze(struct chat *ch, int to);

/* The other worker has taken it up: forgets it here. If it only says so, it
 * goes on here. */
void give_done(struct chat *ch, int to, uint64_t id);

/* The other worker is gone: what it has not taken up goes on here. */
void give_back(struct chat *ch, int to);

/* Forgets what others have taken up without a word: their link was full. */
void give_look(struct chat *ch);

#endif
