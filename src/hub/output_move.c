/* output_move: outputs that move. Output of another worker's connection that is
 * not written yet is copied into this worker's memory. */
#include <stdlib.h>
#include <string.h>

#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

/* References noted in a batch, a power of two. Larger: 12 bytes each, for a
 * moment; smaller: the backlogs of more channels are copied for each reader. */
enum { COPIES_MAX = 16384 };

/* A list of another worker that is being read. */
struct reader {
	const struct hub *h;
	uint32_t chunk;
	uint64_t number, appended;
	uint64_t end; /* stream position behind what was read */
};

/* The next reference, copied; false at the end, with *bad if it is
 * corrupted. */
static bool
read_next(struct reader *r, struct reference *out, bool *bad)
{
	const struct chunk *k = &r->h->chunk[r->chunk];
	uint32_t at = (uint32_t)r->number - SHM_ONCE(k->base), offset;

	if (r->number == r->appended)
		return false;
	if (at == OUTPUT_REFS) {
		r->chunk = SHM_LOAD(k->next);
		*bad = r->chunk >= r->h->n_chunks;
		if (*bad)
			return false;
		k = &r->h->chunk[r->chunk];
		at = (uint32_t)r->number - SHM_ONCE(k->base);
	}
	*bad = at >= OUTPUT_REFS;
	if (*bad)
		return false;
	memcpy(out, &k->ref[at], sizeof(*out));
	offset = SHM_OWN(out->offset);
	*bad = out->length == 0 ||
	    offset / OUTPUT_SEGMENT >= r->h->n_segments ||
	    out->length > OUTPUT_SEGMENT - offset % OUTPUT_SEGMENT;
	r->end += out->length;
	r->number++;
	return !*bad;
}

/* Begins to read a slot's list that has a chunk. False if its beginning is
 * corrupted. */
static bool
read_begin(struct reader *r, const struct hub *h, uint32_t slot)
{
	const struct slot *s = &h->slot[slot];

	*r = (struct reader){.h = h,
	    .chunk = shm_index(SHM_LOAD(s->chunk)),
	    .appended = SHM_LOAD(s->appended)};
	if (r->chunk >= h->n_chunks)
		return false;
	r->number = r->appended -
	    (uint32_t)((uint32_t)r->appended -
		SHM_ONCE(h->chunk[r->chunk].base));
	r->end = SHM_ONCE(h->chunk[r->chunk].start);
	return r->number <= r->appended;
}

/* Adds a reference to the new list, which no slot names yet. */
static bool
add(struct output_pool *pool, struct output *o, uint64_t number,
    const struct frame_piece *piece, uint64_t tag)
{
	struct chunk *chunk = pool->h->chunk;
	uint32_t at = (uint32_t)number - chunk[o->newest].base, k;

	if (at == OUTPUT_REFS) {
		k = output_chunk(pool, number, o->end);
		if (k == SHM_NONE)
			return false;
		SHM_STORE(chunk[o->newest].next, k);
		o->newest = k;
		at = 0;
	}
	chunk[o->newest].ref[at].offset = piece->offset;
	chunk[o->newest].ref[at].length = piece->length;
	chunk[o->newest].ref[at].tag = tag;
	pool->segment_use[piece->offset / OUTPUT_SEGMENT]++;
	o->end += piece->length;
	o->pending += piece->length;
	return true;
}

/*
 * Bytes that were copied in a batch, by their place: many slow readers of one
 * channel have references to the same bytes, which are copied once. Such bytes
 * do not change while a batch lasts: their former worker still counts each
 * connection's references, or is dead.
 */
struct output_copies {
	uint32_t n;
	struct made {
		uint32_t offset, length; /* of the source; 0 bytes: unused */
		uint32_t to;		 /* where its copy is */
	} made[COPIES_MAX];
};

void
output_copies_begin(struct output_pool *pool)
{
	/* if there is no memory for the table each connection's bytes are
	 * copied */
	if (pool->copies == NULL)
		pool->copies = calloc(1, sizeof(*pool->copies));
}

void
output_copies_end(struct output_pool *pool)
{
	struct output_copies *c = pool->copies;
	uint32_t k;

	pool->copies = NULL;
	for (k = 0; c != NULL && k < COPIES_MAX; k++)
		if (c->made[k].length > 0)
			frame_unuse(pool, c->made[k].to / OUTPUT_SEGMENT);
	free(c);
}

/* Where a source is noted, or can be; NULL: not at all. */
static struct made *
made_at(struct output_copies *c, uint32_t offset, uint32_t length)
{
	uint32_t k = offset * 0x9e3779b1u ^ length * 0x85ebca6bu;
	struct made *m;

	if (c == NULL)
		return NULL;
	for (k ^= k >> 16;; k++) {
		m = &c->made[k % COPIES_MAX];
		if (m->length == 0)
			return c->n < COPIES_MAX / 4 * 3 ? m : NULL;
		if (m->offset == offset && m->length == length)
			return m;
	}
}

/* Notes a copy, holding its segment. */
static void
made_note(struct output_pool *pool, struct made *m, uint32_t offset,
    const struct frame_piece *copy)
{
	*m = (struct made){offset, copy->length, copy->offset};
	pool->segment_use[copy->offset / OUTPUT_SEGMENT]++;
	pool->copies->n++;
}

