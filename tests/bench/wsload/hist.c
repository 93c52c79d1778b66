#include "hist.h"

/* The middle of a bucket. */
static uint64_t
bucket_value(unsigned i)
{
	unsigned group = i / HIST_SUB, sub = i % HIST_SUB;
	if (group == 0)
		return sub;
	unsigned shift = group - 1;
	return ((uint64_t)(HIST_SUB + sub) << shift) + ((1ull << shift) >> 1);
}

uint64_t
hist_quantile(const struct hist *h, double q)
{
	if (h->n == 0)
		return 0;
	uint64_t want = (uint64_t)(q * (double)h->n + 0.5), seen = 0;
	if (want < 1)
		want = 1;
	for (unsigned i = 0; i < HIST_GROUPS * HIST_SUB; i++) {
		seen += h->bucket[i];
		if (seen >= want) {
			uint64_t v = bucket_value(i);
			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}
