/* ring: a small hub for targets that write over its journal, which a few
 * publications fill. */
#ifndef CHATD_TESTS_FUZZ_RING_H
#define CHATD_TESTS_FUZZ_RING_H

#include "fuzz.h"
#include "../unit/presence_fixture.h"

#include "../../src/hub/heads.h"

enum { RING = 4096 }; /* bytes of the journal */

/* Makes it, with these readers of the journal: bits. */
static inline void
ring_hub(struct hub *h, uint8_t readers)
{
	const struct hub_limits limits = {.connections = 64,
	    .users = 16,
	    .channels = 16,
	    .journal_bytes = RING,
	    .output_bytes = 1 << 20,
	    .input_bytes = 1 << 20,
	    .readers = readers};

	REQUIRE(hub_create(h, &limits) == 0);
}

#endif
