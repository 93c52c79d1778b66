#include "tables.h"

#include <stdio.h>

#include "codec/framing.h"
#include "door/registry.h"
#include "hub/convert.h"
#include "net/transport.h"

static char text[CONVERT_TABLES_MAX];
static size_t text_len;

/* Appends a line of two words, "enum door" or "door.NAME 3". */
static void
text_add(const char *group, const char *name, unsigned number)
{
	const size_t room = sizeof(text) - text_len;
	int n = name == NULL ? snprintf(text + text_len, room, "%s\n", group)
			     : snprintf(text + text_len, room, "%s.%s %u\n",
				   group, name, number);

	text_len += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

const char *
tables_print(void)
{
	text_len = 0;
	text_add("enum door", NULL, 0);
	for (size_t k = 0; door_registry[k] != NULL; k++)
		if (door_registry[k]->id != 0)
			text_add("door", door_registry[k]->name,
			    door_registry[k]->id);
	text_add("enum framing", NULL, 0);
	for (uint8_t k = 0; k < FRAMINGS_MAX; k++)
		if (framing_of(k) != NULL)
			text_add("framing", framing_of(k)->name, k);
	text_add("enum transport", NULL, 0);
	for (uint8_t k = 0; k < TRANSPORTS_MAX; k++)
		if (transport_of(k) != NULL)
			text_add("transport", transport_of(k)->name, k);
	return text;
}
