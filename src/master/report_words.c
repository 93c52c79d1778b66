#include <string.h>

#include "codec/framing.h"
#include "door/registry.h"
#include "hub/words.h"
#include "master/report.h"
#include "net/transport.h"

void
report_words(struct hub_words *out)
{
	const struct door *door;

	memset(out, 0, sizeof(*out));
	for (uint8_t k = 0; k < HUB_WORDS; k++) {
		if ((door = door_by_id(k)) != NULL) {
			strlcpy(out->door[k], door->name, HUB_WORD);
			out->lobby |= (uint32_t)door->lobby << k;
		}
		if (framing_of(k) != NULL)
			strlcpy(out->framing[k], framing_of(k)->name, HUB_WORD);
		if (transport_of(k) != NULL)
			strlcpy(
			    out->transport[k], transport_of(k)->name, HUB_WORD);
	}
}

void
report_words_put(struct hub *h)
{
	struct hub_words words;

	report_words(&words);
	hub_words_put(h, &words);
}
