/* charge_check: whether what is charged is what follows from the entries. */
#ifndef CHATD_TESTS_CHARGE_CHECK_H
#define CHATD_TESTS_CHARGE_CHECK_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/hub/heads.h"
#include "hub/charge.h"
#include "hub/presence.h"

/* Counts all entries into memory of its own, and compares. Nobody may change
 * anything meanwhile. */
static inline bool
charge_is_exact(const struct hub *h)
{
	struct shm_heads heads = {.magic = SHM_MAGIC};
	size_t bytes = h->n_charge * sizeof(*h->charge);
	uint32_t live = SHM_LOAD(h->heads->charge_live) & 1, e;
	struct hub own = *h;
	bool exact;

	own.heads = &heads;
	own.charge = calloc(CHARGE_COPIES, bytes);
	if (own.charge == NULL)
		abort();
	for (e = presence_next(h, 0); e < h->n_entries;
	     e = presence_next(h, e + 1))
		if (presence_mask(h, e) != 0)
			charge_change(&own, e, true);
	exact =
	    memcmp((void *)own.charge,
		(void *)(h->charge + (size_t)live * h->n_charge), bytes) == 0;
	free((void *)own.charge);
	return exact;
}

#endif
