/*
 * chain: bytes in a list of pages of the input pool, known to one process
 * alone: no slot names them, so a takeover frees them. Layer 2.
 *
 * A chain is known by the link (shm.h) of its first page and its length, which
 * its owner keeps. The links between the pages lie in shared memory: they are
 * checked before use.
 */
#ifndef CHATD_HUB_CHAIN_H
#define CHATD_HUB_CHAIN_H

#include "base/other.h"
#include "hub/input.h"

enum {
	CHAIN_PAGE = INPUT_PAGE - OTHER_EITHER(8, 24)
}; /* bytes of a chain in one page */

/* Pages of a chain of so many bytes. */
static inline uint32_t
chain_pages(size_t len)
{
	return (uint32_t)((len + CHAIN_PAGE - 1) / CHAIN_PAGE);
}

enum { CHAIN_CORRUPTED = -2 };

/* Appends `more` bytes to a chain of len bytes. Returns 0, -1 (nothing is
 * changed): the pool is full, or CHAIN_CORRUPTED: its links are, and the chain
 * is of no more use. */
int chain_append(struct input_pool *pool, uint32_t *first, size_t len,
    const void *bytes, size_t more);

/* Copies out the len bytes of a chain. Returns 0, or -1: its links are
 * corrupted. */
int chain_read(const struct hub *h, uint32_t first, size_t len, void *out);

/* Gives its pages back. */
void chain_free(struct input_pool *pool, uint32_t first, size_t len);

#endif
