/*
 * serve: connections whose input waits are served one after another. Layer 3.
 */
#ifndef CHATD_CONN_SERVE_H
#define CHATD_CONN_SERVE_H

#include "conn/chat.h"

/* Ends an open connection for a drain; one whose input waits behind the message
 * in hand, however much it has sent besides. */
void conn_drain(struct chat *ch, uint32_t i);

/* Serves those whose input waits, one after another, for their share of a turn;
 * false if there are none. */
bool conn_serve_waiting(struct chat *ch);

#endif
