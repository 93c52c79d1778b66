#include <errno.h>
#include <string.h>

#include "base/sparse.h"
#include "hub/output.h"
#include "hub/slot.h"
#include "segment.h"

struct reference *
output_reference(
    const struct hub *h, uint32_t *chunk, uint64_t f, struct frame_piece *piece)
{
	struct chunk *k;
	uint32_t at, next;

	/* a list of which all is written has none, whatever `appended` says */
	if (*chunk >= h->n_chunks)
		return NULL;
	k = &h->chunk[*chunk];
	at = (uint32_t)f - SHM_ONCE(k->base);
	if (at == OUTPUT_REFS) {
		next = SHM_OWN(k->next);
		if (next >= h->n_chunks)
			return NULL;
		*chunk = next;
		k = &h->chunk[next];
		at = (uint32_t)f - SHM_ONCE(k->base);
	}
	if (at >= OUTPUT_REFS)
		return NULL;
	piece->offset = SHM_OWN(k->ref[at].offset);
	piece->length = SHM_ONCE(k->ref[at].length);
	if (piece->offset / OUTPUT_SEGMENT >= h->n_segments ||
	    piece->length == 0 ||
	    piece->length > OUTPUT_SEGMENT - piece->offset % OUTPUT_SEGMENT)
		return NULL;
	return &k->ref[at];
}

/* A slot's `last` and `answered` follow from its newest reference. */
void
output_derive(struct slot *s, uint64_t tag)
{
	if (tag & OUTPUT_CLOSE)
		return;
	if (tag & OUTPUT_ANSWER) {
		tag &= ~OUTPUT_ANSWER;
		if (SHM_OWN(s->answered) < tag)
			SHM_STORE(s->answered, tag);
	} else if (SHM_OWN(s->last) < tag)
		SHM_STORE(s->last, tag);
}

uint32_t
output_chunk(struct output_pool *pool, uint64_t base, uint64_t start)
{
	uint32_t k = pool->n_spare_chunks > 0
	    ? pool->spare_chunk[--pool->n_spare_chunks]
	    : claim_take(&pool->chunks);

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
	o->chunk = o->newest = output_chunk(pool, 0, 0);
	if (o->chunk == SHM_NONE)
		return -1;
	SHM_STORE(pool->h->slot[slot].chunk, shm_link(o->chunk));
	return 0;
}

/* Gives a list without references a chunk. False: there is none. It says
 * nothing new: the store of `appended` commits what lies in it. */
static bool
list_begin(struct output_pool *pool, struct output *o, uint32_t slot)
{
	struct slot *s = &pool->h->slot[slot];

	o->chunk = o->newest = output_chunk(pool, SHM_OWN(s->appended), o->end);
	if (o->chunk == SHM_NONE)
		return false;
	SHM_STORE(s->chunk, shm_link(o->chunk));
	return true;
}

/* Gives the last chunk of a list without references back: of such a list the
 * kernel's count tells where it is, and what follows from its newest reference
 * has been derived. */
static void
list_end(struct output_pool *pool, struct output *o, uint32_t slot)
{
	SHM_STORE(pool->h->slot[slot].chunk, 0);
	if (pool->n_spare_chunks < OUTPUT_CHUNKS_SPARE &&
	    claim_has(&pool->chunks, o->chunk))
		pool->spare_chunk[pool->n_spare_chunks++] = o->chunk;
	else
		claim_give(&pool->chunks, o->chunk);
	o->chunk = o->newest = SHM_NONE;
}

void
output_trim(struct output_pool *pool)
{
	while (pool->n_spare_chunks > 0)
		claim_give(
		    &pool->chunks, pool->spare_chunk[--pool->n_spare_chunks]);
}

/* Chains as many chunks as n more references need, of which the newest chunk
 * has room for `have`. False, with what was chained given back, if they do not
 * suffice. */
