/* charge_recount: all counters of charge.h anew, into the copy that does not
 * count yet. */
#include <string.h>

#include "charge_copy.h"
#include "heads.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"

enum {
	/* in one hold of the lock: */
	CLEAR_STEP = 16 * 1024, /* counters set to 0 */
	RECOUNT_STEP = 1024	/* entries looked at */
};

/* Begins a recount, into the copy that does not count. */
static void
recount_begin(struct hub *h, struct charge_recount *r)
{
	SHM_STORE(h->heads->charge_at, 0);
	r->turn = SHM_LOAD(h->heads->charge_turn) + 1;
	SHM_STORE(h->heads->charge_turn, r->turn);
	r->begun = true;
}

/* Sets some counters of the other copy to 0. */
static void
recount_clear(struct hub *h, struct charge_recount *r)
{
	_Atomic uint32_t *other =
	    &h->charge[(size_t)(charge_copy_live(h) ^ 1) * h->n_charge];
	uint32_t n = h->n_charge - r->cleared;

	n = n < CLEAR_STEP ? n : CLEAR_STEP;
	memset((void *)(other + r->cleared), 0, n * sizeof(*other));
	KILL_POINT();
	r->cleared += n;
}

/* Counts some entries into the other copy; after the last one that becomes the
 * copy that counts. False: it has. */
static bool
recount_entries(struct hub *h, struct charge_recount *r)
{
	uint32_t looked, e;

	for (looked = 0; looked < RECOUNT_STEP; looked++, r->at = e + 1) {
		/* asked each time: an entry may have come into use meanwhile */
		e = presence_next(h, r->at);
		if (e >= h->n_entries) {
			SHM_STORE(
			    h->heads->charge_live, charge_copy_live(h) ^ 1);
			SHM_STORE(h->heads->charge_at, 0);
			return false;
		}
		if (presence_mask(h, e) != 0)
			charge_copy_add(h, charge_copy_live(h) ^ 1, e, true);
	}
	SHM_STORE(h->heads->charge_at, r->at);
	return true;
}

bool
charge_recount_step(struct hub *h, struct charge_recount *r)
{
	bool more = true;

	hub_lock(h);
	if (!r->begun)
		recount_begin(h, r);
	else if (SHM_LOAD(h->heads->charge_turn) != r->turn)
		more = false; /* another process has begun a recount, which
			       * covers this one */
	else if (r->cleared < h->n_charge)
		recount_clear(h, r);
	else
		more = recount_entries(h, r);
	hub_unlock(h);
	return more;
}

void
charge_recount(struct hub *h)
{
	struct charge_recount r = {0};

	while (charge_recount_step(h, &r))
		line_tick(h);
}
