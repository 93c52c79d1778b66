/* output_adopt: outputs at a takeover. Everything private is derived again from
 * the slots' records and the kernel's count. */
#include <string.h>

#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

/* Whether a reference points at bytes of this worker's arena: in *segment. */
static bool
reference_ok(const struct hub *h, const struct reference *r, uint32_t *segment)
{
	uint32_t offset = SHM_LOAD(r->offset), length = SHM_ONCE(r->length);

	*segment = offset / OUTPUT_SEGMENT;
	return *segment < h->n_segments &&
	    SHM_LOAD(h->segment_owner[*segment]) == h->self + 1 && length > 0 &&
	    length <= OUTPUT_SEGMENT - offset % OUTPUT_SEGMENT;
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

/*
 * Walks the list from its first chunk. References that are wholly written lead
 * to bytes that may be gone: they count for positions only. -1: the list is
 * corrupted.
 */
static int
walk(struct output_pool *pool, struct output *o, uint64_t appended)
{
	struct hub *h = pool->h;
	uint32_t k = o->chunk, at, length, s;
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
		if (at > OUTPUT_REFS)
			return -1;
		r = &h->chunk[k].ref[at];
		length = SHM_ONCE(r->length);
		if (length == 0 || length > OUTPUT_SEGMENT)
			return -1;
		o->end += length;
		if (o->end <= o->written) {
			o->start = o->end;
			o->front = n + 1;
			o->chunk = k;
			continue;
		}
		if (!reference_ok(h, r, &s))
			return -1;
		pool->segment_use[s]++;
	}
	o->newest = k;
	return 0;
}

/* Gives up the references of a corrupted list. Its chunks stay marked until the
 * worker's end, as other lists may lead to them. */
static void
unwalk(struct output_pool *pool, struct output *o)
{
	struct hub *h = pool->h;
	uint64_t n, end = o->start;
	uint64_t most = (uint64_t)h->n_chunks * OUTPUT_REFS;
	uint32_t k = o->chunk, at, s;

	for (n = o->front; end < o->end && n - o->front < most; n++) {
		at = (uint32_t)n - h->chunk[k].base;
		if (at >= OUTPUT_REFS) {
			k = SHM_LOAD(h->chunk[k].next);
			if (k >= h->n_chunks)
				return;
			at = 0;
		}
		if (!reference_ok(h, &h->chunk[k].ref[at], &s))
			return;
		end += h->chunk[k].ref[at].length;
		if (pool->segment_use[s] > 0)
			pool->segment_use[s]--;
	}
}

/* Gives back the chunks before the one of the first reference to write. */
static void
lead_give(struct output_pool *pool, uint32_t first, uint32_t lead)
{
	uint32_t next;

	/* each once: a chunk that is not marked any more ends the walk */
	for (; first != lead && claim_has(&pool->chunks, first); first = next) {
		next = SHM_LOAD(pool->h->chunk[first].next);
		claim_unmark(&pool->chunks, first);
	}
}

void
output_begin_at(struct output *o, uint64_t appended, uint64_t written)
{
	/* to one whose peer is gone nothing more is written: its position is
	 * of no use */
	*o = (struct output){.front = appended,
	    .chunk = SHM_NONE,
	    .newest = SHM_NONE};
	o->written = o->start = o->end = written == OUTPUT_ALL ? 0 : written;
}

int
output_adopt(
    struct output_pool *pool, struct output *o, uint32_t slot, uint64_t written)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	uint64_t appended = SHM_LOAD(s->appended);
	uint32_t first = shm_index(SHM_LOAD(s->chunk));
	bool bad;

	memset(o, 0, sizeof(*o));
	o->chunk = o->newest = first;
	if (first == SHM_NONE) {
		output_begin_at(o, appended, written);
		return 0;
	}
	if (!claim_mark(&pool->chunks, first))
		return -1;
	/* the first reference's number from its low half */
	o->front =
	    appended - (uint32_t)((uint32_t)appended - h->chunk[first].base);
	o->start = o->end = h->chunk[first].start;
	o->written = written;
	bad = o->front > appended || walk(pool, o, appended) < 0;
	if (written == OUTPUT_ALL)
		o->written = written = o->end;
	if (bad || written < o->start || written > o->end) {
		unwalk(pool, o);
		return -1;
	}
	lead_give(pool, first, o->chunk);
	SHM_STORE(s->chunk, shm_link(o->chunk));
	output_redo(pool, o, slot);
	return 0;
}

void
output_redo(
    const struct output_pool *pool, const struct output *o, uint32_t slot)
{
	uint64_t tag = output_newest_tag(pool, o, slot);

	if (tag != 0)
		output_derive(&pool->h->slot[slot], tag);
}

void
output_adopted(struct output_pool *pool)
{
	struct hub *h = pool->h;
	uint32_t s;

	claim_marked(&pool->chunks);
	pool->n_owned = 0;
	for (s = 0; s < h->n_segments; s++) {
		if (SHM_LOAD(h->segment_owner[s]) != h->self + 1)
			continue;
		if (pool->segment_use[s] == 0)
			SHM_STORE(h->segment_owner[s], 0);
		else
			pool->n_owned++;
	}
	share_recount(&pool->segments);
}

uint64_t
output_newest_tag(
    const struct output_pool *pool, const struct output *o, uint32_t slot)
{
	const struct hub *h = pool->h;
	uint64_t n = SHM_LOAD(h->slot[slot].appended);
	uint32_t at;

	if (o->newest == SHM_NONE)
		return 0;
	at = (uint32_t)n - 1 - h->chunk[o->newest].base;
	return n > 0 && at < OUTPUT_REFS ? h->chunk[o->newest].ref[at].tag : 0;
}
