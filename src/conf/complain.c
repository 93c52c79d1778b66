/* complain: what is wrong with a file, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "base/nearest.h"
#include "parse.h"

/* Formats a complaint into the one static buffer. */
const char *
conf_complain(const char *fmt, ...)
{
	static char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* The key that is nearest to a word; NULL: none is near. */
const char *
conf_nearest(const char *word)
{
	struct nearest n = {.word = word};

	nearest_offer(&n, "include");
	for (const struct conf_key *key = conf_keys; key->name != NULL; key++)
		nearest_offer(&n, key->name);
	return n.best;
}

/* Complains about a word that is no key. */
const char *
conf_unknown(const char *word)
{
	const char *best = conf_nearest(word);

	if (best == NULL)
		return conf_complain("unknown key %.64s", word);
	return conf_complain("unknown key %.64s; did you mean %s?", word, best);
}
