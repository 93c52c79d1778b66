/*
 * words: what doors, framings and transports are called, by their numbers, and
 * which doors are in the lobby. In shared memory for a program that looks at it
 * from outside and has none of them linked in (show/memory.h). Layer 2. chatd
 * itself asks its own tables.
 */
#ifndef CHATD_HUB_WORDS_H
#define CHATD_HUB_WORDS_H

#include <stdint.h>

enum {
	HUB_WORDS = 8, /* numbers of a kind; their tables are not larger */
	HUB_WORD = 16  /* bytes of a name, with a NUL; a longer one is cut */
};

struct hub;

struct hub_words {
	char door[HUB_WORDS][HUB_WORD];
	char framing[HUB_WORDS][HUB_WORD];
	char transport[HUB_WORDS][HUB_WORD];
	uint32_t lobby; /* bit per door: its connections are in the lobby */
	uint32_t spare;
};

/* Writes them, by the master: at the start and after an upgrade. */
void hub_words_put(struct hub *h, const struct hub_words *words);

/* Reads them: names have small letters, digits, '_' and '-' and end with a NUL,
 * whatever was written there. */
void hub_words_get(const struct hub *h, struct hub_words *out);

/* The name of a number; "?" if it has none. */
const char *hub_word(const char names[HUB_WORDS][HUB_WORD], uint32_t number);

#endif
