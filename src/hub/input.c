#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hub/input.h"
#include "hub/slot.h"
#include "page.h"

enum {
	PAGE_BYTES = sizeof(((struct input_page *)0)->bytes),
	PART_HEAD = 2 * sizeof(struct input_part),
	FIRST_BYTES = PAGE_BYTES - PART_HEAD,
	/* Blocks whose memory is given back in one call. Larger: it is back
	 * sooner; smaller: the call takes less long (10 us a block). */
	TRIM_BLOCKS = 32
};
_Static_assert(PART_HEAD < PAGE_BYTES / 2, "room for payload in page one");

/* A slot's `part`: its first page's link, and in bit 32 which state is valid.
 */
#define PART_PAGE(part) shm_index((uint32_t)(part))
#define PART_WHICH(part) ((part) >> 32 & 1)

int
input_pool_init(struct input_pool *pool, struct hub *h)
{
	pool->h = h;
	pool->serial = arc4random();
	pool->aged_ms = 0;
	if (claim_init(&pool->pages, h->page_owner, h->n_pages, h->self) < 0)
		return -1;
	if (claim_note(&pool->pages) == 0)
		return 0;
	claim_deinit(&pool->pages);
	return -1;
}

/* Gives the memory of a block that no worker uses back to the machine. */
static void
block_forget(void *arg, uint32_t block)
{
	const struct hub *h = arg;
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	uint32_t end = (block + 1) * SHM_BLOCK;
	uintptr_t from = (uintptr_t)&h->page[block * SHM_BLOCK], to;

	to = (uintptr_t)&h->page[end < h->n_pages ? end : h->n_pages];
	from = (from + mask) & ~mask;
	to &= ~mask;
	/* if that fails, the memory is kept for the next message */
	if (from < to)
		(void)madvise((void *)from, to - from, MADV_REMOVE);
}

void
input_trim(struct input_pool *pool, uint64_t now_ms)
{
	if (now_ms >= pool->aged_ms + INPUT_TRIM_MS) {
		pool->aged_ms = now_ms;
		claim_age(&pool->pages);
	}
	claim_trim(&pool->pages, TRIM_BLOCKS, block_forget, pool->h);
}

void
input_pool_deinit(struct input_pool *pool)
{
	claim_deinit(&pool->pages);
}

void
input_clear(struct hub *h, int worker)
{
	claim_clear(h->page_owner, h->n_pages, worker);
}

static struct input_part *
part_of(const struct hub *h, uint32_t page, unsigned which)
{
	return (struct input_part *)h->page[page].bytes + which;
}

const struct input_part *
input_part(const struct hub *h, uint32_t slot)
{
	uint64_t part = SHM_LOAD(h->slot[slot].part);

	if (part == 0 || PART_PAGE(part) >= h->n_pages)
		return NULL;
	return part_of(h, PART_PAGE(part), PART_WHICH(part));
}

/* Where the payload begins in a page, and how much of it fits there. */
static uint8_t *
page_payload(const struct hub *h, uint32_t page, uint32_t first, uint32_t *room)
{
	uint32_t skip = page == first ? PART_HEAD : 0;

	*room = PAGE_BYTES - skip;
	return h->page[page].bytes + skip;
}

/* Gives back the pages behind `page`. */
static void
pages_give(struct input_pool *pool, uint32_t page)
{
	struct hub *h = pool->h;
	uint32_t next = shm_index(SHM_OWN(h->page[page].next));
	uint32_t left = pool->pages.n_used;

	SHM_STORE(h->page[page].next, 0);
	while (next < h->n_pages && left-- > 0) {
		page = next;
		next = shm_index(SHM_OWN(h->page[page].next));
		claim_give(&pool->pages, page);
	}
}

