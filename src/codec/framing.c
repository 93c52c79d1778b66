#include "codec/framing.h"

#include <string.h>

/* A test build adds rows: -DCHATD_FRAMINGS_MORE='ROW(name)'. */
#ifndef CHATD_FRAMINGS_MORE
#define CHATD_FRAMINGS_MORE
#endif

/* In the order of their numbers, from FRAMING_USUAL on. The slot of a
 * connection has the number of its framing, so a row keeps its place in every
 * release. */
#define FRAMINGS ROW(ws) CHATD_FRAMINGS_MORE

#define ROW(name) extern const struct framing name##_framing;
FRAMINGS
#undef ROW

#define ROW(name) &name##_framing,
static const struct framing *const framings[FRAMINGS_MAX] = {NULL, FRAMINGS};
#undef ROW

const struct framing *
framing_of(uint8_t number)
{
	return number < FRAMINGS_MAX ? framings[number] : NULL;
}

uint8_t
framing_find(const char *name)
{
	for (uint8_t k = 1; k < FRAMINGS_MAX; k++)
		if (framings[k] != NULL && strcmp(framings[k]->name, name) == 0)
			return k;
	return 0;
}
