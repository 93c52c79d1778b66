#include <sys/mman.h>

#include <string.h>

#include "heads.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/subscription.h"

enum { POPULATE_AHEAD = 256 * 1024, POPULATE_STEP = 1024 * 1024 };

static struct index_entry *
index_of(const struct hub *h, uint64_t position)
{
	return &h->index[position & (h->n_index - 1)];
}

void
journal_init(struct hub *h)
{
	h->heads->tail = 0;
	h->heads->oldest = 1;
}

uint64_t
journal_tail(const struct hub *h)
{
	return SHM_LOAD(h->heads->tail);
}

uint64_t
journal_oldest(const struct hub *h)
{
	uint64_t oldest = SHM_LOAD(h->heads->oldest), tail = journal_tail(h);
	uint64_t lowest = tail >= h->n_index ? tail - h->n_index + 1 : 1;

	/* not before the index's oldest, not after the next one; else it is
	 * corrupted */
	return oldest < lowest || oldest > tail + 1 ? lowest : oldest;
}

/* The largest entry of a ring of this size. */
static size_t
entry_max(const struct hub *h)
{
	return h->journal_size / JOURNAL_SHARE;
}

/* Where in the ring an entry begins, checked against its bounds; NULL if a
 * head would not fit there. */
static uint8_t *
entry_at(const struct hub *h, uint64_t at)
{
	uint64_t place = index_place(at) & (h->journal_size - 1);

	if (place + JOURNAL_HEAD > h->journal_size)
		return NULL;
	return h->journal + place;
}

/* Bytes of the entry that a head describes. */
static size_t
head_bytes(const struct entry_head *e)
{
	return journal_entry_bytes(e->user_len,
	    (size_t)e->info_len + e->sub_info_len + e->tags_len + e->data_len);
}

/* Size of the entry of that head, or 0 if it is corrupted. */
static size_t
entry_size(const struct hub *h, uint64_t at, const struct entry_head *e)
{
	size_t n;

	if (e->data_len > entry_max(h))
		return 0;
	n = head_bytes(e);
	if (n > entry_max(h) ||
	    (index_place(at) & (h->journal_size - 1)) + n > h->journal_size)
		return 0;
	return n;
}

/* Bytes ever appended, the entry at a position included. */
static uint64_t
journal_end(const struct hub *h, uint64_t tail)
{
	struct entry_head e;
	uint64_t at;
	uint8_t *p;
	size_t n;

	at = index_place(SHM_LOAD(index_of(h, tail)->at));
	p = entry_at(h, at);
	if (p == NULL)
		return (at + h->journal_size) & ~(h->journal_size - 1);
	memcpy(&e, p, sizeof(e));
	n = entry_size(h, at, &e);
	return n != 0 ? at + n
		      : (at + h->journal_size) & ~(h->journal_size - 1);
}

/* A join or leave is told once, whichever process dies: the flag that one is to
 * be told follows from the entry. */
static void
redo_event(struct hub *h, uint32_t slot, const struct entry_head *e)
{
	uint32_t *flags = &h->slot[slot].flags;
	uint32_t away =
	    e->channel == PRESENCE_LOBBY ? SLOT_AWAY : SLOT_OWN_AWAY;
	uint32_t i = entry_subscription(e);
	struct subscription *sub;

	if (i != SHM_NONE) {
		if (i >= h->n_subscriptions)
			return;
		sub = &h->subscription[i];
		if (subscription_conn(sub) != e->sender ||
		    subscription_channel(sub) != e->channel)
			return;
		flags = &sub->flags;
		away = SUBSCRIPTION_AWAY;
	}
	*flags = entry_format(e) == FORMAT_LEAVE ? *flags | away : *flags & ~away;
	KILL_POINT();
}

/* Redoes what follows from the entry in its sender's slot. */
static void
redo_sender(struct hub *h, uint64_t position, const struct entry_head *e)
{
	uint32_t i = slot_find(h, e->sender);
	struct slot *s;

	if (i == SHM_NONE)
		return;
	s = &h->slot[i];
	if (SHM_LOAD(s->committed_at) >= position)
		return;
	if (entry_format(e) == FORMAT_JOIN || entry_format(e) == FORMAT_LEAVE)
		redo_event(h, i, e);
	SHM_STORE(s->committed, e->input_end);
	SHM_STORE(s->committed_at, position);
}

