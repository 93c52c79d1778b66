/* What tests of input share: a part that is appended to, nothing waiting. */
#ifndef CHATD_TESTS_UNIT_INPUT_FIXTURE_H
#define CHATD_TESTS_UNIT_INPUT_FIXTURE_H

#include "hub/input.h"

/* input_keep() of payload bytes alone. */
static inline int
input_save(struct input_pool *pool, uint32_t slot,
    const struct framing_state *state, uint64_t end, const void *bytes,
    size_t len)
{
	const struct input_more more = {.state = state,
	    .state_bytes = sizeof(*state),
	    .end = end,
	    .bytes = bytes,
	    .len = len};

	return input_keep(pool, slot, &more);
}

#endif
