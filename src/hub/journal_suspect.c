/* journal_suspect: publications whose delivery has killed workers. */
#include "heads.h"
#include "hub/journal.h"

/* Position and deaths in one word: the last one suspected. */
enum { SUSPECT_DEATHS = 3 };
#define SUSPECT(position, deaths) ((position) << 2 | (deaths))

void
journal_suspect(struct hub *h, uint64_t position)
{
	uint64_t was = SHM_LOAD(h->heads->suspect), now;

	do {
		now = was >> 2 != position	 ? SUSPECT(position, 1)
		    : (was & 3) < SUSPECT_DEATHS ? was + 1
						 : was;
	} while (!atomic_compare_exchange_weak(&h->heads->suspect, &was, now));
}

unsigned
journal_suspected(const struct hub *h, uint64_t position)
{
	uint64_t word = SHM_LOAD(h->heads->suspect);

	return word >> 2 == position ? (unsigned)(word & 3) : 0;
}

void
journal_acquit(struct hub *h, uint64_t position)
{
	uint64_t was = SHM_LOAD(h->heads->suspect);

	if (was >> 2 == position)
		atomic_compare_exchange_strong(&h->heads->suspect, &was, 0);
}

bool
journal_fault(struct hub *h, uint64_t position)
{
	if (position == 0 || position > journal_tail(h) ||
	    position < journal_oldest(h))
		return false;
	if (SHM_LOAD(h->heads->fault) != position) {
		SHM_STORE(h->heads->fault, position);
		return false;
	}
	SHM_STORE(h->index[position & (h->n_index - 1)].mask, 0);
	return true;
}