/* Redoes what follows from one committed entry. */
static void
redo_entry(struct hub *h, uint64_t tail)
{
	uint8_t *p = entry_at(h, SHM_LOAD(index_of(h, tail)->at));
	struct presence_entry *c;
	struct entry_head e;

	if (p == NULL)
		return;
	memcpy(&e, p, sizeof(e));
	if (e.position != tail || e.channel >= h->n_entries)
		return;
	c = &h->entry[e.channel];
	if (SHM_LOAD(c->epoch) == e.epoch && SHM_LOAD(c->newest) < tail &&
	    (entry_format(&e) < FORMAT_JOIN ||
		entry_format(&e) == FORMAT_LEAP)) {
		SHM_STORE(c->offset, e.offset);
		SHM_STORE(c->newest, tail);
	}
	redo_sender(h, tail, &e);
}

/* Whether the ring has an entry of that position. */
static bool
position_fits(const struct hub *h, uint64_t position)
{
	struct entry_head e;
	uint8_t *p;

	if (position == 0 || position > JOURNAL_POSITION_MAX)
		return false;
	p = entry_at(h, SHM_LOAD(index_of(h, position)->at));
	if (p == NULL)
		return false;
	memcpy(&e, p, sizeof(e));
	return e.position == position;
}

bool
journal_is_sound(const struct hub *h)
{
	uint64_t tail = journal_tail(h);

	return tail >= h->tail && (tail == 0 || position_fits(h, tail));
}

/* Any position that the index leads to, by its first places; 0: none. */
static uint64_t
position_find(const struct hub *h)
{
	enum { PLACES = 64 };
	struct entry_head e;
	uint64_t k;
	uint8_t *p;

	for (k = 0; k < PLACES && k < h->n_index; k++) {
		p = entry_at(h, SHM_LOAD(h->index[k].at));
		if (p == NULL)
			continue;
		memcpy(&e, p, sizeof(e));
		if (e.position % h->n_index == k &&
		    position_fits(h, e.position))
			return e.position;
	}
	return 0;
}

/* The newest position, from one that fits: those up to it fit, and the places
 * of positions after it still have those of one index length before. */
static uint64_t
position_newest(const struct hub *h, uint64_t position)
{
	uint64_t low = 0, high = h->n_index, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (position_fits(h, position + middle))
			low = middle;
		else
			high = middle;
	}
	return position + low;
}

/*
 * The tail, mended if the ring has no entry of that position: the tail is
 * corrupted. Then the newest position is found from `redone`, from what this
 * process saw when it last had the lock, or from the index.
 */
static uint64_t
tail_mend(struct hub *h, uint64_t tail)
{
	const uint64_t seen[] = {tail, SHM_LOAD(h->heads->redone), h->tail};
	uint64_t best = 0;

	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (seen[i] > best && position_fits(h, seen[i]))
			best = seen[i];
	if (best != 0 && best == tail)
		return tail;
	if (best == 0)
		best = position_find(h);
	if (best != 0)
		best = position_newest(h, best);
	else /* the ring is empty, or corrupted as well */
		best = seen[1] < JOURNAL_POSITION_MAX / 2 ? seen[1] : h->tail;
	SHM_STORE(h->heads->tail, best);
	return best;
}

/* Whether the tail is sound: the ring has its entry, and no word says that the
 * tail was larger before. */
static bool
tail_is_newest(const struct hub *h, uint64_t tail)
{
	return tail >= h->tail && tail > SHM_LOAD(h->heads->redone) &&
	    position_fits(h, tail);
}

void
journal_redo(struct hub *h)
{
	uint64_t tail = journal_tail(h);

	/* it went neither back nor ahead by more than the index's length */
	if (SHM_LOAD(h->heads->redone) == tail &&
	    tail - h->tail <= h->n_index) {
		h->tail = tail;
		return;
	}
	h->tail = tail_is_newest(h, tail) ? tail : tail_mend(h, tail);
	tail = h->tail;
	if (SHM_LOAD(h->heads->redone) == tail)
		return;
	redo_entry(h, tail);
	SHM_STORE(h->heads->end, journal_end(h, tail));
	SHM_STORE(h->heads->redone, tail);
}

/* What `oldest` is once the bytes up to `end` and the index entry of `position`
 * are overwritten. */
static inline __attribute__((always_inline)) uint64_t
oldest_after(const struct hub *h, uint64_t position, uint64_t end)
{
	uint64_t oldest = journal_oldest(h);

	if (oldest > position || position - oldest >= h->n_index)
		oldest = position >= h->n_index ? position - h->n_index + 1 : 1;
	while (oldest < position &&
	    (index_place(SHM_LOAD(index_of(h, oldest)->at)) +
		    h->journal_size <
		end))
		oldest++;
	return oldest;
}

