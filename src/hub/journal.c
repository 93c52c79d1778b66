#include <sys/mman.h>

#include <string.h>

#include "hub/presence.h"
#include "large.h"
#include "ring.h"
#include "spill.h"

/* Of what is written in order, pages are touched before they are needed, in
 * steps. */
enum { POPULATE_AHEAD = 1024 * 1024, POPULATE_STEP = 1024 * 1024 };

void
journal_init(struct hub *h)
{
	h->heads->tail = 0;
	h->heads->oldest = 1;
}

/* What `oldest` is once the bytes up to `end` and the index entry of `position`
 * are overwritten. */
static inline __attribute__((always_inline)) uint64_t
oldest_after(const struct hub *h, uint64_t position, uint64_t end)
{
	uint64_t oldest = ring_oldest(h);

	if (oldest > position || position - oldest >= h->n_index)
		oldest = position >= h->n_index ? position - h->n_index + 1 : 1;
	while (oldest < position &&
	    (index_place(SHM_LOAD(index_of(h, oldest)->at)) + h->journal_size <
		end))
		oldest++;
	return oldest;
}

/* Copies to the spill what readers still need of the entries from `oldest` to
 * before `to`, up to so many bytes and one entry. Returns up to where. */
static __attribute__((noinline, cold)) uint64_t
room_spill(struct hub *h, uint64_t oldest, uint64_t to, size_t most)
{
	size_t copied = 0;

	if (to - oldest > h->n_index) /* corrupted */
		oldest = to;
	while (oldest < to && copied < most)
		copied += spill_keep(h, oldest++);
	return oldest;
}

/* Moves `oldest` past what the bytes up to `end` and the index entry of
 * `position` will overwrite. */
static inline __attribute__((always_inline)) void
make_room(struct hub *h, uint64_t position, uint64_t end)
{
	uint64_t oldest = oldest_after(h, position, end);

	if (oldest != SHM_LOAD(h->heads->oldest)) {
		if (h->readers != 0)
			room_spill(h, ring_oldest(h), oldest, SIZE_MAX);
		SHM_STORE(h->heads->oldest, oldest);
	}
	atomic_thread_fence(memory_order_seq_cst);
}

/* Where the next entry goes, checked against where the newest begins. */
static inline __attribute__((always_inline)) uint64_t
append_at(const struct hub *h, uint64_t tail)
{
	uint64_t end = SHM_LOAD(h->heads->end);

	return end - index_place(SHM_LOAD(index_of(h, tail)->at)) <=
		entry_max(h)
	    ? end
	    : ring_end(h, tail);
}

/* Where an entry of so many bytes begins: it lies in one piece, at a multiple
 * of 8 even if the position before was corrupted. */
static inline __attribute__((always_inline)) uint64_t
entry_begin(const struct hub *h, size_t n)
{
	uint64_t end = append_at(h, h->tail);
	uint64_t place = end & (h->journal_size - 1);

	return place + n > h->journal_size || place % 8 != 0
	    ? end + h->journal_size - place
	    : end;
}

/* Fills in an entry's head. */
static void
head_fill(struct entry_head *e, const struct publication *p)
{
	*e = (struct entry_head){.position = p->position,
	    .offset = p->offset,
	    .previous = p->previous,
	    .before = p->before,
	    .sender = p->sender,
	    .input_end = p->sender != 0 ? p->input_key : p->order,
	    .time_ms = p->time_ms,
	    .channel = p->channel,
	    .epoch = p->epoch,
	    .ordinal = publication_is_event(p) ? shm_link(p->subscription)
					       : (p->command & ENTRY_COMMAND) |
		    (uint32_t)p->flags << ENTRY_FLAGS,
	    .data_len = p->data_len,
	    .user_len = p->user_len,
	    .info_len = p->info_len,
	    .sub_info_len = p->sub_info_len,
	    .tags_len = p->tags_len,
	    .format = (uint8_t)(p->format | p->required << ENTRY_REQUIRED)};
}

/* The publication of an entry's head, without the bytes behind it. Each field
 * is named: clearing all of it first costs more than the stores. */
static inline __attribute__((always_inline)) void
head_take(const struct entry_head *e, struct publication *p)
{
	*p = (struct publication){.position = e->position,
	    .offset = e->offset,
	    .previous = e->previous,
	    .before = e->before,
	    .sender = e->sender,
	    .input_key = 0,
	    .command = 0,
	    .channel = e->channel,
	    .epoch = e->epoch,
	    .time_ms = e->time_ms,
	    .format = entry_format(e),
	    .flags = entry_flags(e),
	    .required = entry_required(e),
	    .user_len = e->user_len,
	    .info_len = e->info_len,
	    .sub_info_len = e->sub_info_len,
	    .tags_len = e->tags_len,
	    .data_len = e->data_len,
	    .user = NULL,
	    .info = NULL,
	    .sub_info = NULL,
	    .tags = NULL,
	    .data = NULL};
	if (e->sender != 0)
		p->input_key = e->input_end;
	else
		p->order = e->input_end;
	if (publication_is_event(p)) /* or `error` */
		p->subscription = entry_subscription(e);
	else
		p->command = e->ordinal & ENTRY_COMMAND;
}

