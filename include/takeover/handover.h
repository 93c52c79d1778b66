/*
 * handover: connections pass from one living worker to another over the link
 * between them, one message each. The taker answers each, taken or not: until
 * then nothing serves the connection. Layer 4; one per process.
 */
#ifndef CHATD_TAKEOVER_HANDOVER_H
#define CHATD_TAKEOVER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

struct chat;
struct message_move;

/* The master's order to give connections to another worker: as many as that
 * has room for, and its link takes. */
void handover_order(struct chat *ch, const struct message_move *what);

/* A connection that another worker gives away (MSG_GIVE): it is taken if
 * there is room for its records. Owns fd; -1: there was no room for its
 * descriptor here. */
void handover_take(struct chat *ch, int from, uint64_t id, int fd);

/* Whether no connection is on its way to another worker, and no answer is owed
 * to one. */
bool handover_is_idle(const struct chat *ch);

/* Answers what could not be answered before; once a turn. Milliseconds after
 * which it wants to be called again, -1: not. */
int handover_turn(struct chat *ch);

#endif