/* Copies a reference's bytes from `skip` on, or shares a copy of them. They
 * become one reference, as there is only one number for them. */
static bool
copy(struct output_pool *pool, struct output *o, const struct reference *r,
    uint32_t skip, uint64_t number)
{
	uint32_t offset = SHM_OWN(r->offset) + skip, length = r->length - skip;
	struct made *m = made_at(pool->copies, offset, length);
	struct iovec bytes = {pool->h->arena + offset, length};
	struct frame f;
	bool ok;

	if (m != NULL && m->length != 0)
		return add(pool, o, number,
		    &(struct frame_piece){m->to, m->length}, r->tag);
	pool->whole = true;
	ok = frame_build(pool, &f, FRAME_OWN, &bytes, 1) == 0;
	pool->whole = false;
	if (!ok)
		return false;
	ok = add(pool, o, number, &f.piece[0], r->tag);
	if (ok && m != NULL)
		made_note(pool, m, offset, &f.piece[0]);
	frame_release(pool, &f);
	return ok;
}

/* The references so far were numbered from `appended` on; they shall end
 * there. */
static void
renumber(struct output_pool *pool, struct output *o, uint64_t n)
{
	uint32_t k = o->chunk, left = pool->chunks.n_used;

	for (; k < pool->h->n_chunks && left > 0; left--) {
		pool->h->chunk[k].base -= (uint32_t)n;
		if (k == o->newest)
			return;
		k = SHM_OWN(pool->h->chunk[k].next);
	}
}

void
output_uncopy(struct output_pool *pool, struct output *o)
{
	struct hub *h = pool->h;
	uint32_t f, k = o->chunk, at, next;
	uint64_t left = (uint64_t)o->skip + o->pending, length;

	/* a chunk that is not taken ends the walk: chunks are given back as
	 * they are passed, so the walk cannot run in a circle */
	for (f = o->front; left > 0 && claim_has(&pool->chunks, k);) {
		at = f - SHM_ONCE(h->chunk[k].base);
		if (at >= OUTPUT_REFS) {
			next = SHM_OWN(h->chunk[k].next);
			claim_give(&pool->chunks, k);
			k = next;
			continue;
		}
		length = SHM_ONCE(h->chunk[k].ref[at].length);
		left -= length < left ? length : left;
		frame_unuse(
		    pool, SHM_OWN(h->chunk[k].ref[at].offset) / OUTPUT_SEGMENT);
		f++;
	}
	/* chunks behind were reserved and never used */
	for (; claim_has(&pool->chunks, k); k = next) {
		next = k == o->newest ? SHM_NONE : SHM_OWN(h->chunk[k].next);
		claim_give(&pool->chunks, k);
	}
	o->chunk = o->newest = SHM_NONE;
}

/* Whether a list is sound up to its end, which is not before `written` (unless
 * that is OUTPUT_ALL), nor too far behind it. */
static bool
list_ok(struct reader r, uint64_t written, uint64_t *end)
{
	struct reference ref;
	bool bad = false;

	while (read_next(&r, &ref, &bad))
		;
	*end = r.end;
	return !bad &&
	    (written == OUTPUT_ALL ||
		(written <= r.end && r.end - written <= UINT32_MAX));
}

/* If nothing is left to write of a list that still has its newest reference, so
 * has the copy: `last` and `answered` may have to follow from it. */
static void
newest_keep(struct output_pool *pool, const struct output *o,
    const struct reference *newest)
{
	struct chunk *k = &pool->h->chunk[o->chunk];

	k->base--;
	k->start = o->end - newest->length;
	k->ref[0].offset = SHM_OWN(newest->offset);
	k->ref[0].length = newest->length;
	k->ref[0].tag = newest->tag;
}

int
output_copy(
    struct output_pool *pool, struct output *o, uint32_t slot, uint64_t written)
{
	struct hub *h = pool->h;
	struct reference ref = {0};
	struct reader r;
	uint64_t n = 0, first, end;
	bool bad = false, ok = true;

	if (SHM_LOAD(h->slot[slot].chunk) == 0) {
		output_begin_at(o, SHM_LOAD(h->slot[slot].appended), written);
		return 0;
	}
	if (!read_begin(&r, h, slot) || written < r.end)
		return OUTPUT_CORRUPTED;
	if (!list_ok(r, written, &end))
		return OUTPUT_CORRUPTED;
	if (written == OUTPUT_ALL)
		written = end;
	/* numbered anew below, to end there */
	first = r.appended;
	output_begin_at(o, first, written);
	o->chunk = o->newest = output_chunk(pool, first, written);
	if (o->chunk == SHM_NONE)
		return -1;
	while (ok && read_next(&r, &ref, &bad)) {
		if (r.end > written)
			ok = copy(pool, o, &ref,
			    written > r.end - ref.length
				? (uint32_t)(written - (r.end - ref.length))
				: 0,
			    first + n++);
	}
	if (!ok || bad) {
		output_uncopy(pool, o);
		return ok ? OUTPUT_CORRUPTED : -1;
	}
	if (n == 0 && ref.length != 0)
		newest_keep(pool, o, &ref);
	renumber(pool, o, n);
	o->front = (uint32_t)(r.appended - n);
	return 0;
}