/* Adds where its texts are, one behind the other. */
static inline __attribute__((always_inline)) void
head_texts(struct publication *p, const char *at)
{
	p->user = at;
	p->info = p->user + p->user_len;
	p->sub_info = p->info + p->info_len;
	p->tags = p->sub_info + p->sub_info_len;
	p->data = p->tags + p->tags_len;
}

/* Appends bytes; returns where the next go. */
static uint8_t *
put(uint8_t *to, const char *bytes, size_t len)
{
	if (len > 0)
		memcpy(to, bytes, len);
	return to + len;
}

size_t
publication_encode(const struct publication *p, void *out)
{
	size_t n = publication_bytes(p);
	struct entry_head e;
	uint8_t *b = out;

	/* the padding: links carry it, so it must not be stale bytes */
	memset(b + n - sizeof(uint64_t), 0, sizeof(uint64_t));
	head_fill(&e, p);
	memcpy(b, &e, sizeof(e));
	b += sizeof(e);
	b = put(b, p->user, p->user_len);
	b = put(b, p->info, p->info_len);
	b = put(b, p->sub_info, p->sub_info_len);
	b = put(b, p->tags, p->tags_len);
	put(b, p->data, p->data_len);
	return n;
}

/* Appends and commits an entry for those readers and workers; its offset,
 * `before` and `required` are the caller's. */
static inline __attribute__((always_inline)) uint64_t
entry_append(struct hub *h, struct publication *p,
    const struct presence_entry *c, uint8_t readers, uint64_t mask)
{
	size_t n = publication_bytes(p);
	uint64_t end = entry_begin(h, n);
	struct index_entry *x;

	p->position = h->tail + 1;
	p->previous = SHM_LOAD(c->newest);
	p->epoch = SHM_LOAD(c->epoch);
	make_room(h, p->position, end + n);
	publication_encode(p, h->journal + (end & (h->journal_size - 1)));
	x = index_of(h, p->position);
	SHM_STORE(x->at, end | (readers & h->readers));
	SHM_STORE(x->mask, mask);
	SHM_STORE(h->heads->tail, p->position);
	journal_redo(h);
	return mask;
}

uint64_t
journal_append(struct hub *h, struct publication *p)
{
	struct presence_entry *c = &h->entry[p->channel];
	uint8_t flags = SHM_LOAD(c->flags), readers = PRESENCE_READERS(flags);
	uint64_t mask = SHM_LOAD(c->mask);
	bool event = publication_is_event(p);

	p->required = event ? 0 : PRESENCE_REQUIRES(flags) & readers;
	p->before = SHM_LOAD(c->offset);
	p->offset = p->before + !event;
	if (event && p->format == FORMAT_KICK) /* readers are told of whom */
		readers |= h->events;
	if (p->flags & PUBLICATION_PROPOSED) {
		p->offset = p->before;
		readers = p->required &= (uint8_t)-p->required;
		mask = 0;
	}
	return entry_append(h, p, c, readers, mask);
}

uint64_t
journal_append_event(
    struct hub *h, struct publication *p, uint8_t readers, uint64_t mask)
{
	struct presence_entry *c = &h->entry[p->channel];

	p->before = p->offset = SHM_LOAD(c->offset);
	return entry_append(h, p, c, readers, mask);
}

uint64_t
journal_append_at(
    struct hub *h, struct publication *p, uint8_t readers, uint64_t mask)
{
	return entry_append(h, p, &h->entry[p->channel], readers, mask);
}

bool
journal_room(struct hub *h, size_t bytes)
{
	uint64_t oldest = ring_oldest(h), to;

	/* appending the entry copies as much as its own size, what is left
	 * behind the last entry before the ring's end, and one entry */
	if (h->readers == 0 || bytes <= JOURNAL_STEP / 2)
		return true;
	to = oldest_after(h, h->tail + 1, entry_begin(h, bytes) + bytes);
	if (oldest < to) {
		oldest = room_spill(h, oldest, to, JOURNAL_STEP);
		SHM_STORE(h->heads->oldest, oldest);
	}
	return oldest >= to;
}

/* Whether a reader is behind by more than its share, or has lost what the ring
 * has overwritten. */
