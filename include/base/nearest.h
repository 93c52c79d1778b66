/* nearest: the known word that is nearest to a misspelt one. Layer 0, pure. */
#ifndef CHATD_BASE_NEAREST_H
#define CHATD_BASE_NEAREST_H

/* A search: fill in word, offer each known word, read best. */
struct nearest {
	const char *word;  /* as written */
	const char *best;  /* the nearest so far; NULL: none is near */
	unsigned distance; /* of best */
};

/*
 * How many letters have to be put in, left out, replaced or swapped with their
 * neighbour to make one word of the other. More than NEAREST_FAR, or words
 * that are longer than all keys and commands: NEAREST_FAR + 1.
 */
enum { NEAREST_FAR = 2, NEAREST_WORD_MAX = 40 };
unsigned nearest_distance(const char *a, const char *b);

/* Offers a known word. Words that share less than half of their letters with
 * the one that was written are not near. */
void nearest_offer(struct nearest *n, const char *known);

#endif
