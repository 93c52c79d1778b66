#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

enum { REFS = 3 };

/* The references of a slot, from the newest of which its `last` and
 * `answered` follow. */
static void
derive(struct slot *s, uint64_t tag)
{
	if (tag & OUTPUT_ANSWER) {
		tag &= ~OUTPUT_ANSWER;
		if (SHM_OWN(s->answered) < tag)
			SHM_STORE(s->answered, tag);
	} else if (SHM_OWN(s->last) < tag)
		SHM_STORE(s->last, tag);
}

/* A chunk for references from number `base` on. */
static uint32_t
chunk_new(struct output_pool *pool, uint64_t base, uint64_t start)
{
	uint32_t k = claim_take(&pool->chunks);

	if (k == SHM_NONE)
		return SHM_NONE;
	pool->h->chunk[k].base = (uint32_t)base;
	pool->h->chunk[k].start = start;
	return k;
}

int
output_open(struct output_pool *pool, struct output *o, uint32_t slot)
{
	memset(o, 0, sizeof(*o));
	o->chunk = o->newest = chunk_new(pool, 0, 0);
	if (o->chunk == SHM_NONE)
		return -1;
	SHM_STORE(pool->h->slot[slot].first, o->chunk);
	return 0;
}

/* Chains as many chunks as n more references need. False, with what was
 * chained given back, if they do not suffice. */
static bool
reserve(struct output_pool *pool, struct output *o, uint64_t appended,
    uint32_t n)
{
	struct chunk *chunk = pool->h->chunk;
	uint32_t room, at = o->newest, k, next;

	room = REFS - ((uint32_t)appended - chunk[at].base);
	for (; room < n; room += REFS, at = k) {
		k = chunk_new(pool, appended + room, 0);
		if (k == SHM_NONE)
			break;
		SHM_STORE(chunk[at].next, k);
	}
	if (room >= n)
		return true;
	for (k = o->newest; k != at; k = next) {
		next = SHM_OWN(chunk[k].next);
		if (k != o->newest)
			claim_give(&pool->chunks, k);
	}
	if (at != o->newest)
		claim_give(&pool->chunks, at);
	return false;
}

int
output_append(struct output_pool *pool, struct output *o, uint32_t slot,
    const struct frame *f, uint64_t tag)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	struct chunk *k = &h->chunk[o->newest];
	uint64_t n = SHM_OWN(s->appended);
	uint32_t i, at;

	if ((uint32_t)n - k->base + f->n > REFS &&
	    !reserve(pool, o, n, f->n))
		return -1;
	for (i = 0; i < f->n; i++, n++) {
		at = (uint32_t)n - k->base;
		if (at == REFS) {
			o->newest = SHM_OWN(k->next);
			k = &h->chunk[o->newest];
			k->start = o->end;
			at = 0;
		}
		atomic_store_explicit(&k->ref[at].offset, f->piece[i].offset,
		    memory_order_relaxed);
		k->ref[at].length = f->piece[i].length;
		k->ref[at].tag = tag;
		pool->segment_use[f->piece[i].offset / OUTPUT_SEGMENT]++;
		o->end += f->piece[i].length;
	}
	SHM_STORE(s->appended, n);
	if (tag != 0)
		derive(s, tag);
	return 0;
}

int
output_gather(struct output_pool *pool, const struct output *o, uint32_t slot,
    struct iovec *iov, int max, size_t *asked)
{
	struct hub *h = pool->h;
	uint64_t f, n = SHM_OWN(h->slot[slot].appended);
	uint64_t skip = o->written - o->start;
	struct chunk *k = &h->chunk[o->chunk];
	struct reference *r;
	uint8_t *b;
	size_t len;
	int m = 0;

	*asked = 0;
	for (f = o->front; f < n; f++, skip = 0) {
		if ((uint32_t)f - k->base == REFS)
			k = &h->chunk[SHM_OWN(k->next)];
		r = &k->ref[(uint32_t)f - k->base];
		b = h->arena + SHM_OWN(r->offset) + skip;
		len = r->length - skip;
		if (m > 0 &&
		    (uint8_t *)iov[m - 1].iov_base + iov[m - 1].iov_len == b)
			iov[m - 1].iov_len += len;
		else if (m == max)
			break;
		else
			iov[m++] = (struct iovec){b, len};
		*asked += len;
	}
	return m;
}

