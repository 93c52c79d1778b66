/*
 * dialect: a door in a framing: what a publication is rendered for, once in
 * each worker. Dialects are numbered from 0 without gaps, so that a delivery
 * has a frame for each. Layer 3.
 */
#ifndef CHATD_CONN_DIALECT_H
#define CHATD_CONN_DIALECT_H

#include "codec/framing.h"

enum { DIALECTS_MAX = 8, DIALECT_NONE = 0xff };

struct dialect {
	uint8_t door;	 /* its id */
	uint8_t framing; /* its number */
	const struct framing *codec;
};

struct dialects {
	struct dialect at[DIALECTS_MAX];
	uint8_t n;
};

/* Adds the pair of a door and the framing of that name, or of each one that
 * begins with an HTTP request (NULL). False: there is no such framing, its
 * state has more than FRAMING_STATE_MAX bytes, or there are too many pairs. */
bool dialect_add(struct dialects *d, uint8_t door, const char *framing);

/* The number of a pair, of which both may come from shared memory;
 * DIALECT_NONE: there is no such pair. */
uint8_t dialect_find(const struct dialects *d, uint8_t door, uint8_t framing);

#endif
