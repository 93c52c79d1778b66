/*
 * event: what the entries of the journal say that readers which want events
 * (hub.events) get of users, connections and channels. No worker delivers them.
 * Layer 2.
 *
 * ONLINE, OFFLINE: the first worker has connections of a user, or none has any
 * more; the data is the name of the user's channel, "#alice". OCCUPIED, VACATED
 * of the lobby and all other channels; the data is the channel's name. They
 * have no sender. Where a channel's presence entry is used for another one, it
 * is vacated before.
 *
 * CONNECT, DISCONNECT: a user's connection is open, or ends: the sender. The
 * channel is the user's own, the user its name, the data a struct event_end and
 * then the name of the device.
 */
#ifndef CHATD_HUB_EVENT_H
#define CHATD_HUB_EVENT_H

#include <stdint.h>

/* Numbers as this machine has them. */
struct event_end {
	/* DISCONNECT: RFC 6455's, or 4000 on (codec/framing.h); 0: it went
	 * without a close frame, or with its worker. CONNECT: 1: a token says
	 * who its user is */
	uint16_t code;
	uint16_t reason; /* enum reason (slot.h) */
	uint16_t port;	 /* of the peer, */
	uint8_t family;	 /* and its address: 4, 6, or 0: not known */
	uint8_t door;	 /* its id */
	uint8_t peer[16];
};
_Static_assert(sizeof(struct event_end) == 24, "no padding in the journal");

#endif
