/* hist.h - latency histogram: log-linear buckets, relative error below 1 %. */
#ifndef WSLOAD_HIST_H
#define WSLOAD_HIST_H

#include <stdint.h>
#include <string.h>

enum { HIST_SUB_BITS = 7, HIST_SUB = 1 << HIST_SUB_BITS, HIST_GROUPS = 40 };

struct hist {
	uint64_t n, max, sum;
	uint32_t bucket[HIST_GROUPS * HIST_SUB];
};

static inline unsigned
hist_index(uint64_t v)
{
	if (v < HIST_SUB)
		return (unsigned)v;
	unsigned shift = 63u - (unsigned)__builtin_clzll(v) - HIST_SUB_BITS;
	unsigned group = shift + 1;
	if (group >= HIST_GROUPS)
		return HIST_GROUPS * HIST_SUB - 1;
	return group * HIST_SUB + (unsigned)(v >> shift) - HIST_SUB;
}

static inline void
hist_add(struct hist *h, uint64_t v)
{
	h->bucket[hist_index(v)]++;
	h->n++;
	h->sum += v;
	if (v > h->max)
		h->max = v;
}

static inline void
hist_reset(struct hist *h)
{
	memset(h, 0, sizeof *h);
}

/* The value below which the fraction q (0..1) of the entries lie. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
