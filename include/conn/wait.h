/*
 * wait: what the input of a connection may cost in a turn, and whose input
 * waits. Layer 3.
 */
#ifndef CHATD_CONN_WAIT_H
#define CHATD_CONN_WAIT_H

#include "conn/chat.h"

/* Notes that a connection has input that waits, or no more: meanwhile it is not
 * read from. */
void conn_wait(struct chat *ch, uint32_t i, bool waits);

/* Notes that a connection which has just come to this worker, or back to it,
 * has input that waits, if its records say so. `torn`: a worker may have died
 * over it. */
void conn_wait_again(struct chat *ch, uint32_t i, bool torn);

/* Notes that a connection waits for an answer, and is not served until
 * conn_hold_end(), which says why that is over; or conn_wait(false), if it
 * ends. */
void conn_hold(struct chat *ch, uint32_t i);
void conn_hold_end(struct chat *ch, uint32_t i, enum hold_end end);

/* Begins to count what a connection's input costs; is_long: it may cost much,
 * so the clock is looked at already now. */
void conn_budget_begin(struct chat *ch, uint32_t i, bool is_long);

/* Whether a connection has had its share of this turn. */
bool conn_is_spent(struct chat *ch, uint32_t i);

#endif
