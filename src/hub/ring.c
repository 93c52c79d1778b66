#include "ring.h"

uint64_t
journal_tail(const struct hub *h)
{
	return ring_tail(h);
}

uint64_t
journal_oldest(const struct hub *h)
{
	return ring_oldest(h);
}

bool
journal_is_sound(const struct hub *h)
{
	uint64_t tail = ring_tail(h);

	return tail >= h->tail && (tail == 0 || position_fits(h, tail));
}
