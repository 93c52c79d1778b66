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

/* A list as it is found. */
struct found {
	uint64_t written, appended;
	uint64_t start,
	    end;	/* stream positions: of reference `front`, of all */
	uint64_t front; /* number of the first not wholly written */
	uint32_t chunk, newest;
};

/*
 * Walks the list from its first chunk. References that are wholly written lead
 * to bytes that may be gone: they count for positions only. -1: the list is
 * corrupted.
 */
static int
walk(struct output_pool *pool, struct found *l)
{
	struct hub *h = pool->h;
	uint32_t k = l->chunk, at, length, s;
	struct reference *r;
	uint64_t n;

	for (n = l->front; n < l->appended; n++) {
		at = (uint32_t)n - h->chunk[k].base;
		if (at == OUTPUT_REFS) {
			k = next_chunk(pool, k, n);
			if (k == SHM_NONE || h->chunk[k].start != l->end)
				return -1;
			at = 0;
		}
		if (at > OUTPUT_REFS)
			return -1;
		r = &h->chunk[k].ref[at];
		length = SHM_ONCE(r->length);
		if (length == 0 || length > OUTPUT_SEGMENT)
			return -1;
		l->end += length;
		if (l->end <= l->written) {
			l->start = l->end;
			l->front = n + 1;
			l->chunk = k;
			continue;
		}
		if (!reference_ok(h, r, &s))
			return -1;
		pool->segment_use[s]++;
	}
	l->newest = k;
	return 0;
}

/* Gives up the references of a corrupted list. Its chunks stay marked until the
 * worker's end, as other lists may lead to them. */
static void
unwalk(struct output_pool *pool, const struct found *l)
{
	struct hub *h = pool->h;
	uint64_t n, end = l->start;
	uint64_t most = (uint64_t)h->n_chunks * OUTPUT_REFS;
	uint32_t k = l->chunk, at, s;

	for (n = l->front; end < l->end && n - l->front < most; n++) {
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
	*o = (struct output){.end = written == OUTPUT_ALL ? 0 : written,
	    .front = (uint32_t)appended,
	    .chunk = SHM_NONE,
	    .newest = SHM_NONE};
}

int
output_adopt(
    struct output_pool *pool, struct output *o, uint32_t slot, uint64_t written)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	struct found l = {
	    .written = written, .appended = SHM_LOAD(s->appended)};
	uint32_t first = shm_index(SHM_LOAD(s->chunk));
	bool bad;

	output_begin_at(o, l.appended, written);
	if (first == SHM_NONE)
		return 0;
	if (!claim_mark(&pool->chunks, first))
		return -1;
	l.chunk = l.newest = first;
	/* the first reference's number from its low half */
	l.front = l.appended -
	    (uint32_t)((uint32_t)l.appended - h->chunk[first].base);
	l.start = l.end = h->chunk[first].start;
	bad = l.front > l.appended || walk(pool, &l) < 0;
	if (written == OUTPUT_ALL)
		written = l.end;
	if (bad || written < l.start || written > l.end ||
	    l.end - l.start > UINT32_MAX) {
		unwalk(pool, &l);
		return -1;
	}
	o->end = l.end;
	o->pending = (uint32_t)(l.end - written);
	o->skip = (uint32_t)(written - l.start);
	o->front = (uint32_t)l.front;
	o->chunk = l.chunk;
	o->newest = l.newest;
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
