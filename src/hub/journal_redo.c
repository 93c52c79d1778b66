/* journal_redo: what follows from a committed entry, and the mending of the
 * journal's end. */
#include "hub/presence.h"
#include "hub/reader.h"
#include "hub/slot.h"
#include "hub/subscription.h"
#include "mask.h"
#include "ring.h"

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
	*flags =
	    entry_format(e) == FORMAT_LEAVE ? *flags | away : *flags & ~away;
	KILL_POINT();
}

/* A publication of a connection's. That it waits is stored first: who sees the
 * position knows what to make of the word. */
static void
redo_said(
    struct hub *h, uint32_t slot, uint64_t position, const struct entry_head *e)
{
	struct slot *s = &h->slot[slot];

	if (SHM_LOAD(s->committed_at) >= position)
		return;
	if (entry_flags(e) & PUBLICATION_WAITS)
		SHM_STORE(s->awaits, AWAITS_RESULT);
	SHM_STORE(s->committed, e->input_end);
	SHM_STORE(s->committed_at, position);
}

/* The answer to a publication of a connection's; it may have come too late. */
static void
redo_result(struct hub *h, uint32_t slot, const struct entry_head *e)
{
	struct slot *s = &h->slot[slot];
	uint32_t error = entry_error(e);

	if (SHM_LOAD(s->committed_at) == e->input_end &&
	    SHM_LOAD(s->awaits) == AWAITS_RESULT)
		SHM_STORE(s->awaits, (uint8_t)(AWAITS_DONE + error));
}

/* Redoes what follows from the entry in its sender's slot. */
static void
redo_sender(struct hub *h, uint64_t position, const struct entry_head *e)
{
	uint32_t i = slot_find(h, e->sender);

	if (i == SHM_NONE)
		return;
	if (entry_is_said(e)) {
		redo_said(h, i, position, e);
		return;
	}
	switch (entry_format(e)) {
	case FORMAT_JOIN:
	case FORMAT_LEAVE:
		redo_event(h, i, e);
		break;
	case FORMAT_RESULT:
		redo_result(h, i, e);
		break;
	case FORMAT_CONNECT:
		h->slot[i].flags |= SLOT_TOLD;
		KILL_POINT();
		break;
	case FORMAT_DISCONNECT:
		h->slot[i].flags &= ~SLOT_TOLD;
		KILL_POINT();
		break;
	}
}

/* Where a channel stands, from its opener: the store of `flags` is the last. */
static void
redo_opened(struct hub *h, const struct entry_head *e)
{
	struct presence_entry *c = &h->entry[e->channel];
	uint8_t flags = SHM_LOAD(c->flags);

	if (PRESENCE_WARMTH_OF(flags) != PRESENCE_OPENING)
		return;
	flags = PRESENCE_WARM(flags, PRESENCE_COLD);
	if (entry_error(e) == RESULT_OK) {
		SHM_STORE(h->stream[e->channel], e->input_end);
		if (SHM_LOAD(c->offset) < e->offset)
			SHM_STORE(c->offset, e->offset);
		flags = PRESENCE_WARM(flags, PRESENCE_OPEN);
	}
	SHM_STORE(c->flags, flags);
}

/* Redoes what follows from the entry in its channel. */
static void
redo_channel(struct hub *h, uint64_t position, const struct entry_head *e)
{
	struct presence_entry *c = &h->entry[e->channel];
	uint8_t flags;

	if (entry_is_chained(e) && SHM_LOAD(c->newest) < position) {
		SHM_STORE(c->offset, e->offset);
		SHM_STORE(c->newest, position);
		return;
	}
	switch (entry_format(e)) {
	case FORMAT_OPEN:
		flags = SHM_LOAD(c->flags);
		if (PRESENCE_WARMTH_OF(flags) == PRESENCE_COLD)
			SHM_STORE(
			    c->flags, PRESENCE_WARM(flags, PRESENCE_OPENING));
		break;
	case FORMAT_OPENED:
		redo_opened(h, e);
		break;
	case FORMAT_ONLINE:
	case FORMAT_OFFLINE:
	case FORMAT_OCCUPIED:
	case FORMAT_VACATED:
		presence_mask_redo(h, e->channel, e->input_end);
		break;
	}
}

/* Redoes what follows from one committed entry. */
static void
redo_entry(struct hub *h, uint64_t tail)
{
	uint8_t *p = entry_at(h, SHM_LOAD(index_of(h, tail)->at));
	struct entry_head e;

	if (p == NULL)
		return;
	memcpy(&e, p, sizeof(e));
	if (e.position != tail || e.channel >= h->n_entries)
		return;
	if (SHM_LOAD(h->entry[e.channel].epoch) == e.epoch)
		redo_channel(h, tail, &e);
	redo_sender(h, tail, &e);
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
	uint64_t tail = ring_tail(h);

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
	SHM_STORE(h->heads->end, ring_end(h, tail));
	SHM_STORE(h->heads->redone, tail);
}
