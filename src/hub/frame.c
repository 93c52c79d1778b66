/* frame: frames in the arena. A bump allocator over segments, each with a count
 * of the references into it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sparse.h"
#include "hub/output.h"
#include "segment.h"

/* Segments that are not set apart for one worker. */
static uint32_t
frame_common(const struct hub *h)
{
	return h->n_segments > SHM_WORKERS * OUTPUT_APART
	    ? h->n_segments - SHM_WORKERS * OUTPUT_APART
	    : h->n_segments;
}

uint64_t
frame_max(const struct hub *h)
{
	uint64_t half = (uint64_t)frame_common(h) * OUTPUT_SEGMENT / 2;

	return half + OUTPUT_AROUND < OUTPUT_FRAME_MAX ? half + OUTPUT_AROUND
						       : OUTPUT_FRAME_MAX;
}

int
output_pool_init(struct output_pool *pool, struct hub *h)
{
	memset(pool, 0, sizeof(*pool));
	pool->h = h;
	pool->end[0].segment = pool->end[1].segment = SHM_NONE;
	pool->reserve = SHM_NONE;
	pool->segment_use = sparse_new(h->n_segments, sizeof(uint32_t));
	share_init(&pool->segments, h->segment_owner, h->n_segments, h->self);
	share_limit(
	    &pool->segments, OUTPUT_APART, frame_common(h) / OUTPUT_LOW_PART);
	if (pool->segment_use == NULL ||
	    claim_init(&pool->chunks, h->chunk_owner, h->n_chunks, h->self) <
		0) {
		output_pool_deinit(pool);
		errno = ENOMEM;
		return -1;
	}
	/* the common chunks suffice for one of each connection */
	share_limit(&pool->chunks.blocks, OUTPUT_CHUNKS_APART,
	    h->n_chunks > h->n_slots
		? (h->n_chunks - h->n_slots) / SHM_BLOCK / OUTPUT_LOW_PART
		: 0);
	return 0;
}

void
output_divide(struct output_pool *pool, uint32_t workers)
{
	share_divide(&pool->segments, workers);
	share_divide(&pool->chunks.blocks, workers);
}

bool
output_is_greedy(const struct output_pool *pool)
{
	return share_is_greedy(&pool->segments) ||
	    share_is_greedy(&pool->chunks.blocks);
}

void
output_pool_deinit(struct output_pool *pool)
{
	if (pool->copies != NULL)
		output_copies_end(pool);
	if (pool->h != NULL)
		sparse_free(
		    pool->segment_use, pool->h->n_segments, sizeof(uint32_t));
	claim_deinit(&pool->chunks);
	memset(pool, 0, sizeof(*pool));
}

/* Keeps a segment without references, or gives it back to all. */
static void
segment_give(struct output_pool *pool, uint32_t segment)
{
	if (pool->reserve == SHM_NONE && pool->n_owned > RESERVE_FROM) {
		pool->reserve = segment;
	} else if (pool->n_spare < SPARE_MAX) {
		pool->spare[pool->n_spare++] = segment;
	} else {
		pool->n_owned--;
		share_give(&pool->segments, segment);
	}
}

/* Whether a segment has no references here. */
static bool
segment_idle(const void *arg, uint32_t segment)
{
	const struct output_pool *pool = arg;

	return pool->segment_use[segment] == 0;
}

/* Claims a segment that no worker owns. */
static uint32_t
segment_claim(struct output_pool *pool)
{
	uint32_t s = share_take(&pool->segments, segment_idle, pool);

	if (s != SHM_NONE)
		pool->n_owned++;
	return s;
}

/* A segment of this worker without references, claimed if need be. */
static uint32_t
segment_take(struct output_pool *pool)
{
	uint32_t s;

	if (pool->n_spare > 0)
		return pool->spare[--pool->n_spare];
	if (pool->reserve == SHM_NONE && pool->n_owned >= RESERVE_FROM &&
	    !pool->compacting)
		pool->reserve = segment_claim(pool);
	s = segment_claim(pool);
	if (s == SHM_NONE && pool->compacting) {
		s = pool->reserve;
		pool->reserve = SHM_NONE;
	}
	return s;
}

/* Room for the next piece of at most len bytes at an end: *len is cut to what
 * fits. A frame that would not fit goes to a new segment whole, if it fits
 * there. Returns the offset, or SHM_NONE if the arena is full. */
static uint32_t
arena_take(
    struct output_pool *pool, enum frame_end end, uint32_t *len, bool whole)
{
	uint32_t s = pool->end[end].segment, used = pool->end[end].used, at;

	if (s == SHM_NONE || used == OUTPUT_SEGMENT ||
	    (whole && used + *len > OUTPUT_SEGMENT)) {
		/* the old segment is freed with its last reference, or at
		 * once */
		at = segment_take(pool);
		if (at == SHM_NONE)
			return SHM_NONE;
		if (s != SHM_NONE && pool->segment_use[s] == 0)
			segment_give(pool, s);
		s = pool->end[end].segment = at;
		used = 0;
	}
	if (used + *len > OUTPUT_SEGMENT)
		*len = OUTPUT_SEGMENT - used;
	pool->end[end].used = used + *len;
	return s * OUTPUT_SEGMENT + used;
}

/* Copies n bytes from the parts at position *part, *skip on. */
static void
parts_copy(
    uint8_t *to, const struct iovec *parts, int *part, size_t *skip, size_t n)
{
	size_t k;

	while (n > 0) {
		k = parts[*part].iov_len - *skip;
		if (k > n)
			k = n;
		if (k > 0)
			memcpy(to, (uint8_t *)parts[*part].iov_base + *skip, k);
		to += k;
		n -= k;
		*skip += k;
		if (*skip == parts[*part].iov_len) {
			++*part;
			*skip = 0;
		}
	}
}

int
frame_build(struct output_pool *pool, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n)
{
	uint32_t at, len;
	size_t left = 0, skip = 0;
	int i, part = 0;

	for (i = 0; i < n; i++)
		left += parts[i].iov_len;
	f->n = 0;
	f->bytes = (uint32_t)left;
	if (left > OUTPUT_SEGMENT && left > frame_max(pool->h))
		return FRAME_TOO_BIG;
	while (left > 0) {
		len = left < OUTPUT_SEGMENT ? (uint32_t)left : OUTPUT_SEGMENT;
		at = arena_take(
		    pool, end, &len, left <= OUTPUT_SEGMENT / 4 || pool->whole);
		if (at == SHM_NONE) {
			frame_release(pool, f);
			return -1;
		}
		parts_copy(pool->h->arena + at, parts, &part, &skip, len);
		f->piece[f->n].offset = at;
		f->piece[f->n++].length = len;
		pool->segment_use[at / OUTPUT_SEGMENT]++;
		left -= len;
	}
	return 0;
}

void
frame_unuse(struct output_pool *pool, uint32_t segment)
{
	int i;

	if (segment >= pool->h->n_segments || pool->segment_use[segment] == 0 ||
	    --pool->segment_use[segment] > 0)
		return;
	for (i = 0; i < 2; i++)
		if (pool->end[i].segment == segment) {
			pool->end[i].used = 0;
			return;
		}
	segment_give(pool, segment);
}

void
frame_release(struct output_pool *pool, struct frame *f)
{
	uint32_t i;

	for (i = 0; i < f->n; i++)
		frame_unuse(pool, f->piece[i].offset / OUTPUT_SEGMENT);
	f->n = 0;
}