static bool
reserve(struct output_pool *pool, struct output *o, uint64_t appended,
    uint32_t have, uint32_t n)
{
	struct chunk *chunk = pool->h->chunk;
	uint32_t room, at = o->newest, k, next, left = n;

	for (room = have; room < n; room += OUTPUT_REFS, at = k) {
		k = output_chunk(pool, appended + room, 0);
		if (k == SHM_NONE)
			break;
		SHM_STORE(chunk[at].next, k);
	}
	if (room >= n)
		return true;
	for (k = o->newest; k != at && k < pool->h->n_chunks && left-- > 0;
	     k = next) {
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
	struct chunk *k;
	uint64_t n = SHM_OWN(s->appended);
	uint32_t at, i, next;

	if (f->bytes > UINT32_MAX - o->pending)
		return -1;
	if (o->newest == SHM_NONE) {
		if (o->front != (uint32_t)n)
			return OUTPUT_CORRUPTED;
		if (!list_begin(pool, o, slot))
			return -1;
	}
	k = &h->chunk[o->newest];
	at = (uint32_t)n - SHM_ONCE(k->base);
	if (at > OUTPUT_REFS)
		return OUTPUT_CORRUPTED;
	if (at + f->n > OUTPUT_REFS &&
	    !reserve(pool, o, n, OUTPUT_REFS - at, f->n)) {
		if (o->front == (uint32_t)n)
			list_end(pool, o, slot);
		return -1;
	}
	for (i = 0; i < f->n; i++, n++, at++) {
		if (at == OUTPUT_REFS) {
			next = SHM_OWN(k->next);
			if (!claim_has(&pool->chunks, next))
				return OUTPUT_CORRUPTED;
			o->newest = next;
			k = &h->chunk[next];
			k->start = o->end;
			at = 0;
		}
		atomic_store_explicit(&k->ref[at].offset, f->piece[i].offset,
		    memory_order_relaxed);
		k->ref[at].length = f->piece[i].length;
		k->ref[at].tag = tag;
		pool->segment_use[f->piece[i].offset / OUTPUT_SEGMENT]++;
		o->end += f->piece[i].length;
		o->pending += f->piece[i].length;
	}
	SHM_STORE(s->appended, n);
	if (tag != 0)
		output_derive(s, tag);
	if (o->front == (uint32_t)n) /* a frame of no bytes */
		list_end(pool, o, slot);
	return 0;
}

int
output_gather(struct output_pool *pool, const struct output *o, uint32_t slot,
    struct iovec *iov, int max, size_t *asked)
{
	struct hub *h = pool->h;
	const uint32_t n = (uint32_t)SHM_OWN(h->slot[slot].appended);
	uint32_t f, skip = o->skip, chunk = o->chunk;
	struct frame_piece p;
	uint8_t *b;
	size_t len;
	int m = 0;

	*asked = 0;
	for (f = o->front; f != n; f++, skip = 0) {
		if (output_reference(h, &chunk, f, &p) == NULL ||
		    skip >= p.length)
			break;
		b = h->arena + p.offset + skip;
		len = p.length - skip;
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

size_t
output_read(struct output_pool *pool, const struct output *o, uint32_t slot,
    uint8_t *out, size_t cap)
{
	struct hub *h = pool->h;
	const uint32_t n = (uint32_t)SHM_OWN(h->slot[slot].appended);
	uint32_t f, skip = o->skip, chunk = o->chunk;
	struct frame_piece p;
	size_t len, at = 0;

	for (f = o->front; f != n && at < cap; f++, skip = 0) {
		if (output_reference(h, &chunk, f, &p) == NULL ||
		    skip >= p.length)
			break;
		len = p.length - skip;
		if (len > cap - at)
			len = cap - at;
		memcpy(out + at, h->arena + p.offset + skip, len);
		at += len;
	}
	return at;
}

/* Drops the references that are wholly written, and chunks before that of the
 * first one that is not. */
static __attribute__((noinline)) void
list_pop(struct output_pool *pool, struct output *o, uint32_t slot, uint32_t n)
{
	struct hub *h = pool->h;
	uint32_t chunk = o->chunk;
	struct frame_piece p;

	while (o->front != n) {
		if (output_reference(h, &chunk, o->front, &p) == NULL)
			return;
		if (chunk != o->chunk) {
			SHM_STORE(h->slot[slot].chunk, shm_link(chunk));
			claim_give(&pool->chunks, o->chunk);
			o->chunk = chunk;
		}
		if (o->skip < p.length)
			return;
		o->skip -= p.length;
		o->front++;
		frame_unuse(pool, p.offset / OUTPUT_SEGMENT);
	}
}

/* Drops what is wholly written; with the newest reference its chunk, too, but
 * for that of a close frame, of which the next worker has to know. */
static void
list_written(struct output_pool *pool, struct output *o, uint32_t slot)
{
	struct hub *h = pool->h;
	const uint32_t n = (uint32_t)SHM_OWN(h->slot[slot].appended);
	struct chunk *k;
	uint32_t at, left;

	if (o->pending != 0 || o->chunk != o->newest)
		list_pop(pool, o, slot, n);
	if (o->pending != 0 || o->chunk == SHM_NONE)
		return;
	/* most often all that there was lies in one chunk */
	k = &h->chunk[o->chunk];
	at = o->front - SHM_ONCE(k->base);
	left = n - o->front;
	if (o->chunk != o->newest || at > OUTPUT_REFS ||
	    left > OUTPUT_REFS - at || at + left == 0)
		return; /* corrupted, or it had no reference yet */
	for (; o->front != n; o->front++)
		frame_unuse(
		    pool, SHM_OWN(k->ref[at++].offset) / OUTPUT_SEGMENT);
	o->skip = 0;
	if (k->ref[at - 1].tag != OUTPUT_CLOSE)
		list_end(pool, o, slot);
}

void
output_wrote(
    struct output_pool *pool, struct output *o, uint32_t slot, size_t n)
{
	const uint32_t all = o->pending;

	o->pending -= n < all ? (uint32_t)n : all;
	o->skip += all - o->pending;
	list_written(pool, o, slot);
}

void
output_close(struct output_pool *pool, struct output *o, uint32_t slot)
{
	output_wrote(pool, o, slot, o->pending);
	if (o->chunk != SHM_NONE)
		list_end(pool, o, slot);
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

/* What is being compacted: the segments to empty and, by the place of each
 * piece in them, its copy: a link (shm.h). Of the table few pages are used; it
 * is mapped, since malloc() would keep and fill what it gave once. */
struct compaction {
	uint32_t n;
	uint32_t from[COMPACT_MAX];
	uint32_t (*copy)[OUTPUT_SEGMENT];
};

/* Where to note the copy of a piece; NULL if it stays. */
static uint32_t *
copy_of(const struct compaction *c, uint32_t offset)
{
	uint32_t i;

	for (i = 0; i < c->n; i++)
		if (c->from[i] == offset / OUTPUT_SEGMENT)
			return &c->copy[i][offset % OUTPUT_SEGMENT];
	return NULL;
}

/* Moves the references of one connection, as far as there is room. */
static void
compact_one(struct output_pool *pool, struct output *o, uint32_t slot,
    const struct compaction *c)
{
	struct hub *h = pool->h;
	const uint32_t n = (uint32_t)SHM_OWN(h->slot[slot].appended);
	uint32_t f, chunk = o->chunk, from, *to, offset;
	struct frame_piece p;
	struct reference *r;
	struct frame copy;

	for (f = o->front; f != n; f++) {
		r = output_reference(h, &chunk, f, &p);
		if (r == NULL)
			return;
		from = p.offset / OUTPUT_SEGMENT;
		to = copy_of(c, p.offset);
		/* a reference to a segment that counts as free is corrupted */
		if (to == NULL || pool->segment_use[from] == 0 ||
		    from == pool->end[FRAME_OWN].segment)
			continue;
		copy.n = 0;
		if (*to == 0) {
			if (frame_build(pool, &copy, FRAME_OWN,
				&(struct iovec){h->arena + p.offset, p.length},
				1) < 0)
				continue;
			*to = shm_link(copy.piece[0].offset);
		}
		offset = shm_index(*to);
		pool->segment_use[offset / OUTPUT_SEGMENT]++;
		frame_release(pool, &copy);
		SHM_STORE(r->offset, offset);
		frame_unuse(pool, from);
	}
}

/* Picks the segments that are least used, the ends where frames go excepted.
 * Returns how many are in use at all. */
static uint32_t
compact_pick(const struct output_pool *pool, struct compaction *c)
{
	const uint32_t *use = pool->segment_use;
	uint32_t s, i, n = 0;

	c->n = 0;
	for (s = 0; s < pool->h->n_segments; s++) {
		if (use[s] == 0)
			continue;
		n++;
		if (pool->end[0].segment == s || pool->end[1].segment == s)
			continue;
		if (c->n < COMPACT_MAX)
			i = c->n++;
		else if (use[s] < use[c->from[COMPACT_MAX - 1]])
			i = COMPACT_MAX - 1;
		else
			continue;
		for (; i > 0 && use[s] < use[c->from[i - 1]]; i--)
			c->from[i] = c->from[i - 1];
		c->from[i] = s;
	}
	return n;
}

bool
output_compact(struct output_pool *pool,
    bool (*next)(void *arg, struct output **o, uint32_t *slot), void *arg)
{
	struct compaction c;
	uint32_t before = compact_pick(pool, &c), after, slot;
	struct output *o;

	if (c.n == 0)
		return false;
	c.copy = sparse_new(c.n, sizeof(*c.copy));
	if (c.copy == NULL)
		return false;
	pool->compacting = pool->whole = true;
	while (next(arg, &o, &slot))
		compact_one(pool, o, slot, &c);
	pool->compacting = pool->whole = false;
	sparse_free(c.copy, c.n, sizeof(*c.copy));
	after = compact_pick(pool, &c);
	return after < before;
}
