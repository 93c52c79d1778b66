/* What a connection is still to get and what it has sent that is not done: the
 * lists are walked by the old layout and made anew in the new one. */
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "heads.h"
#include "hub/blob.h"
#include "hub/input.h"
#include "hub/output.h"
#include "hub/slot.h"
#include "page.h"

enum {
	PAGE_BYTES = sizeof(((struct input_page *)0)->bytes),
	PART_HEAD = 2 * sizeof(struct input_part)
};

void
convert_pool_init(struct convert_pool *p, _Atomic uint8_t *owner,
    uint32_t n_items, uint32_t per_block, uint32_t apart)
{
	memset(p, 0, sizeof(*p));
	p->owner = owner;
	p->n_items = n_items;
	p->per_block = per_block;
	p->n = (n_items + per_block - 1) / per_block;
	p->common = p->n;
	if (apart * SHM_WORKERS < p->n) {
		p->apart = apart;
		p->common -= apart * SHM_WORKERS;
	}
	for (int k = 0; k < SHM_WORKERS; k++)
		p->at[k].block = SHM_NONE;
}

/* A free block for a worker: a common one, else one that is set apart. */
static uint32_t
block_take(struct convert_pool *p, int worker)
{
	uint32_t first = p->common + (uint32_t)worker * p->apart, b = SHM_NONE;

	while (p->hint < p->common && p->owner[p->hint] != 0)
		p->hint++;
	if (p->hint < p->common)
		b = p->hint;
	for (uint32_t k = 0; k < p->apart && b == SHM_NONE; k++)
		if (p->owner[first + k] == 0)
			b = first + k;
	if (b != SHM_NONE)
		p->owner[b] = (uint8_t)(worker + 1);
	return b;
}

uint32_t
convert_pool_take(struct convert_pool *p, int worker)
{
	uint32_t *block = &p->at[worker].block, *used = &p->at[worker].used;

	if (*block == SHM_NONE || *used == p->per_block) {
		*block = block_take(p, worker);
		*used = 0;
	}
	if (*block == SHM_NONE || *block * p->per_block + *used >= p->n_items) {
		*block = SHM_NONE;
		return SHM_NONE;
	}
	return *block * p->per_block + (*used)++;
}

/* Our segment of one of theirs, copied when it is first asked for. SHM_NONE: it
 * is not that worker's, so that nothing in it is still to be sent; or there is
 * none left, which fails the copy. */
static uint32_t
segment_copy(
    struct convert *c, struct convert_pools *p, uint64_t from, int worker)
{
	const uint64_t at = from * OUTPUT_SEGMENT;
	uint32_t to;

	if (from >= c->count[N_SEGMENTS] ||
	    convert_byte(c, R_SEGMENT_OWNER, from) != worker + 1 ||
	    c->region_size[R_ARENA] < OUTPUT_SEGMENT ||
	    at > c->region_size[R_ARENA] - OUTPUT_SEGMENT)
		return SHM_NONE;
	if (c->segment[from] != 0)
		return c->segment[from] - 1;
	if (c->count[N_SEGMENTS] == c->hub.n_segments) {
		to = (uint32_t)from;
		p->segments.owner[to] = (uint8_t)(worker + 1);
	} else
		to = convert_pool_take(&p->segments, worker);
	if (to == SHM_NONE) {
		(void)convert_fail(
		    c, "output-memory: more of it is used by slow readers");
		return SHM_NONE;
	}
	memcpy(c->hub.arena + (size_t)to * OUTPUT_SEGMENT,
	    c->region[R_ARENA] + at, OUTPUT_SEGMENT);
	c->segment[from] = to + 1;
	return to;
}

/* A list on its way from their chunks into ours. */
struct list {
	const uint8_t *from;  /* their chunk */
	uint64_t base;	      /* number of its first reference, low half */
	uint64_t n, end;      /* references and stream bytes so far */
	uint32_t chunk, used; /* ours, and references in it */
};

/* A new chunk of ours behind the list. */
static bool
list_grow(
    struct convert *c, struct convert_pools *p, struct list *l, int worker)
{
	uint32_t k = convert_pool_take(&p->chunks, worker);
	struct chunk *chunk = c->hub.chunk;

	if (k == SHM_NONE)
		return convert_fail(
		    c, "output-memory: more chunks of it are used");
	if (l->chunk != SHM_NONE)
		chunk[l->chunk].next = k;
	chunk[k].base = (uint32_t)l->n;
	chunk[k].start = l->end;
	l->chunk = k;
	l->used = 0;
	return true;
}

