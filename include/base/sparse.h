/*
 * sparse: private memory for large tables, of which pages that are not touched
 * cost nothing. Layer 0.
 */
#ifndef CHATD_BASE_SPARSE_H
#define CHATD_BASE_SPARSE_H

#include <stddef.h>

/* Room for n items of that size, all zero. NULL and errno: no address space,
 * or more than size_t holds. */
void *sparse_new(size_t n, size_t size);

/* Gives it back; NULL is fine. n and size as they were. */
void sparse_free(void *table, size_t n, size_t size);

#endif
