/* nearest: the known word that is nearest to a misspelt one. */
#include "base/nearest.h"

#include <stddef.h>
#include <string.h>

/* The least of three. */
static unsigned
nearest_least(unsigned a, unsigned b, unsigned c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Optimal string alignment, by three rows of the table. */
unsigned
nearest_distance(const char *a, const char *b)
{
	unsigned row[3][NEAREST_WORD_MAX + 1];
	unsigned *before = row[0], *last = row[1], *now = row[2], *spare;
	size_t la = strlen(a), lb = strlen(b), i, k;

	if (la > NEAREST_WORD_MAX || lb > NEAREST_WORD_MAX)
		return NEAREST_FAR + 1;
	for (k = 0; k <= lb; k++)
		last[k] = (unsigned)k;
	for (i = 1; i <= la; i++) {
		now[0] = (unsigned)i;
		for (k = 1; k <= lb; k++) {
			now[k] = nearest_least(last[k] + 1, now[k - 1] + 1,
			    last[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] &&
			    a[i - 2] == b[k - 1] && before[k - 2] + 1 < now[k])
				now[k] = before[k - 2] + 1;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[lb] <= NEAREST_FAR ? last[lb] : NEAREST_FAR + 1;
}

void
nearest_offer(struct nearest *n, const char *known)
{
	unsigned distance = nearest_distance(n->word, known);

	if (distance > NEAREST_FAR || distance * 2 >= strlen(n->word) ||
	    (n->best != NULL && distance >= n->distance))
		return;
	n->best = known;
	n->distance = distance;
}
