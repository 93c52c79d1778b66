/*
 * handover: connections pass from one living worker to another over the link
 * between them, one message each. The taker answers each, taken or not: until
 * then nothing serves the connection. Layer 4; one per process.
 */
#ifndef CHATD_TAKEOVER_HANDOVER_H
#define CHATD_TAKEOVER_HANDOVER_H

#include <stdbool.h>

struct chat;
struct message_move;

/* Before the first link to another worker. */
void handover_init(struct chat *ch);

/* The master's order to give connections to another worker: as many as that
 * has room for, and its link takes. */
void handover_order(struct chat *ch, const struct message_move *what);

/* Whether no connection is on its way to another worker, and no answer is owed
 * to one. */
bool handover_is_idle(const struct chat *ch);

/* Answers what could not be answered before; once a turn. Milliseconds after
 * which it wants to be called again, -1: not. */
int handover_turn(struct chat *ch);

#endif
