#include "base/rate.h"

bool
rate_take(struct rate *r, uint64_t now_ms, uint32_t per_s, uint32_t burst)
{
	const uint64_t all = (uint64_t)burst * 1000;
	uint64_t passed_ms = now_ms > r->then_ms ? now_ms - r->then_ms : 0;

	/* else the product could overflow */
	if (per_s > 0 && passed_ms > r->taken / per_s)
		r->taken = 0;
	else
		r->taken -= passed_ms * per_s;
	if (passed_ms > 0)
		r->then_ms = now_ms;
	if (r->taken + 1000 > all)
		return false;
	r->taken += 1000;
	return true;
}
