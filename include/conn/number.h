/*
 * number: which connections are here. A connection's number is its slot's; one
 * that is refused may have a spare one, and no slot. Layer 3.
 */
#ifndef CHATD_CONN_NUMBER_H
#define CHATD_CONN_NUMBER_H

#include "conn/chat.h"
#include "conn/recipient.h"

/* A number for a new connection; SHM_NONE: not even a spare one is left. */
uint32_t number_take(struct chat *ch);

/* Gives the number of a connection that is gone back. */
void number_give(struct chat *ch, uint32_t i);

/* More, or fewer, connections are here whose requests are not answered yet:
 * the report tells how many. */
void conn_pending(struct chat *ch, int more);

/* Notes which workers there are besides this one: a sweep does so, since all
 * lines are many cache lines and workers come seldom. */
void number_look(struct chat *ch);

/* Tells the other workers how many connections are here; the sweep does so
 * again, in case another process has written over it. */
void number_tell(struct chat *ch);

/* Notes that a slot's connection is here, or no more, and tells the other
 * workers how many are. */
void conn_number(struct chat *ch, uint32_t i, bool here);

#endif
