#include "conn/dialect.h"

#include <string.h>

/* Adds one pair. */
static bool
dialect_put(struct dialects *d, uint8_t door, uint8_t framing)
{
	if (d->n == DIALECTS_MAX ||
	    framing_of(framing)->state_bytes > FRAMING_STATE_MAX)
		return false;
	d->at[d->n++] = (struct dialect){
	    .door = door, .framing = framing, .codec = framing_of(framing)};
	return true;
}

bool
dialect_add(struct dialects *d, uint8_t door, const char *framing)
{
	const struct framing *f;
	bool any = false;

	for (uint8_t k = 1; k < FRAMINGS_MAX; k++) {
		f = framing_of(k);
		if (f == NULL ||
		    (framing != NULL ? strcmp(f->name, framing) != 0
				     : !f->http))
			continue;
		if (!dialect_put(d, door, k))
			return false;
		any = true;
	}
	return any;
}

uint8_t
dialect_find(const struct dialects *d, uint8_t door, uint8_t framing)
{
	for (uint8_t k = 0; k < d->n; k++)
		if (d->at[k].door == door && d->at[k].framing == framing)
			return k;
	return DIALECT_NONE;
}
