/*
 * membership: what a connection is in, from its opening to its end: presence,
 * the lobby, its user's own channel, its subscriptions. Layer 3.
 */
#ifndef CHATD_ROOM_MEMBERSHIP_H
#define CHATD_ROOM_MEMBERSHIP_H

#include "conn/chat.h"

/* For the chat's `rooms`. */
extern const struct conn_rooms membership;

#endif
