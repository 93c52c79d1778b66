#include "codec/framing.h"

#include <string.h>

#include "codec/ws.h"

/* By number: that of a connection stands in its slot, so a row keeps its
 * place. */
static const struct framing *const framings[FRAMINGS_MAX] = {
    [FRAMING_USUAL] = &ws_framing,
#ifdef CHATD_MORE_FRAMINGS /* a test's build has further ones */
    CHATD_MORE_FRAMINGS
#endif
};

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