static bool
reader_is_behind(const struct hub *h, unsigned number, size_t bytes)
{
	const struct reader_mark *r = &h->heads->reader[number];
	uint64_t unread = SHM_LOAD(h->heads->end) - SHM_LOAD(r->end);

	/* an entry larger than the share is accepted when nothing is unread */
	return (unread != 0 && unread + bytes > h->reader_share) ||
	    SHM_LOAD(r->taken) + 1 < ring_oldest(h);
}

bool
journal_is_behind(struct hub *h, uint8_t readers, size_t bytes)
{
	uint8_t left = readers & h->readers;

	if (left == 0)
		return false;
	for (; left != 0; left &= left - 1)
		if (reader_is_behind(h, (unsigned)__builtin_ctz(left), bytes))
			return true;
	return !spill_has_room(h, bytes);
}

uint64_t
journal_mask(const struct hub *h, uint64_t position)
{
	uint64_t mask;

	if (position == 0 || position > ring_tail(h))
		return 0;
	mask = SHM_LOAD(index_of(h, position)->mask);
	return position >= ring_oldest(h) ? mask : 0;
}

uint8_t
journal_readers(const struct hub *h, uint64_t position)
{
	uint64_t at;

	if (position == 0 || position > ring_tail(h))
		return 0;
	at = SHM_LOAD(index_of(h, position)->at);
	return position >= ring_oldest(h) ? index_readers(at) : 0;
}

size_t
publication_decode(const void *bytes, size_t len, struct publication *p)
{
	struct entry_head e;
	size_t n;

	if (len < sizeof(e))
		return 0;
	memcpy(&e, bytes, sizeof(e));
	if (e.data_len > len)
		return 0;
	n = head_bytes(&e);
	if (n > len)
		return 0;
	head_take(&e, p);
	head_texts(p, (const char *)bytes + sizeof(e));
	return n;
}

enum journal_result
journal_read(const struct hub *h, uint64_t position, void *buf, size_t cap,
    struct publication *p)
{
	struct entry_head e;
	uint64_t at;
	uint8_t *from;
	size_t n = 0;

	if (position == 0 || position > ring_tail(h))
		return JOURNAL_BAD;
	at = SHM_LOAD(index_of(h, position)->at);
	from = entry_at(h, at);
	if (from != NULL) {
		memcpy(&e, from, sizeof(e));
		n = entry_size(h, at, &e);
		if (n != 0 && n <= cap)
			memcpy(buf, from, n);
	}
	shm_copied();
	if (position < ring_oldest(h))
		return JOURNAL_GONE;
	if (n == 0 || n > cap || e.position != position)
		return JOURNAL_BAD;
	/* this head was checked, the one in buf may have changed since */
	head_take(&e, p);
	head_texts(p, (const char *)buf + sizeof(e));
	return JOURNAL_OK;
}

/* Touches the first of so many bytes. Returns how many. Pages that cannot be
 * touched ahead are touched when they are used. */
static size_t
populate_step(uint8_t *at, size_t bytes)
{
	size_t n = HUB_ALIGN - (uintptr_t)at % HUB_ALIGN;

	if (n == HUB_ALIGN && n <= bytes && large_page(at))
		return n;
	if (n > bytes)
		n = bytes;
	if (n > POPULATE_STEP)
		n = POPULATE_STEP;
	(void)madvise(at, n, MADV_POPULATE_WRITE);
	return n;
}

/* Has a region's next pages touched, which was written up to `end`; *touched
 * are so far. */
static void
populate(uint8_t *region, size_t size, uint64_t end, uint64_t *touched)
{
	/* where nothing is written, nothing is */
	if (end != 0 && *touched < size && *touched <= end + POPULATE_AHEAD)
		*touched += populate_step(region + *touched, size - *touched);
}

void
journal_populate(struct hub *h)
{
	populate(h->journal, h->journal_size, SHM_LOAD(h->heads->end),
	    &h->touched_journal);
	populate((uint8_t *)h->index, h->n_index * sizeof(*h->index),
	    ring_tail(h) * sizeof(*h->index), &h->touched_index);
}

enum journal_result
journal_peek(const struct hub *h, uint64_t position, struct publication *p)
{
	struct entry_head e;
	uint64_t at;
	uint8_t *from;

	if (position == 0 || position > ring_tail(h))
		return JOURNAL_BAD;
	at = SHM_LOAD(index_of(h, position)->at);
	from = entry_at(h, at);
	if (from != NULL)
		memcpy(&e, from, sizeof(e));
	shm_copied();
	if (position < ring_oldest(h))
		return JOURNAL_GONE;
	if (from == NULL || e.position != position)
		return JOURNAL_BAD;
	head_take(&e, p);
	return JOURNAL_OK;
}
