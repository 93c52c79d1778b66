/* trust: the time by which rows are too old. The machine's clock counts, but
 * not one that has leapt far ahead: by a date that is wrong for an hour all
 * would be deleted for good. */
#ifndef CHATD_STORE_TRUST_H
#define CHATD_STORE_TRUST_H

#include <stdint.h>

enum {
	/* Larger: a clock that is wrong deletes so much too early; smaller:
	 * after a weekend without the machine all waits for TRUST_DOUBT_MS. */
	TRUST_LEAP_MS = 3 * 24 * 3600 * 1000,
	/* So long the clock must go on where it leapt to. Larger: after a long
	 * pause rows stay for longer; smaller: there is less time to see that
	 * the date is wrong. */
	TRUST_DOUBT_MS = 24 * 3600 * 1000
};

struct trust {
	int64_t wall_ms;   /* the time that counts; 0: not known */
	uint64_t doubt_ms; /* the clock has told another one for so long; 0: it
			    * does not */

	/* private: */
	int64_t seen_ms; /* what it told last, */
	uint64_t at_ms;	 /* and when, by the other clock; 0: never */
};

/* What counts now. wall_ms: as the machine's clock says; now_ms: clock_ms(). */
int64_t trust_ask(struct trust *t, int64_t wall_ms, uint64_t now_ms);

#endif
