/*
 * custody: what a keeper is told: by its worker in notes, by the master in
 * orders. Layer 1.
 */
#ifndef CHATD_CODEC_CUSTODY_H
#define CHATD_CODEC_CUSTODY_H

#include <stdint.h>

enum { CUSTODY_MAX = 250 }; /* ids a note: 253 descriptors at most */

/*
 * A process that holds descriptors gives back only as many as the receiver has
 * said that it has room for (CUSTODY_ROOM, again and again). A descriptor that
 * was given stays in custody until CUSTODY_GIVE_UP or CUSTODY_CHECK closes it.
 */
enum custody_type {
	CUSTODY_KEEP = 1, /* ids with as many descriptors */
	CUSTODY_GIVE_UP,  /* ids: close those */
	CUSTODY_CHECK,	  /* close all whose connection has ended, or has gone
			   * on elsewhere; no ids */
	CUSTODY_ROOM,	  /* one id: so many more descriptors may come back */
	CUSTODY_DONE	  /* that was all; no ids */
};

struct custody_note {
	uint32_t type;
	uint32_t n;
	uint64_t id[CUSTODY_MAX];
};

/*
 * The master's orders over the control link. LINK, with one end of a new
 * custody link: first the former worker's link is read to its end; then the
 * worker at the new one may ask for what is in custody (CUSTODY_ROOM) and hand
 * over what it has. CHECK, without a descriptor: the keeper closes the sockets
 * of connections that have ended or belong to another worker now.
 */
enum keeper_order { KEEPER_LINK = 1, KEEPER_CHECK };

#endif
