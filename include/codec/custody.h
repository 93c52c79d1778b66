/*
 * custody: descriptors on their way from a process that has them to one that
 * goes on with their connections, in notes over a link between the two. The
 * numbers are the same in all programs: one that is upgraded may have to give
 * to the next. Layer 1.
 */
#ifndef CHATD_CODEC_CUSTODY_H
#define CHATD_CODEC_CUSTODY_H

#include <stdint.h>

enum { CUSTODY_MAX = 250 }; /* ids a note: 253 descriptors at most */

/*
 * Who has descriptors gives only as many as the receiver has said that it has
 * room for (CUSTODY_ROOM, again and again). What it gives are duplicates.
 */
enum custody_type {
	CUSTODY_KEEP = 1, /* ids with as many descriptors */
	/* 2 and 3 had keepers of older programs close descriptors */
	CUSTODY_ROOM = 4, /* one id: so many more descriptors may come */
	CUSTODY_DONE	  /* that was all; no ids */
};

struct custody_note {
	uint32_t type;
	uint32_t n;
	uint64_t id[CUSTODY_MAX];
};

/*
 * What the master tells a keeper of an older program over its control link:
 * with one end of a link for notes, first the former worker's link is read to
 * its end; then who is at the new one may ask for what is in custody.
 */
enum keeper_order { KEEPER_LINK = 1 };

#endif