/* Their next reference; NULL: the list makes no sense. */
static const uint8_t *
list_next(const struct convert *c, struct list *l)
{
	const uint32_t stride = c->stride[C_REFERENCE];
	const struct print_line *refs = c->field[F_CHUNK_REF];
	const uint32_t room = (uint32_t)(refs->size / stride);
	uint32_t at = (uint32_t)l->n - (uint32_t)l->base;

	if (at == room) {
		l->from = convert_item(
		    c, R_CHUNK, C_CHUNK, convert_get(c, F_CHUNK_NEXT, l->from));
		if (l->from == NULL ||
		    convert_get(c, F_CHUNK_START, l->from) != l->end)
			return NULL;
		l->base = convert_get(c, F_CHUNK_BASE, l->from);
		at = (uint32_t)l->n - (uint32_t)l->base;
	}
	return at < room ? l->from + refs->at + at * stride : NULL;
}

/* Copies one reference. 1; 0: it makes no sense; -1: the copy fails. */
static int
reference_copy(struct convert *c, struct convert_pools *p, struct list *l,
    const uint8_t *from, int worker)
{
	const uint64_t offset = convert_get(c, F_REFERENCE_OFFSET, from);
	const uint64_t length = convert_get(c, F_REFERENCE_LENGTH, from);
	struct reference *r;
	uint32_t segment;

	if (length == 0 || length > OUTPUT_SEGMENT)
		return 0;
	if (l->used == OUTPUT_REFS && !list_grow(c, p, l, worker))
		return -1;
	r = &c->hub.chunk[l->chunk].ref[l->used];
	c->error[0] = '\0';
	segment = segment_copy(c, p, offset / OUTPUT_SEGMENT, worker);
	if (segment == SHM_NONE && c->error[0] != '\0')
		return -1;
	if (!convert_record(c, C_REFERENCE, from, r))
		return -1;
	r->length = (uint32_t)length;
	/* without its segment it is written, and counts for positions only;
	 * if it is not, memory was corrupted, and it must not lead to bytes of
	 * another connection */
	r->offset = segment != SHM_NONE
	    ? segment * OUTPUT_SEGMENT + (uint32_t)(offset % OUTPUT_SEGMENT)
	    : UINT32_MAX;
	l->used++;
	l->n++;
	l->end += length;
	KILL_POINT();
	return 1;
}

/* The number of a slot's first chunk of theirs; SHM_NONE: all is written. An
 * older program's slots always have one, and no link of it. */
static uint64_t
list_first(const struct convert *c, const uint8_t *from)
{
	return c->field[F_SLOT_CHUNK] != NULL
	    ? shm_index((uint32_t)convert_get(c, F_SLOT_CHUNK, from))
	    : convert_get(c, F_SLOT_FIRST, from);
}

bool
convert_output(struct convert *c, struct convert_pools *p, uint32_t i,
    const uint8_t *from, struct slot *to, int worker)
{
	const uint64_t appended = to->appended, first = list_first(c, from);
	struct list l = {.chunk = SHM_NONE};
	const uint8_t *r;
	int good = 1;

	to->chunk = 0;
	if (first == SHM_NONE && c->field[F_SLOT_CHUNK] != NULL)
		return true;
	l.from = convert_item(c, R_CHUNK, C_CHUNK, first);
	if (l.from == NULL)
		goto spoilt;
	l.base = convert_get(c, F_CHUNK_BASE, l.from);
	/* the first reference's number from its low half */
	l.n = appended - (uint32_t)((uint32_t)appended - (uint32_t)l.base);
	l.end = convert_get(c, F_CHUNK_START, l.from);
	if (l.n > appended ||
	    appended - l.n > (c->count[N_CHUNKS] + 1) * OUTPUT_REFS)
		goto spoilt;
	if (!list_grow(c, p, &l, worker))
		return false;
	to->chunk = shm_link(l.chunk);
	while (l.n < appended && good == 1)
		good = (r = list_next(c, &l)) != NULL
		    ? reference_copy(c, p, &l, r, worker)
		    : 0;
	if (good == -1)
		return false;
	if (good == 1)
		return true;
spoilt:
	to->chunk = UINT32_MAX; /* leads nowhere */
	c->result->spoilt++;
	return true;
}

/* Copies what lies in their pages of a part; how much was found of `want`. */
static uint64_t
part_read(const struct convert *c, uint64_t page, uint8_t *to, uint64_t want)
{
	const struct print_line *bytes = c->field[F_PAGE_BYTES];
	uint64_t skip = 2ull * c->stride[C_PART], got = 0, n;
	const uint8_t *p;

	for (uint64_t k = 0; got < want && k < c->count[N_PAGES]; k++) {
		p = convert_item(c, R_PAGE, C_PAGE, page);
		if (p == NULL)
			break;
		n = bytes->size - skip < want - got ? bytes->size - skip
						    : want - got;
		memcpy(to + got, p + bytes->at + skip, n);
		got += n;
		skip = 0;
		page = convert_get(c, F_PAGE_NEXT, p) - 1;
	}
	return got;
}

/* Writes bytes into pages of ours; the first one's number, SHM_NONE: there are
 * not enough. *part's tail is filled in. */
