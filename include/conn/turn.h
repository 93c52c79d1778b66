/*
 * turn: what the loop's callbacks do in one go. It begins with the first of
 * them and ends with chat_turn() (worker/chat.h). Layer 3.
 */
#ifndef CHATD_CONN_TURN_H
#define CHATD_CONN_TURN_H

#include "conn/chat.h"

/* First thing in each callback of the loop, and for each connection that is
 * ready: the turn has begun. False: it has been long by then, and ends with
 * this one. */
bool chat_event(struct chat *ch);

/* Whether what can wait for the next turn should. */
bool chat_is_late(const struct chat *ch);

/* Reads the clocks and ticks: at the start and end of a turn, and after each
 * piece of work of which there may be many in one turn. Not where nothing
 * bounds their number: the watchdog would see no hang. */
void chat_clock(struct chat *ch);

#endif
