/* What tests of presence share: a name that is entered on nobody's account. */
#ifndef CHATD_TESTS_UNIT_PRESENCE_FIXTURE_H
#define CHATD_TESTS_UNIT_PRESENCE_FIXTURE_H

#include <stdbool.h>

#include "hub/lock.h"
#include "hub/presence.h"

/* presence_enter_for(), charged to nobody; *first: no worker had it before. */
static inline uint32_t
presence_enter(struct hub *h, const char *name, size_t len, bool *first)
{
	static const struct charge_terms nobody;
	enum charge_result how;
	uint32_t e = presence_enter_for(h, name, len, &nobody, &how);

	*first = how == CHARGE_FIRST;
	return e;
}

/* Three channels: of worker 0, of worker 1, of no worker. Ends as worker 0. */
static inline void
presence_three(struct hub *h, uint32_t *channel)
{
	char name[] = "a";
	bool first;

	for (int k = 0; k < 3; k++, name[0]++) {
		hub_become(h, k == 1);
		hub_lock(h);
		channel[k] = presence_enter(h, name, 1, &first);
		if (k == 2)
			presence_leave(h, channel[k], 0);
		hub_unlock(h);
	}
}

#endif
