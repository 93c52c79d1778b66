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

/* Begins to count what a connection's input costs; is_long: it may cost much,
 * so the clock is looked at already now. */
void conn_budget_begin(struct chat *ch, uint32_t i, bool is_long);

/* Whether a connection has had its share of this turn. */
bool conn_is_spent(struct chat *ch, uint32_t i);

#endif
