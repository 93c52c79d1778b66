/* rate: a token bucket. Layer 0, pure: the caller has the clock. */
#ifndef CHATD_BASE_RATE_H
#define CHATD_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* Zero: nothing has been taken. */
struct rate {
	uint64_t taken;	  /* thousandths of a token that are not back yet */
	uint64_t then_ms; /* as of */
};

/* Takes a token of `burst`, of which per_s come back each second; false: there
 * is none. A clock that goes back brings none. */
bool rate_take(struct rate *r, uint64_t now_ms, uint32_t per_s, uint32_t burst);

#endif
