/* The journal: its newest entries, as many as fit, one behind the other from
 * the ring's begin; positions stay. */
#include <string.h>

#include "convert.h"
#include "heads.h"
#include "hub/journal.h"
#include "hub/line.h"
#include "hub/slot.h"
#include "hub/subscription.h"

/* An entry of theirs. */
struct found {
	const uint8_t *head; /* NULL: it makes no sense */
	size_t more;	     /* bytes behind its head */
	uint64_t mask;
};

/* Bytes of one of theirs in their ring. */
static uint64_t
journal_their_bytes(const struct convert *c, uint64_t more)
{
	return (c->stride[C_ENTRY] + more + 7) & ~7ull;
}

/* Finds one of theirs. */
static struct found
journal_entry_find(const struct convert *c, uint64_t position)
{
	const uint64_t ring = c->count[N_JOURNAL];
	const uint8_t *x = convert_item(
	    c, R_INDEX, C_INDEX, position & (c->count[N_INDEX] - 1));
	struct found f = {.head = NULL};
	uint64_t place, data;
	const uint8_t *p;

	if (x == NULL)
		return f;
	f.mask = convert_get(c, F_INDEX_MASK, x);
	place = convert_get(c, F_INDEX_AT, x) & (ring - 1);
	if (place % 8 != 0 || place + c->stride[C_ENTRY] > ring)
		return f;
	p = c->region[R_JOURNAL] + place;
	data = convert_get(c, F_ENTRY_DATA, p);
	f.more = data + convert_get(c, F_ENTRY_USER, p) +
	    convert_get(c, F_ENTRY_INFO, p) +
	    convert_get(c, F_ENTRY_SUB_INFO, p) +
	    convert_get(c, F_ENTRY_TAGS, p);
	if (data <= ring && f.more <= ring &&
	    place + journal_their_bytes(c, f.more) <= ring &&
	    convert_get(c, F_ENTRY_POSITION, p) == position)
		f.head = p;
	return f;
}

/* Bytes that it takes in our ring. */
static uint64_t
journal_our_bytes(const struct found *f)
{
	return f->head != NULL ? journal_entry_bytes(0, f->more) : 0;
}

/* The oldest position from which on all fit into our ring. */
static uint64_t
journal_oldest_fitting(const struct convert *c, uint64_t oldest, uint64_t tail)
{
	uint64_t bytes = 0, position;
	struct found f;

	for (position = tail; position >= oldest && position > 0; position--) {
		f = journal_entry_find(c, position);
		bytes += journal_our_bytes(&f);
		if (bytes > c->hub.journal_size ||
		    journal_our_bytes(&f) >
			c->hub.journal_size / JOURNAL_SHARE ||
		    tail - position >= c->hub.n_index)
			break;
	}
	return position + 1;
}

/* Writes one at a place of our ring. */
static bool
journal_entry_copy(struct convert *c, const struct found *f, uint64_t at)
{
	struct entry_head e;
	uint8_t *to = c->hub.journal + at;

	memset(&e, 0, sizeof(e));
	if (!convert_record(c, C_ENTRY, f->head, &e))
		return false;
	/* the lengths as they were checked */
	if (journal_entry_bytes(e.user_len,
		(size_t)e.info_len + e.sub_info_len + e.tags_len +
		    e.data_len) != journal_our_bytes(f))
		return convert_fail(c, "the journal changes");
	e.channel = convert_entry(c, e.channel);
	memcpy(to, &e, sizeof(e));
	memcpy(to + sizeof(e), f->head + c->stride[C_ENTRY], f->more);
	c->result->messages++;
	KILL_POINT();
	return true;
}

/* Copies all from a position on. */
static bool
journal_copy(struct convert *c, uint64_t oldest, uint64_t tail)
{
	uint64_t at = 0, position;
	struct index_entry *x;
	struct found f;

	for (position = oldest; position <= tail; position++) {
		f = journal_entry_find(c, position);
		x = &c->hub.index[position & (c->hub.n_index - 1)];
		x->at = at;
		x->mask = f.head != NULL ? f.mask : 0;
		if (at + journal_our_bytes(&f) > c->hub.journal_size)
			return convert_fail(c, "the journal changes");
		if (f.head != NULL && !journal_entry_copy(c, &f, at))
			return false;
		at += journal_our_bytes(&f);
	}
	c->hub.heads->end = at;
	return true;
}

/* Copies what readers hold; false: that does not go over. */
static bool
journal_holds_fit(struct convert *c, uint64_t oldest)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint32_t n =
	    (uint32_t)(c->field[F_HEADS_HOLD]->size / sizeof(uint64_t));

	for (uint32_t k = 0; k < n && k < JOURNAL_HOLDS; k++) {
		uint64_t hold = convert_get_of(c, F_HEADS_HOLD, heads, k, n);

		c->hub.heads->hold[k] = hold;
		if (hold != 0 && hold < oldest)
			return convert_fail(c,
			    "journal: a reader still needs %llu messages, "
			    "which do not fit; raise the key `journal`",
			    (unsigned long long)(oldest - hold));
	}
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

bool
convert_journal(struct convert *c)
{
	const uint8_t *heads = convert_item(c, R_HEADS, C_HEADS, 0);
	const uint64_t tail = convert_get(c, F_HEADS_TAIL, heads);
	const uint64_t index = c->count[N_INDEX];
	uint64_t was = convert_get(c, F_HEADS_OLDEST, heads), oldest;
	struct found last = journal_entry_find(c, tail);

	if (tail > JOURNAL_POSITION_MAX || (tail > 0 && last.head == NULL))
		return convert_fail(c, "the journal's end is corrupted");
	if (was > tail + 1 || (tail >= index && was < tail - index + 1))
		was = tail >= index ? tail - index + 1 : 1;
	if (was == 0)
		was = 1;
	oldest = journal_oldest_fitting(c, was, tail);
	/* what their ring has overwritten is needed no more */
	if (!journal_cursors_fit(c, oldest == was ? 0 : oldest) ||
	    !journal_holds_fit(c, oldest == was ? 0 : oldest))
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
	at = h->journal + h->index[tail & (h->n_index - 1)].at;
	memcpy(&e, at, sizeof(e));
	if ((e.format != FORMAT_JOIN && e.format != FORMAT_LEAVE) ||
	    e.ordinal == 0)
		return;
	e.ordinal = journal_subscription(h, e.sender, (uint32_t)e.channel);
	memcpy(at, &e, sizeof(e));
}
