#include "wires.h"

#include <stdio.h>
#include <string.h>

#include "hub/wire.h"
#include "net/endpoint.h"
#include "net/transport.h"

enum {
	WORD_MAX = 64,
	/* all that can be there, each with what separates it */
	WIRES_MAX = WIRE_PLACES + TRANSPORTS_MAX * (WORD_MAX + 2)
};

static const char before[] = "; ", between[] = ", ";

/* What is said of a transport that keeps something. */
static void
wires_word(const struct transport *t, char out[WORD_MAX])
{
	snprintf(out, WORD_MAX, "%s %u", t->name, t->state_version);
}

const char *
wires_print(void)
{
	static char text[WIRES_MAX];
	char word[WORD_MAX];
	const char *separator = before;
	size_t len = strlcpy(text, wire_places(), sizeof(text));

	for (uint8_t k = 1; k < TRANSPORTS_MAX; k++) {
		if (transport_of(k) == NULL ||
		    transport_of(k)->state_bytes == 0)
			continue;
		wires_word(transport_of(k), word);
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s%s", separator, word);
		separator = between;
	}
	return text;
}

/* Whether a list has that word. */
static bool
wires_have(const char *list, const char *word)
{
	const size_t len = strlen(word);
	const size_t step = sizeof(between) - 1;
	const char *end;

	for (; list != NULL; list = end != NULL ? end + step : NULL) {
		end = strstr(list, between);
		if ((end != NULL ? (size_t)(end - list) : strlen(list)) ==
			len &&
		    memcmp(list, word, len) == 0)
			return true;
	}
	return false;
}

bool
wires_fit(const char *theirs, const struct endpoints *endpoints)
{
	const char *places = wire_places();
	const size_t len = strlen(places);
	const struct transport *t;
	char word[WORD_MAX];

	for (int i = 0; i < endpoints->n; i++) {
		t = transport_of(endpoints->at[i].transport);
		if (t == NULL || t->state_bytes == 0)
			continue;
		wires_word(t, word);
		if (theirs == NULL || strncmp(theirs, places, len) != 0 ||
		    strncmp(theirs + len, before, strlen(before)) != 0 ||
		    !wires_have(theirs + len + strlen(before), word))
			return false;
	}
	return true;
}
