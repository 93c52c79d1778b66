/* What tests of presence share: a name that is entered on nobody's account. */
#ifndef CHATD_TESTS_UNIT_PRESENCE_FIXTURE_H
#define CHATD_TESTS_UNIT_PRESENCE_FIXTURE_H

#include <stdbool.h>

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

#endif