/* Appends bytes behind those of p, with new pages as needed. */
static bool
pages_fill(struct input_pool *pool, uint32_t first, struct input_part *p,
    const uint8_t *bytes, size_t len)
{
	struct hub *h = pool->h;
	uint32_t room, k;
	uint8_t *to;

	p->bytes += len;
	while (len > 0) {
		to = page_payload(h, p->tail, first, &room);
		if (p->tail_used >= room) {
			k = page_take(pool);
			if (k == SHM_NONE)
				return false;
			SHM_STORE(h->page[p->tail].next, shm_link(k));
			p->tail = k;
			p->tail_used = 0;
			continue;
		}
		room -= p->tail_used;
		if (room > len)
			room = (uint32_t)len;
		memcpy(to + p->tail_used, bytes, room);
		p->tail_used += room;
		bytes += room;
		len -= room;
	}
	return true;
}

/* Copies what a framing knows, of which nothing but its size is known here. */
static void
state_copy(struct framing_state *to, const void *from, size_t bytes)
{
	memset(to, 0, sizeof(*to));
	memcpy(to, from, bytes < sizeof(*to) ? bytes : sizeof(*to));
}

int
input_keep(struct input_pool *pool, uint32_t slot, const struct input_more *m)
{
	struct hub *h = pool->h;
	struct slot *s = &h->slot[slot];
	uint64_t was = SHM_OWN(s->part), part = m->anew ? 0 : was;
	unsigned which = part == 0 ? 0 : !PART_WHICH(part);
	uint32_t first = part == 0 ? page_take(pool) : PART_PAGE(part);
	struct input_part new = {.tail = first};
	uint32_t tail;

	if (first >= h->n_pages)
		return part == 0 ? -1 : INPUT_CORRUPTED;
	if (part != 0)
		new = *part_of(h, first, !which);
	tail = new.tail;
	if (tail >= h->n_pages || new.raw != 0 || new.whole != 0)
		return INPUT_CORRUPTED;
	if (!pages_fill(pool, first, &new, m->bytes, m->len) ||
	    !pages_fill(pool, first, &new, m->raw, m->raw_len)) {
		pages_give(pool, tail);
		if (part == 0)
			claim_give(&pool->pages, first);
		return -1;
	}
	new.bytes -= m->raw_len;
	new.raw = m->raw_len;
	new.whole = m->whole;
	new.end = m->end;
	state_copy(&new.state, m->state, m->state_bytes);
	*part_of(h, first, which) = new;
	SHM_STORE(s->part, (uint64_t)which << 32 | shm_link(first));
	if (part == 0 && was != 0)
		input_uncopy(pool, was);
	return 0;
}

/* Copies out what lies in a part's pages from a place on; returns how much was
 * found of cap bytes. */
static size_t
part_copy(
    const struct hub *h, uint32_t first, uint64_t from, void *out, size_t cap)
{
	uint32_t page = first, room, pages;
	uint8_t *to = out, *bytes;

	for (pages = 0; cap > 0 && page < h->n_pages && pages < h->n_pages;
	     pages++) {
		bytes = page_payload(h, page, first, &room);
		page = shm_index(SHM_LOAD(h->page[page].next));
		if (from >= room) {
			from -= room;
			continue;
		}
		room -= (uint32_t)from;
		if (room > cap)
			room = (uint32_t)cap;
		memcpy(to, bytes + from, room);
		from = 0;
		to += room;
		cap -= room;
	}
	return (size_t)(to - (uint8_t *)out);
}

size_t
input_gather(const struct hub *h, uint32_t slot, void *out, size_t cap)
{
	uint64_t part = SHM_LOAD(h->slot[slot].part), left;
	uint32_t first = PART_PAGE(part);

	if (first >= h->n_pages)
		return 0;
	left = SHM_ONCE(part_of(h, first, PART_WHICH(part))->bytes);
	return part_copy(h, first, 0, out, left < cap ? (size_t)left : cap);
}

size_t
input_raw(const struct hub *h, uint32_t slot, void *out, size_t cap)
{
	uint64_t part = SHM_LOAD(h->slot[slot].part);
	uint32_t first = PART_PAGE(part), raw;
	const struct input_part *p;

	if (first >= h->n_pages)
		return 0;
	p = part_of(h, first, PART_WHICH(part));
	raw = SHM_ONCE(p->raw);
	return part_copy(
	    h, first, SHM_ONCE(p->bytes), out, raw < cap ? raw : cap);
}

