#include "hub/reader.h"

#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "spill.h"

/* Index entries that are looked at between two looks at whether the ring has
 * overwritten them. Larger: more are looked at in vain; smaller: more looks at
 * a word that publishers write all the time. */
enum { READER_STRIDE = 64 };

/* Where a reader without a mark of its own begins. */
static uint64_t
reader_start(const struct hub *h, unsigned number)
{
	uint64_t tail = ring_tail(h), cursor = SHM_LOAD(h->mine->cursor);
	uint64_t taken = SHM_LOAD(h->heads->reader[number].taken);

	if (taken > tail)
		return tail;
	return cursor >= taken && cursor <= tail ? cursor : taken;
}

void
reader_init(struct reader *r, struct hub *h, unsigned number, uint64_t mark)
{
	uint64_t tail = ring_tail(h);

	*r = (struct reader){
	    .h = h, .number = (uint8_t)number, .bit = (uint8_t)(1u << number)};
	r->passed = mark == READER_NO_MARK ? reader_start(h, number)
	    : mark < tail		   ? mark
					   : tail;
	r->end = r->passed;
	SHM_STORE(h->heads->sleeps[number], 0);
	reader_taken(r, r->passed);
}

void
reader_rewind(struct reader *r, uint64_t mark)
{
	r->passed = mark;
	/* what the ring has no more is told again, and the spill read again */
	r->lost_to = 0;
	r->spill_at = 0;
}

/* Bytes ever appended up to a position, this included. Of one that the ring
 * does not have: up to its oldest, so that the reader counts as far behind. */
static uint64_t
reader_end(const struct hub *h, uint64_t position)
{
	uint64_t oldest = ring_oldest(h);

	if (position >= ring_tail(h))
		return position != 0 ? ring_end(h, position) : 0;
	if (position + 1 < oldest)
		position = oldest - 1;
	return index_place(SHM_LOAD(index_of(h, position + 1)->at));
}

uint64_t
reader_unread(const struct reader *r)
{
	return SHM_LOAD(r->h->heads->end) - reader_end(r->h, r->passed);
}

void
reader_taken(struct reader *r, uint64_t position)
{
	struct reader_mark *mark = &r->h->heads->reader[r->number];

	SHM_STORE(mark->end, reader_end(r->h, position));
	SHM_STORE(mark->taken, position);
	SHM_STORE(r->h->mine->cursor, position);
}

/* The tail, if it is sound; else false. One that has gone back was mended. */
static bool
reader_look(struct reader *r)
{
	if (!journal_is_sound(r->h))
		return false;
	r->end = ring_tail(r->h);
	if (r->passed > r->end)
		r->passed = r->end;
	return true;
}

/* Passes over what is not the reader's, some at a time. False: the ring has
 * overwritten the next one. */
static bool
reader_skip(struct reader *r)
{
	const struct hub *h = r->h;
	uint64_t at = r->passed, most = r->end - at;

	if (most > READER_STRIDE)
		most = READER_STRIDE;
	for (most += at; at < most; at++)
		if (index_readers(SHM_LOAD(index_of(h, at + 1)->at)) & r->bit)
			break;
	shm_copied();
	if (r->passed + 1 < ring_oldest(h))
		return false;
	r->passed = at;
	return true;
}

/* Copies what lies at a place of the spill, if it is there still. */
static bool
spilled_read(const struct reader *r, const struct spill_place *s, void *buf,
    size_t cap, struct publication *p)
{
	if (s->len > cap)
		return false;
	memcpy(buf, s->bytes, s->len);
	shm_copied();
	return SHM_LOAD(r->h->heads->spill_begin) <= s->at &&
	    publication_decode(buf, s->len, p) == s->len;
}

/* The next entry of the spill that is the reader's, below what was lost. */
static bool
reader_spilled(struct reader *r, void *buf, size_t cap, struct publication *p)
{
	const struct hub *h = r->h;
	uint64_t end = SHM_LOAD(h->heads->spill_end);
	uint64_t begin = SHM_LOAD(h->heads->spill_begin);
	struct spill_place s;
	struct entry_head e;
	bool sound;

	if (end - begin > h->spill_size)
		return false;
	if (end - r->spill_at > end - begin)
		r->spill_at = begin;
	for (; r->spill_at < end; r->spill_at = s.next) {
		sound = spill_look(h, r->spill_at, end, &s, &e);
		shm_copied();
		begin = SHM_LOAD(h->heads->spill_begin);
		if (begin > r->spill_at) {
			/* freed meanwhile: others' bytes may be there now */
			s.next = begin;
			continue;
		}
		if (!sound)
			return false;
		if (s.bytes == NULL || e.position <= r->passed)
			continue;
		if (e.position >= r->lost_to)
			return false;
		if (!(entry_required(&e) & r->bit) ||
		    !spilled_read(r, &s, buf, cap, p) ||
		    p->position != e.position)
			continue;
		r->spill_at = s.next;
		r->position = r->passed = e.position;
		return true;
	}
	return false;
}

