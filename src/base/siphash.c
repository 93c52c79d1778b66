/* siphash: SipHash-1-3, little-endian words as in the reference code. */
#include <endian.h>
#include <string.h>

#include "base/siphash.h"

/* Rotates left. */
static inline uint64_t
rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

/* One SipRound. */
static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* Reads a little-endian word at any address. */
static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return le64toh(word);
}

uint64_t
siphash(const uint8_t key[16], const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t last = (uint64_t)len << 56, word;
	uint64_t v[4] = {
	    k0 ^ UINT64_C(0x736f6d6570736575),
	    k1 ^ UINT64_C(0x646f72616e646f6d),
	    k0 ^ UINT64_C(0x6c7967656e657261),
	    k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t left, i;

	for (left = len; left >= 8; left -= 8, p += 8) {
		word = load64(p);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
