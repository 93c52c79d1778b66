#include "hub/words.h"

#include <string.h>

#include "heads.h"

void
hub_words_put(struct hub *h, const struct hub_words *words)
{
	memcpy(&h->heads->words, words, sizeof(*words));
}

/* Ends each name, before the first character that no name has: it may go to a
 * terminal. */
static void
words_end(char names[HUB_WORDS][HUB_WORD])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	for (int i = 0; i < HUB_WORDS; i++) {
		names[i][HUB_WORD - 1] = '\0';
		names[i][strspn(names[i], good)] = '\0';
	}
}

void
hub_words_get(const struct hub *h, struct hub_words *out)
{
	memcpy(out, &h->heads->words, sizeof(*out));
	words_end(out->door);
	words_end(out->framing);
	words_end(out->transport);
}

const char *
hub_word(const char names[HUB_WORDS][HUB_WORD], uint32_t number)
{
	return number < HUB_WORDS && names[number][0] != '\0' ? names[number]
							      : "?";
}
