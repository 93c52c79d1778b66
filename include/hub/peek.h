/*
 * peek: shared memory as a program sees it that none of the daemon's processes
 * has told anything: how large everything is is taken from the memory itself,
 * and believed only if it is what this program would make of it. Layer 2.
 */
#ifndef CHATD_HUB_PEEK_H
#define CHATD_HUB_PEEK_H

#include "hub/shm.h"

enum { HUB_PEEK_MIN = 4096 /* bytes that hub_peek_size() looks at */ };

/* The bytes of the whole memory that begins with these HUB_PEEK_MIN bytes; 0:
 * they are not the beginning of chatd's. */
uint64_t hub_peek_size(const void *base);

/*
 * Sees `size` bytes, which the caller has mapped, as a hub: only functions that
 * do not write may be called with it, none that takes the lock, and not
 * hub_destroy(). Returns 0, or -1 with a sentence: it is not chatd's, of
 * another layout, cut off, or corrupted.
 */
int
hub_peek(struct hub *h, void *base, size_t size, char *error, size_t error_len);

#endif
