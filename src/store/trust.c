#include "trust.h"

#include <stdlib.h>

/* Whether the clock goes on from where it was so long ago. */
static int
trust_goes_on(const struct trust *t, int64_t wall_ms, uint64_t past_ms)
{
	return t->seen_ms != 0 &&
	    llabs(wall_ms - t->seen_ms - (int64_t)past_ms) <= TRUST_LEAP_MS;
}

int64_t
trust_ask(struct trust *t, int64_t wall_ms, uint64_t now_ms)
{
	const uint64_t past_ms = t->at_ms != 0 ? now_ms - t->at_ms : 0;
	const uint64_t doubt_ms = t->doubt_ms + past_ms;

	if (t->wall_ms != 0)
		t->wall_ms += (int64_t)past_ms;
	if ((t->wall_ms != 0 && wall_ms <= t->wall_ms + TRUST_LEAP_MS) ||
	    (t->doubt_ms != 0 && doubt_ms >= TRUST_DOUBT_MS)) {
		t->wall_ms = wall_ms;
		t->doubt_ms = 0;
	} else if (t->doubt_ms != 0 &&
	    (t->seen_ms == 0 || trust_goes_on(t, wall_ms, past_ms)))
		t->doubt_ms = doubt_ms;
	else
		t->doubt_ms = 1;
	t->seen_ms = wall_ms;
	t->at_ms = now_ms;
	return t->wall_ms;
}
