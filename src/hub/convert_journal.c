/* The journal: its newest entries, as many as fit, one behind the other from
 * the ring's begin; positions stay. */
#include <string.h>

#include "convert.h"
#include "heads.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/slot.h"
#include "hub/subscription.h"

/* Whether theirs says what readers need of an entry. */
static bool
journal_has_readers(const struct convert *c)
{
	return c->field[F_ENTRY_BEFORE] != NULL;
}

struct convert_found
convert_found_at(const struct convert *c, enum convert_region r, uint64_t place,
    uint64_t ring)
{
	struct convert_found f = {.head = NULL};
	const uint8_t *p = c->region[r] + place;
	uint64_t data;

	if (place % 8 != 0 || place + c->stride[C_ENTRY] > ring)
		return f;
	data = convert_get(c, F_ENTRY_DATA, p);
	f.position = convert_get(c, F_ENTRY_POSITION, p);
	f.more = data + convert_get(c, F_ENTRY_USER, p) +
	    convert_get(c, F_ENTRY_INFO, p) +
	    convert_get(c, F_ENTRY_SUB_INFO, p) +
	    convert_get(c, F_ENTRY_TAGS, p);
	if (journal_has_readers(c))
		f.required = (uint8_t)(convert_get(c, F_ENTRY_FORMAT, p) >>
				 ENTRY_REQUIRED) &
		    c->hub.readers;
	if (data <= ring && f.more <= ring &&
	    place + convert_found_theirs(c, &f) <= ring)
		f.head = p;
	return f;
}

struct convert_found
convert_found(const struct convert *c, uint64_t position)
{
	const uint64_t ring = c->count[N_JOURNAL];
	const uint8_t *x = convert_item(
	    c, R_INDEX, C_INDEX, position & (c->count[N_INDEX] - 1));
	struct convert_found f = {.head = NULL};
	uint64_t at;

	if (x == NULL)
		return f;
	at = convert_get(c, F_INDEX_AT, x);
	f = convert_found_at(c, R_JOURNAL,
	    (journal_has_readers(c) ? index_place(at) : at) & (ring - 1), ring);
	if (f.position != position)
		f.head = NULL;
	f.mask = convert_get(c, F_INDEX_MASK, x);
	if (journal_has_readers(c))
		f.readers = index_readers(at) & c->hub.readers;
	return f;
}

uint64_t
convert_found_theirs(const struct convert *c, const struct convert_found *f)
{
	return (c->stride[C_ENTRY] + f->more + 7) & ~7ull;
}

uint64_t
convert_found_ours(const struct convert_found *f)
{
	return f->head != NULL ? journal_entry_bytes(0, f->more) : 0;
}

/* Fills in what an entry's head has in parts of words, and what an older layout
 * does not say: there offsets of a channel have no gaps, and all 32 bits of
 * `ordinal` are the command's. */
static bool
journal_head_finish(
    struct convert *c, const struct convert_found *f, struct entry_head *e)
{
	const bool has = journal_has_readers(c);
	uint64_t format = convert_get(c, F_ENTRY_FORMAT, f->head);

	if (has)
		format &= FORMATS - 1;
	if (!convert_value(c, &c->format, &format))
		return false;
	if (format >= FORMATS)
		format = FORMATS - 1; /* corrupted: it is nobody's */
	e->format = (uint8_t)(format | f->required << ENTRY_REQUIRED);
	if (has)
		return true;
	if (format < FORMAT_JOIN) {
		e->before = e->offset - (e->offset != 0);
		e->ordinal &= (1u << ENTRY_FLAGS) - 1;
	} else
		e->before = e->offset;
	return true;
}

bool
convert_found_copy(
    struct convert *c, const struct convert_found *f, uint8_t *to)
{
	struct entry_head e;

	memset(&e, 0, sizeof(e));
	if (!convert_record(c, C_ENTRY, f->head, &e) ||
	    !journal_head_finish(c, f, &e))
		return false;
	/* the lengths as they were checked */
	if (journal_entry_bytes(e.user_len,
		(size_t)e.info_len + e.sub_info_len + e.tags_len +
		    e.data_len) != convert_found_ours(f))
		return convert_fail(c, "the journal changes");
	e.channel = convert_entry(c, e.channel);
	memcpy(to, &e, sizeof(e));
	memcpy(to + sizeof(e), f->head + c->stride[C_ENTRY], f->more);
	c->result->messages++;
	KILL_POINT();
	return true;
}

