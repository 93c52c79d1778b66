/*
 * table: descriptors, named in shared memory by number of table << 32 | number
 * of descriptor. A family (process/family.h) shares one table of descriptors,
 * and no two families ever have the same number, so such a word says for
 * certain which open file it means. 0: none. Layer 2.
 *
 * Another process may have written a word: it is read once, and who uses the
 * descriptor takes any error for an answer.
 */
#ifndef CHATD_HUB_TABLE_H
#define CHATD_HUB_TABLE_H

#include "hub/shm.h"

enum {
	TABLE_FIRST = 5,    /* those below are the family's own */
	TABLE_END = 1 << 20 /* all are below (fs.nr_open's default) */
};

/* The word of a descriptor of this process. */
static inline uint64_t
table_word(const struct hub *h, int fd)
{
	return (uint64_t)h->table << 32 | (uint32_t)fd;
}

/* The descriptor that a word means here; -1: none, one of another table, or no
 * number that a socket can have. */
static inline int
table_fd(const struct hub *h, uint64_t word)
{
	return h->table != 0 && word >> 32 == h->table &&
		(uint32_t)word >= TABLE_FIRST && (uint32_t)word < TABLE_END
	    ? (int)(uint32_t)word
	    : -1;
}

#endif