static uint32_t
part_write(struct convert *c, struct convert_pools *p, struct input_part *part,
    const uint8_t *from, uint64_t len, int worker)
{
	uint32_t first = SHM_NONE, page, skip = PART_HEAD, n;

	do {
		page = convert_pool_take(&p->pages, worker);
		if (page == SHM_NONE)
			return SHM_NONE;
		if (first == SHM_NONE)
			first = page;
		else
			c->hub.page[part->tail].next = page + 1;
		n = len < PAGE_BYTES - skip ? (uint32_t)len : PAGE_BYTES - skip;
		memcpy(c->hub.page[page].bytes + skip, from, n);
		part->tail = page;
		part->tail_used = n;
		from += n;
		len -= n;
		skip = 0;
	} while (len > 0);
	return first;
}

/* Copies a part that makes sense. */
static bool
stream_part_copy(struct convert *c, struct convert_pools *p, uint64_t page,
    const uint8_t *from, struct slot *to, int worker)
{
	const uint8_t framing = SHM_ONCE(to->framing);
	struct input_part part;
	uint64_t len;
	uint32_t first;
	uint8_t *bytes;

	memset(&part, 0, sizeof(part));
	if (!convert_record(c, C_PART, from, &part) ||
	    !convert_record(c,
		framing < FRAMINGS_MAX && c->stride[C_FRAMING + framing] != 0
		    ? (enum convert_struct)(C_FRAMING + framing)
		    : C_STATE,
		from + c->field[F_PART_STATE]->at, &part.state))
		return false;
	if (part.raw > SHM_STAGE || part.bytes > c->region_size[R_PAGE])
		return convert_fail(c, "an unfinished message changes");
	len = part.bytes + part.raw;
	bytes = malloc(len + 1);
	if (bytes == NULL)
		return convert_fail(c, "no memory");
	if (part_read(c, page, bytes, len) != len) {
		c->result->spoilt++;
		to->part = UINT32_MAX; /* leads nowhere */
		free(bytes);
		return true;
	}
	first = part_write(c, p, &part, bytes, len, worker);
	free(bytes);
	if (first == SHM_NONE)
		return convert_fail(c,
		    "input-memory: more of it is used by messages that "
		    "are not complete");
	memcpy(c->hub.page[first].bytes, &part, sizeof(part));
	to->part = first + 1;
	KILL_POINT();
	return true;
}

bool
convert_input(struct convert *c, struct convert_pools *p, uint32_t i,
    const uint8_t *from, struct slot *to, int worker)
{
	const uint64_t part = convert_get(c, F_SLOT_PART, from);
	const uint64_t page = (uint32_t)part - 1u;
	const uint8_t *at = convert_item(c, R_PAGE, C_PAGE, page);
	uint64_t bytes, raw;

	to->part = 0;
	if (part == 0)
		return true;
	if (at != NULL) {
		at += c->field[F_PAGE_BYTES]->at +
		    (part >> 32 & 1) * c->stride[C_PART];
		bytes = convert_get(c, F_PART_BYTES, at);
		raw = convert_get(c, F_PART_RAW, at);
		/* done: its worker had no time to drop it */
		if (convert_get(c, F_PART_END, at) <=
		    KEY_POSITION(SHM_OWN(to->committed)))
			return true;
		if (raw <= SHM_STAGE && bytes <= c->region_size[R_PAGE])
			return stream_part_copy(c, p, page, at, to, worker);
	}
	c->result->spoilt++;
	to->part = UINT32_MAX;
	return true;
}

bool
convert_blob(struct convert *c, struct convert_pools *p, uint64_t blob,
    uint64_t conn, int worker, uint32_t *out)
{
	const uint8_t *from = convert_item(c, R_PAGE, C_PAGE, blob - 1), *at;
	struct blob_head head = {.slot = (uint32_t)conn};
	struct input_page *page;
	uint64_t len;
	uint32_t k;

	*out = 0;
	if (blob == 0 || from == NULL ||
	    convert_get(c, F_PAGE_OWNER, from) != conn >> 32)
		return true;
	at = from + c->field[F_PAGE_BYTES]->at;
	len = convert_get(c, F_BLOB_LEN, at);
	if (convert_get(c, F_BLOB_SLOT, at) != head.slot ||
	    len > c->field[F_PAGE_BYTES]->size - c->stride[C_BLOB])
		return true;
	if (len > BLOB_MAX)
		return convert_fail(c,
		    "a token's info has %llu bytes, more "
		    "than %d",
		    (unsigned long long)len, BLOB_MAX);
	k = convert_pool_take(&p->pages, worker);
	if (k == SHM_NONE)
		return convert_fail(c, "input-memory: more of it is used");
	page = &c->hub.page[k];
	if (!convert_record(c, C_BLOB, at, &head))
		return false;
	head.len = (uint32_t)len;
	memcpy(page->bytes, &head, sizeof(head));
	memcpy(page->bytes + sizeof(head), at + c->stride[C_BLOB], len);
	page->next = ++p->serial;
	page->owner = (uint32_t)(conn >> 32);
	*out = k + 1;
	return true;
}