/* Drops the references that are wholly written; the chunk of the newest one
 * stays. */
static void
pop(struct output_pool *pool, struct output *o, uint32_t slot)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	uint64_t n = SHM_OWN(s->appended);
	struct chunk *k = &h->chunk[o->chunk];
	struct reference *r;
	uint32_t old;

	while (o->front < n) {
		if ((uint32_t)o->front - k->base == REFS) {
			old = o->chunk;
			o->chunk = SHM_OWN(k->next);
			SHM_STORE(s->first, o->chunk);
			claim_give(&pool->chunks, old);
			k = &h->chunk[o->chunk];
			continue;
		}
		r = &k->ref[(uint32_t)o->front - k->base];
		if (o->start + r->length > o->written)
			break;
		o->start += r->length;
		o->front++;
		frame_unuse(pool, SHM_OWN(r->offset) / OUTPUT_SEGMENT);
	}
}

void
output_wrote(struct output_pool *pool, struct output *o, uint32_t slot,
    size_t n)
{
	o->written += n;
	pop(pool, o, slot);
}

void
output_close(struct output_pool *pool, struct output *o, uint32_t slot)
{
	o->written = o->end;
	pop(pool, o, slot);
	claim_give(&pool->chunks, o->chunk);
	o->chunk = o->newest = SHM_NONE;
}

void
output_clear(struct hub *h, int worker)
{
	uint32_t s;

	for (s = 0; s < h->n_segments; s++)
		if (SHM_LOAD(h->segment_owner[s]) == worker + 1)
			SHM_STORE(h->segment_owner[s], 0);
	claim_clear(h->chunk_owner, h->n_chunks, worker);
}

/* Moves the references of one connection out of segment `from`. */
static bool
compact_one(struct output_pool *pool, struct output *o, uint32_t slot,
    uint32_t from, uint32_t *moved)
{
	struct hub *h = pool->h;
	uint64_t f, n = SHM_OWN(h->slot[slot].appended);
	struct chunk *k = &h->chunk[o->chunk];
	struct reference *r;
	struct frame copy;
	uint32_t *to, offset;
	bool fresh;

	for (f = o->front; f < n; f++) {
		if ((uint32_t)f - k->base == REFS)
			k = &h->chunk[SHM_OWN(k->next)];
		r = &k->ref[(uint32_t)f - k->base];
		offset = SHM_OWN(r->offset);
		if (offset / OUTPUT_SEGMENT != from)
			continue;
		to = &moved[offset % OUTPUT_SEGMENT];
		fresh = false;
		if (*to == SHM_NONE) {
			if (frame_build(pool, &copy, FRAME_OWN,
				&(struct iovec){h->arena + offset, r->length},
				1) < 0)
				return false;
			if (copy.n != 1) {
				frame_release(pool, &copy);
				return false;
			}
			*to = copy.piece[0].offset;
			fresh = true;
		}
		pool->segment_use[*to / OUTPUT_SEGMENT]++;
		if (fresh)
			frame_release(pool, &copy);
		SHM_STORE(r->offset, *to);
		frame_unuse(pool, from);
	}
	return true;
}

bool
output_compact(struct output_pool *pool,
    bool (*next)(void *arg, struct output **o, uint32_t *slot), void *arg)
{
	struct hub *h = pool->h;
	uint32_t s, from = SHM_NONE, slot, *moved;
	struct output *o;
	bool ok = true;

	for (s = 0; s < h->n_segments; s++)
		if (pool->segment_use[s] > 0 && pool->end[0].segment != s &&
		    pool->end[1].segment != s &&
		    (from == SHM_NONE ||
			pool->segment_use[s] < pool->segment_use[from]))
			from = s;
	if (from == SHM_NONE)
		return false;
	moved = malloc(OUTPUT_SEGMENT * sizeof(*moved));
	if (moved == NULL)
		return false;
	memset(moved, 0xff, OUTPUT_SEGMENT * sizeof(*moved));
	while (ok && next(arg, &o, &slot))
		ok = compact_one(pool, o, slot, from, moved);
	free(moved);
	return ok && pool->segment_use[from] == 0;
}