/* Whether a part's pages can hold as many bytes as it says; marks each page. */
static bool
part_mark(struct input_pool *pool, uint32_t first, const struct input_part *p)
{
	const struct hub *h = pool->h;
	uint64_t room = FIRST_BYTES;
	uint32_t page = first;

	if (!claim_mark(&pool->pages, page))
		return false;
	while (page != p->tail) {
		page = shm_index(SHM_LOAD(h->page[page].next));
		if (page >= h->n_pages || !claim_mark(&pool->pages, page))
			return false;
		room += PAGE_BYTES;
	}
	/* pages behind the tail were never committed */
	SHM_STORE(h->page[page].next, 0);
	return p->raw <= SHM_STAGE && p->bytes <= room &&
	    p->bytes + p->raw <= room &&
	    room - p->bytes - p->raw < PAGE_BYTES && p->tail_used <= PAGE_BYTES;
}

/* Whether a part is of a message that is done: its owner died before it could
 * drop it. */
static bool
part_done(const struct hub *h, uint32_t slot, const struct input_part *p)
{
	return p->end <= KEY_POSITION(SHM_LOAD(h->slot[slot].committed));
}

bool
input_waits(const struct hub *h, uint32_t slot)
{
	const struct input_part *p = input_part(h, slot);

	return p != NULL && (p->raw != 0 || p->whole != 0) &&
	    !part_done(h, slot, p);
}

int
input_adopt(struct input_pool *pool, uint32_t slot)
{
	struct hub *h = pool->h;
	const struct input_part *p = input_part(h, slot);

	if (p == NULL && SHM_LOAD(h->slot[slot].part) == 0)
		return 0;
	if (p != NULL && part_done(h, slot, p)) {
		SHM_STORE(h->slot[slot].part, 0);
		return 0;
	}
	if (p != NULL &&
	    part_mark(pool, PART_PAGE(SHM_LOAD(h->slot[slot].part)), p))
		return 0;
	SHM_STORE(h->slot[slot].part, 0);
	return -1;
}

int
input_copy(struct input_pool *pool, uint32_t slot, uint64_t *part)
{
	struct hub *h = pool->h;
	uint64_t old = SHM_LOAD(h->slot[slot].part), left;
	uint32_t begin = PART_PAGE(old), first, page = begin, room, pages = 0;
	struct input_part from, to = {0};
	uint8_t *bytes;
	bool ok = true;

	*part = 0;
	if (old == 0 || begin >= h->n_pages)
		return 0;
	from = *part_of(h, begin, PART_WHICH(old));
	if (part_done(h, slot, &from))
		return 0;
	if (from.raw > SHM_STAGE ||
	    from.bytes > (uint64_t)h->n_pages * INPUT_PAGE)
		return INPUT_CORRUPTED;
	first = page_take(pool);
	if (first == SHM_NONE)
		return -1;
	to.tail = first;
	left = from.bytes + from.raw;
	for (; ok && left > 0 && pages < h->n_pages; pages++) {
		bytes = page_payload(h, page, begin, &room);
		if (room > left)
			room = (uint32_t)left;
		ok = pages_fill(pool, first, &to, bytes, room);
		left -= room;
		page = shm_index(SHM_LOAD(h->page[page].next));
		if (page >= h->n_pages)
			break;
	}
	if (!ok || left > 0) {
		pages_give(pool, first);
		claim_give(&pool->pages, first);
		return ok ? INPUT_CORRUPTED : -1;
	}
	to.end = from.end;
	to.bytes = from.bytes;
	to.raw = from.raw;
	to.whole = from.whole;
	to.state = from.state;
	*part_of(h, first, 0) = to;
	*part = shm_link(first);
	return 0;
}

void
input_release(struct input_pool *pool, uint32_t slot)
{
	uint64_t part = SHM_OWN(pool->h->slot[slot].part);

	if (part == 0)
		return;
	SHM_STORE(pool->h->slot[slot].part, 0);
	input_uncopy(pool, part);
}

void
input_uncopy(struct input_pool *pool, uint64_t part)
{
	if (PART_PAGE(part) >= pool->h->n_pages)
		return;
	pages_give(pool, PART_PAGE(part));
	claim_give(&pool->pages, PART_PAGE(part));
}