/* The oldest position from which on all fit into our ring. */
static uint64_t
journal_oldest_fitting(const struct convert *c, uint64_t oldest, uint64_t tail)
{
	uint64_t bytes = 0, position;
	struct convert_found f;

	for (position = tail; position >= oldest && position > 0; position--) {
		f = convert_found(c, position);
		bytes += convert_found_ours(&f);
		if (bytes > c->hub.journal_size ||
		    convert_found_ours(&f) >
			c->hub.journal_size / JOURNAL_SHARE ||
		    tail - position >= c->hub.n_index)
			break;
	}
	return position + 1;
}

/* Copies all from a position on. */
static bool
journal_copy(struct convert *c, uint64_t oldest, uint64_t tail)
{
	uint64_t at = 0, position;
	struct index_entry *x;
	struct convert_found f;

	for (position = oldest; position <= tail; position++) {
		f = convert_found(c, position);
		x = &c->hub.index[position & (c->hub.n_index - 1)];
		x->at = at | f.readers;
		x->mask = f.head != NULL ? f.mask : 0;
		if (at + convert_found_ours(&f) > c->hub.journal_size)
			return convert_fail(c, "the journal changes");
		if (f.head != NULL &&
		    !convert_found_copy(c, &f, c->hub.journal + at))
			return false;
		at += convert_found_ours(&f);
	}
	c->hub.heads->end = at;
	return true;
}

/* Whether a worker has still to deliver what does not go over. */
static bool
journal_cursors_fit(struct convert *c, uint64_t oldest)
{
	for (int k = 0; k < SHM_WORKERS; k++) {
		const uint8_t *w = convert_item(c, R_LINE, C_LINE, (uint64_t)k);
		uint64_t cursor =
		    w != NULL ? convert_get(c, F_LINE_CURSOR, w) : 0;

		c->hub.line[k].cursor = cursor;
		if (cursor != 0 && cursor + 1 < oldest)
			return convert_fail(c,
			    "journal: worker %d has %llu messages to deliver, "
			    "which do not fit; raise the key `journal`",
			    k, (unsigned long long)(oldest - 1 - cursor));
	}
	return true;
}

uint64_t
convert_oldest(const struct convert *c, uint64_t tail)
{
	const uint64_t index = c->count[N_INDEX];
	const uint64_t oldest = convert_get(
	    c, F_HEADS_OLDEST, convert_item(c, R_HEADS, C_HEADS, 0));
	const uint64_t lowest = tail >= index ? tail - index + 1 : 1;

	return oldest < lowest || oldest > tail + 1 ? lowest : oldest;
}

bool
convert_journal(struct convert *c)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint64_t tail = convert_get(c, F_HEADS_TAIL, heads);
	struct convert_found last = convert_found(c, tail);
	uint64_t was, oldest;

	if (tail > JOURNAL_POSITION_MAX || (tail > 0 && last.head == NULL))
		return convert_fail(c, "the journal's end is corrupted");
	was = convert_oldest(c, tail);
	oldest = journal_oldest_fitting(c, was, tail);
	/* what their ring has overwritten is needed no more */
	if (!journal_cursors_fit(c, oldest == was ? 0 : oldest))
		return false;
	if (!journal_copy(c, oldest, tail))
		return false;
	KILL_POINT();
	c->hub.heads->oldest = oldest;
	c->hub.heads->tail = tail;
	/* who had the lock last may have died before it had done what follows
	 * from the newest entry: who takes it next does that */
	c->hub.heads->redone =
	    convert_get(c, F_HEADS_REDONE, heads) == tail || tail == 0
	    ? tail
	    : tail - 1;
	return true;
}

/* The number of a connection's subscription to a channel, + 1. */
static uint32_t
journal_subscription(const struct hub *h, uint64_t conn, uint32_t channel)
{
	const uint32_t i = (uint32_t)conn;
	struct subscription_walk w;
	uint32_t sub;

	if (i >= h->n_slots || slot_id(h, i) != conn)
		return UINT32_MAX; /* leads nowhere */
	w = (struct subscription_walk){
	    conn, h->slot[i].subscriptions, SUBSCRIPTIONS_MAX};
	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE)
		if (h->subscription[sub].channel == channel + 1)
			return sub + 1;
	return UINT32_MAX;
}

void
convert_newest(struct convert *c)
{
	struct hub *h = &c->hub;
	const uint64_t tail = h->heads->tail;
	struct entry_head e;
	uint8_t *at;

	if (tail == 0 || h->heads->redone == tail)
		return;
	at = h->journal + index_place(h->index[tail & (h->n_index - 1)].at);
	memcpy(&e, at, sizeof(e));
	if ((entry_format(&e) != FORMAT_JOIN &&
		entry_format(&e) != FORMAT_LEAVE) ||
	    e.ordinal == 0)
		return;
	e.ordinal = journal_subscription(h, e.sender, (uint32_t)e.channel);
	memcpy(at, &e, sizeof(e));
}
