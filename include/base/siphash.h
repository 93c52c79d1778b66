/* siphash: SipHash-1-3 (Aumasson, Bernstein), a keyed hash against flooding.
 * Layer 0, pure. */
#ifndef CHATD_BASE_SIPHASH_H
#define CHATD_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len);

#endif
