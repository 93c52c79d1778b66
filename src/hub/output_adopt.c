/* Outputs at a takeover: everything private is derived again from the slots'
 * records and the kernel's count. */
#include <string.h>

#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

/* Whether a reference points at bytes of this worker's arena. */
static bool
reference_ok(const struct hub *h, const struct reference *r)
{
	uint32_t offset = SHM_LOAD(r->offset), s = offset / OUTPUT_SEGMENT;

	return s < h->n_segments &&
	    SHM_LOAD(h->segment_owner[s]) == h->self + 1 && r->length > 0 &&
	    r->length <= OUTPUT_SEGMENT - offset % OUTPUT_SEGMENT;
}

/* The chunk that follows in a list, marked; SHM_NONE if there cannot be one
 * that begins with reference n. */
static uint32_t
next_chunk(struct output_pool *pool, uint32_t chunk, uint64_t n)
{
	uint32_t next = SHM_LOAD(pool->h->chunk[chunk].next);

	if (!claim_mark(&pool->chunks, next) ||
	    pool->h->chunk[next].base != (uint32_t)n)
		return SHM_NONE;
	return next;
}

/* Walks the list; -1 when it says nonsense. */
static int
walk(struct output_pool *pool, struct output *o, uint64_t appended)
{
	struct hub *h = pool->h;
	uint32_t k = o->chunk, at;
	struct reference *r;
	uint64_t n;

	for (n = o->front; n < appended; n++) {
		at = (uint32_t)n - h->chunk[k].base;
		if (at == OUTPUT_REFS) {
			k = next_chunk(pool, k, n);
			if (k == SHM_NONE || h->chunk[k].start != o->end)
				return -1;
			at = 0;
		}
		r = &h->chunk[k].ref[at];
		if (!reference_ok(h, r))
			return -1;
		o->end += r->length;
		pool->segment_use[SHM_LOAD(r->offset) / OUTPUT_SEGMENT]++;
	}
	o->newest = k;
	return 0;
}

/* Takes back what walk() counted. */
static void
unwalk(struct output_pool *pool, struct output *o)
{
	struct hub *h = pool->h;
	uint32_t k = o->chunk, at;
	uint64_t n, end = o->start;

	for (n = o->front; end < o->end; n++) {
		at = (uint32_t)n - h->chunk[k].base;
		if (at == OUTPUT_REFS) {
			k = SHM_LOAD(h->chunk[k].next);
			at = 0;
		}
		end += h->chunk[k].ref[at].length;
		pool->segment_use[SHM_LOAD(h->chunk[k].ref[at].offset) /
		    OUTPUT_SEGMENT]--;
	}
}

int
output_adopt(
    struct output_pool *pool, struct output *o, uint32_t slot, uint64_t written)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	uint64_t appended = SHM_LOAD(s->appended), tag;
	uint32_t first = SHM_LOAD(s->first);

	memset(o, 0, sizeof(*o));
	o->chunk = o->newest = first;
	if (!claim_mark(&pool->chunks, first))
		return -1;
	/* the first reference's number from its low half */
	o->front =
	    appended - (uint32_t)((uint32_t)appended - h->chunk[first].base);
	o->start = o->end = o->written = h->chunk[first].start;
	if (walk(pool, o, appended) < 0 || written < o->start ||
	    written > o->end) {
		unwalk(pool, o);
		return -1;
	}
	tag = output_newest_tag(pool, o, slot);
	if (tag != 0)
		output_derive(s, tag);
	output_wrote(pool, o, slot, written - o->start);
	return 0;
}

void
output_adopted(struct output_pool *pool)
{
	struct hub *h = pool->h;
	uint32_t s;

	claim_marked(&pool->chunks);
	for (s = 0; s < h->n_segments; s++)
		if (SHM_LOAD(h->segment_owner[s]) == h->self + 1 &&
		    pool->segment_use[s] == 0)
			SHM_STORE(h->segment_owner[s], 0);
}

uint64_t
output_newest_tag(
    const struct output_pool *pool, const struct output *o, uint32_t slot)
{
	const struct hub *h = pool->h;
	uint64_t n = SHM_LOAD(h->slot[slot].appended);
	uint32_t at = (uint32_t)n - 1 - h->chunk[o->newest].base;

	return n > 0 && at < OUTPUT_REFS ? h->chunk[o->newest].ref[at].tag : 0;
}