/* The ring has overwritten what comes next. False: go on in the ring. */
static bool
reader_lost(struct reader *r, void *buf, size_t cap, struct publication *p,
    enum reader_result *what)
{
	*what = READER_FOUND;
	if (r->passed + 1 < r->lost_to) {
		if (reader_spilled(r, buf, cap, p))
			return true;
		r->passed = r->lost_to - 1;
		return false;
	}
	*what = READER_LOST;
	r->from = r->passed;
	r->to = r->lost_to = ring_oldest(r->h);
	return true;
}

/* Reads the next entry, which is the reader's; false: the ring has overwritten
 * it. */
static bool
reader_read(struct reader *r, void *buf, size_t cap, struct publication *p,
    enum reader_result *what)
{
	enum journal_result got =
	    journal_read(r->h, r->passed + 1, buf, cap, p);

	if (got == JOURNAL_GONE)
		return false;
	r->position = ++r->passed;
	*what = got == JOURNAL_OK ? READER_FOUND : READER_BAD;
	return true;
}

enum reader_result
reader_next(struct reader *r, void *buf, size_t cap, struct publication *p)
{
	enum reader_result what;

	for (;;) {
		/* what was told to be lost comes first, from the spill */
		if (r->passed + 1 < r->lost_to) {
			if (reader_lost(r, buf, cap, p, &what))
				return what;
			continue;
		}
		if (r->passed >= r->end) {
			if (!reader_look(r))
				return READER_STOPPED;
			if (r->passed == r->end)
				return READER_END;
		}
		if (reader_skip(r)) {
			if (r->passed == r->end ||
			    !(index_readers(
				  SHM_LOAD(index_of(r->h, r->passed + 1)->at)) &
				r->bit))
				continue;
			if (reader_read(r, buf, cap, p, &what))
				return what;
		}
		if (r->passed + 1 < ring_oldest(r->h) &&
		    reader_lost(r, buf, cap, p, &what))
			return what;
	}
}

/* Whether an entry's newest publication lies above `from` and below `to`, and
 * is this reader's, though not required. */
static bool
lost_is_newest(const struct reader *r, uint32_t e, uint64_t from, uint64_t to)
{
	const struct presence_entry *c = &r->h->entry[e];
	uint64_t newest = SHM_LOAD(c->newest);
	uint8_t flags = SHM_LOAD(c->flags);

	return SHM_LOAD(c->epoch) != 0 && newest > from && newest < to &&
	    PRESENCE_READERS(flags) & r->bit &&
	    !(PRESENCE_REQUIRES(flags) & r->bit);
}

void
reader_lost_each(struct reader *r, uint64_t from, uint64_t to,
    void (*lost)(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset),
    void *arg)
{
	struct hub *h = r->h;
	uint64_t offset;
	uint32_t e, epoch;
	bool is_lost;

	for (e = presence_next(h, 0); e < h->n_entries;
	     e = presence_next(h, e + 1)) {
		if (!lost_is_newest(r, e, from, to))
			continue;
		/* its offset is stored before its newest position: what is
		 * between the two is of a later publication */
		hub_lock(h);
		is_lost = lost_is_newest(r, e, from, to);
		epoch = SHM_LOAD(h->entry[e].epoch);
		offset = SHM_LOAD(h->entry[e].offset);
		hub_unlock(h);
		if (is_lost)
			lost(arg, e, epoch, offset);
	}
}

void
reader_opening(struct reader *r,
    void (*opening)(void *arg, uint32_t channel, uint32_t epoch), void *arg)
{
	const struct hub *h = r->h;
	uint32_t e, epoch;
	uint8_t flags;

	for (e = presence_next(h, 0); e < h->n_entries;
	     e = presence_next(h, e + 1)) {
		epoch = SHM_LOAD(h->entry[e].epoch);
		flags = SHM_LOAD(h->entry[e].flags);
		if (epoch != 0 &&
		    PRESENCE_WARMTH_OF(flags) == PRESENCE_OPENING &&
		    presence_opener(flags) == r->bit)
			opening(arg, e, epoch);
	}
}

uint64_t
reader_told(const struct hub *h, unsigned number)
{
	return number < READERS && h->readers & 1u << number
	    ? SHM_LOAD(h->heads->reader[number].taken)
	    : UINT64_MAX;
}

bool
reader_has_taken(const struct hub *h, unsigned number, uint64_t position)
{
	return number < READERS &&
	    readers_behind(h, (uint8_t)(1u << number), position) == 0;
}