/* Moves `oldest` past what the bytes up to `end` and the index entry of
 * `position` will overwrite. */
static void
make_room(struct hub *h, uint64_t position, uint64_t end)
{
	uint64_t oldest = oldest_after(h, position, end);

	if (oldest != SHM_LOAD(h->heads->oldest))
		SHM_STORE(h->heads->oldest, oldest);
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
	    : journal_end(h, tail);
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
					       : p->command |
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
	if (publication_is_event(p))
		p->subscription = entry_subscription(e);
	else
		p->command = e->ordinal & ((1u << ENTRY_FLAGS) - 1);
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

uint64_t
journal_append(struct hub *h, struct publication *p)
{
	size_t n = publication_bytes(p);
	uint64_t end = entry_begin(h, n), mask;
	struct presence_entry *c = &h->entry[p->channel];
	struct index_entry *x;

	p->position = h->tail + 1;
	p->before = SHM_LOAD(c->offset);
	p->offset = p->before + !publication_is_event(p);
	p->previous = SHM_LOAD(c->newest);
	p->epoch = SHM_LOAD(c->epoch);
	mask = SHM_LOAD(c->mask);
	make_room(h, p->position, end + n);
	publication_encode(p, h->journal + (end & (h->journal_size - 1)));
	x = index_of(h, p->position);
	SHM_STORE(x->at, end);
	SHM_STORE(x->mask, mask);
	SHM_STORE(h->heads->tail, p->position);
	journal_redo(h);
	return mask;
}

uint64_t
journal_oldest_after(const struct hub *h, size_t bytes)
{
	return oldest_after(h, h->tail + 1, entry_begin(h, bytes) + bytes);
}

void
journal_hold(struct hub *h, unsigned holder, uint64_t position)
{
	SHM_STORE(h->heads->hold[holder], position);
}

uint64_t
journal_held(const struct hub *h)
{
	uint64_t lowest = UINT64_MAX, oldest = journal_oldest(h), position;

	for (unsigned k = 0; k < JOURNAL_HOLDS; k++) {
		position = SHM_LOAD(h->heads->hold[k]);
		if (position >= oldest && position < lowest)
			lowest = position;
	}
	return lowest;
}

uint64_t
journal_mask(const struct hub *h, uint64_t position)
{
	uint64_t mask;

	if (position == 0 || position > journal_tail(h))
		return 0;
	mask = SHM_LOAD(index_of(h, position)->mask);
	return position >= journal_oldest(h) ? mask : 0;
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
	p->user = (const char *)bytes + sizeof(e);
	p->info = p->user + p->user_len;
	p->sub_info = p->info + p->info_len;
	p->tags = p->sub_info + p->sub_info_len;
	p->data = p->tags + p->tags_len;
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

	if (position == 0 || position > journal_tail(h))
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
	if (position < journal_oldest(h))
		return JOURNAL_GONE;
	if (n == 0 || n > cap || publication_decode(buf, n, p) != n ||
	    p->position != position)
		return JOURNAL_BAD;
	return JOURNAL_OK;
}

void
journal_populate(struct hub *h)
{
	static uint64_t touched; /* bytes of the ring, in this process */
	uint64_t end;

	if (touched >= h->journal_size)
		return;
	end = SHM_LOAD(h->heads->end);
	if (end + POPULATE_AHEAD < touched)
		return;
	/* pages that cannot be touched ahead are touched when they are used */
	while (touched <= end + POPULATE_AHEAD && touched < h->journal_size) {
		(void)madvise(h->journal + touched,
		    h->journal_size - touched < POPULATE_STEP
			? h->journal_size - touched
			: POPULATE_STEP,
		    MADV_POPULATE_WRITE);
		touched += POPULATE_STEP;
	}
}

enum journal_result
journal_peek(const struct hub *h, uint64_t position, struct publication *p)
{
	struct entry_head e;
	uint64_t at;
	uint8_t *from;

	if (position == 0 || position > journal_tail(h))
		return JOURNAL_BAD;
	at = SHM_LOAD(index_of(h, position)->at);
	from = entry_at(h, at);
	if (from != NULL)
		memcpy(&e, from, sizeof(e));
	shm_copied();
	if (position < journal_oldest(h))
		return JOURNAL_GONE;
	if (from == NULL || e.position != position)
		return JOURNAL_BAD;
	head_take(&e, p);
	return JOURNAL_OK;
}
