#include "hub/seen.h"

#include "heads.h"

bool
hub_first_seen(struct hub *h, uint64_t hash)
{
	uint64_t was;
	int k;

	if (hash == 0)
		hash = 1; /* 0 is a free place */
	for (k = 0; k < SHM_SEEN; k++) {
		was = SHM_OWN(h->heads->seen[k]);
		if (was == 0 &&
		    atomic_compare_exchange_strong(
			&h->heads->seen[k], &was, hash))
			return true;
		if (was == hash)
			return false;
	}
	return false;
}
