/* reader_answer: what a reader appends. */
#include <stdlib.h>

#include "base/clock.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "hub/slot.h"
#include "ring.h"

/* Answers in one hold of the lock; what they deliver has JOURNAL_STEP bytes,
 * and one publication's. Larger: publishers wait for longer; smaller: it is
 * taken more often. */
enum { ANSWER_STEP = 64 };

/* Whether a channel's entry is still that incarnation. */
static bool
answer_is_current(const struct hub *h, uint32_t channel, uint32_t epoch)
{
	return channel < h->n_entries &&
	    SHM_LOAD(h->entry[channel].epoch) == epoch && epoch != 0;
}

/* Whether the ring takes a publication: a reader may have one from when the
 * journal was larger. */
static bool
answer_fits(const struct hub *h, const struct publication *p)
{
	return publication_bytes(p) <= entry_max(h);
}

/* Delivers a proposed publication. False: its channel is another one now, or
 * has that offset already, or the ring does not take it. Lock held. */
static bool
answer_deliver(struct reader *r, struct reader_answer *a, uint64_t *workers)
{
	struct publication p = *a->deliver;
	const struct presence_entry *c;
	struct hub *h = r->h;
	uint8_t flags;

	if (!answer_is_current(h, p.channel, p.epoch) || !answer_fits(h, &p))
		return false;
	c = &h->entry[p.channel];
	flags = SHM_LOAD(c->flags);
	p.before = SHM_LOAD(c->offset);
	p.offset = a->offset != 0 ? a->offset : p.before + 1;
	if (p.offset <= p.before)
		return false;
	p.answers = a->position;
	p.flags = PUBLICATION_AGAIN;
	p.required = (uint8_t)(PRESENCE_REQUIRES(flags) & ~r->bit);
	*workers |= journal_append_at(h, &p,
	    (uint8_t)(PRESENCE_READERS(flags) & ~r->bit), SHM_LOAD(c->mask));
	a->offset = p.offset;
	return true;
}

/* The worker that is to have an answer: a bit; 0: nobody waits. */
static uint64_t
answer_worker(const struct hub *h, const struct reader_answer *a)
{
	uint32_t i = slot_find(h, a->sender), worker;

	if (!(a->flags & PUBLICATION_WAITS))
		return 0;
	if (a->sender == 0)
		worker = a->command - 1;
	else
		worker =
		    i != SHM_NONE ? (uint32_t)slot_holder(h, i) : SHM_WORKERS;
	return worker < SHM_WORKERS ? 1ull << worker : 0;
}

/* Gives one answer. Lock held. Returns the workers to be told. */
static uint64_t
answer_give(struct reader *r, struct reader_answer *a)
{
	struct hub *h = r->h;
	uint64_t workers = 0, worker;
	struct publication p;

	if (a->deliver != NULL && a->error == RESULT_OK &&
	    !answer_deliver(r, a, &workers))
		/* with an offset of the reader's own, the reader has it: a
		 * client that tries again would publish it twice */
		a->error = a->offset != 0 ? RESULT_UNKNOWN : RESULT_TEMPORARY;
	worker = answer_worker(h, a);
	if (worker != 0 && a->channel < h->n_entries) {
		p = (struct publication){.sender = a->sender,
		    .answers = a->position,
		    .offset = a->offset,
		    .channel = a->channel,
		    .format = FORMAT_RESULT,
		    .time_ms = clock_wall_coarse_ms(),
		    .error = a->error,
		    .data = ""};
		workers |= journal_append_at(h, &p, 0, worker);
	}
	SHM_STORE(h->mine->settled, a->position);
	return workers;
}

/* Bytes of what an answer delivers. */
static size_t
answer_bytes(const struct hub *h, const struct reader_answer *a)
{
	return a->deliver != NULL && answer_fits(h, a->deliver)
	    ? publication_bytes(a->deliver)
	    : 0;
}

uint64_t
reader_answer(struct reader *r, struct reader_answer *answers, size_t n)
{
	uint64_t workers = 0;
	size_t first, bytes;

	for (size_t k = 0; k < n;) {
		first = k;
		bytes = answer_bytes(r->h, &answers[k]);
		journal_lock(r->h, bytes);
		do {
			workers |= answer_give(r, &answers[k]);
			if (++k < n)
				bytes += answer_bytes(r->h, &answers[k]);
		} while (
		    k < n && k - first < ANSWER_STEP && bytes <= JOURNAL_STEP);
		hub_unlock(r->h);
	}
	return workers;
}

void
reader_settled(struct reader *r, uint64_t position)
{
	SHM_STORE(r->h->mine->settled, position);
}

/* What a new reader knows of the positions above `from` up to `to`. */
struct unsettled {
	const struct reader *r;
	uint64_t from, to;
	uint8_t *seen; /* [to - from] */
};

enum { UNSETTLED_DELIVERED = 1, UNSETTLED_ANSWERED = 2 };

/* Notes what an entry says of another one. */
static void
unsettled_note(struct unsettled *u, const struct publication *p)
{
	if (p->answers <= u->from || p->answers > u->to)
		return;
	if (p->format == FORMAT_RESULT)
		u->seen[p->answers - u->from - 1] |= UNSETTLED_ANSWERED;
	else if (p->flags & PUBLICATION_AGAIN)
		u->seen[p->answers - u->from - 1] |= UNSETTLED_DELIVERED;
}

/* Whether a publication that asks is still to be answered, or delivered. */
static bool
unsettled_is_due(
    const struct unsettled *u, const struct publication *p, uint8_t seen)
{
	const struct hub *h = u->r->h;
	uint32_t i;

	if (seen & UNSETTLED_ANSWERED || !reader_is_asked(u->r, p))
		return false;
	if (p->flags & PUBLICATION_PROPOSED && !(seen & UNSETTLED_DELIVERED))
		return true;
	if (!(p->flags & PUBLICATION_WAITS))
		return false;
	if (p->sender == 0)
		return true;
	i = slot_find(h, p->sender);
	return i != SHM_NONE && SHM_LOAD(h->slot[i].awaits) == AWAITS_RESULT &&
	    SHM_LOAD(h->slot[i].committed_at) == p->position;
}

/* Gives a proposed publication that was delivered the offset that it has got.
 */
static void
unsettled_deliver(const struct hub *h, struct publication *p)
{
	uint64_t tail = ring_tail(h);
	struct publication again;

	p->flags &= (uint8_t)~PUBLICATION_PROPOSED;
	for (uint64_t at = p->position + 1; at <= tail; at++)
		if (journal_peek(h, at, &again) == JOURNAL_OK &&
		    again.flags & PUBLICATION_AGAIN &&
		    again.answers == p->position)
			p->offset = again.offset;
}

/* Reads a publication that its reader took, and calls it if it is due. */
static void
unsettled_call(const struct unsettled *u, uint64_t position, void *buf,
    size_t cap,
    void (*found)(void *arg, const struct publication *p, bool delivered),
    void *arg)
{
	uint8_t seen = u->seen[position - u->from - 1];
	bool delivered = (seen & UNSETTLED_DELIVERED) != 0;
	const struct hub *h = u->r->h;
	struct publication p;

	if (!(journal_readers(h, position) & u->r->bit) ||
	    journal_read(h, position, buf, cap, &p) != JOURNAL_OK ||
	    !unsettled_is_due(u, &p, seen))
		return;
	if (delivered)
		unsettled_deliver(h, &p);
	found(arg, &p, delivered);
}

int
reader_unsettled(struct reader *r, void *buf, size_t cap,
    void (*found)(void *arg, const struct publication *p, bool delivered),
    void *arg)
{
	uint64_t tail = ring_tail(r->h), at;
	struct unsettled u = {.r = r,
	    .from = SHM_LOAD(r->h->mine->settled),
	    .to = r->passed < tail ? r->passed : tail};
	struct publication p;

	if (tail > r->h->n_index && u.from < tail - r->h->n_index)
		u.from = tail - r->h->n_index;
	if (u.from >= u.to)
		return 0;
	/* not more than the ring's entries */
	u.seen = calloc(1, (size_t)(u.to - u.from));
	if (u.seen == NULL)
		return -1;
	for (at = u.from + 1; at <= tail; at++)
		if (journal_peek(r->h, at, &p) == JOURNAL_OK)
			unsettled_note(&u, &p);
	for (at = u.from + 1; at <= u.to; at++)
		unsettled_call(&u, at, buf, cap, found, arg);
	free(u.seen);
	return 0;
}

/* Whether a channel waits to be opened. Lock held. */
static bool
opening_waits(const struct hub *h, uint32_t channel, uint32_t epoch)
{
	return answer_is_current(h, channel, epoch) &&
	    PRESENCE_WARMTH_OF(SHM_LOAD(h->entry[channel].flags)) ==
	    PRESENCE_OPENING;
}

/* Keeps one of a channel's publications in the ring, if it is newer than what
 * that has. Lock held. */
static void
opening_keep(struct hub *h, uint32_t channel, const struct publication *pub)
{
	struct publication p = *pub;

	p.channel = channel;
	p.flags = PUBLICATION_AGAIN;
	p.answers = 0;
	p.required = 0;
	if (p.offset > SHM_LOAD(h->entry[channel].offset))
		journal_append_at(h, &p, 0, 0);
}

/* A channel's offsets go on from `offset`. Lock held. Returns the mask. */
static uint64_t
opening_leap(struct hub *h, uint32_t channel, uint64_t offset, uint64_t before,
    uint64_t mask)
{
	struct publication p = {.channel = channel,
	    .format = FORMAT_LEAP,
	    .time_ms = clock_wall_coarse_ms(),
	    .flags = PUBLICATION_AGAIN,
	    .offset = offset,
	    .before = before,
	    .data = ""};

	return journal_append_at(h, &p, 0, mask);
}

/* The last step: the channel is open, or cold again. Lock held. */
static void
opening_end(struct hub *h, uint32_t channel, const struct reader_opening *o)
{
	uint64_t offset = SHM_LOAD(h->entry[channel].offset);
	struct publication p = {.channel = channel,
	    .format = FORMAT_OPENED,
	    .time_ms = clock_wall_coarse_ms(),
	    .error = o->error,
	    .stream = o->stream,
	    .data = ""};

	if (o->error == RESULT_OK && o->top > offset)
		offset = o->top;
	p.before = offset;
	if (o->error == RESULT_OK && o->leap > offset) {
		/* who has the newest one misses nothing, in the ring or not */
		opening_leap(h, channel, o->leap, offset, 0);
		p.before = offset = o->leap;
	}
	p.offset = offset;
	journal_append_at(h, &p, 0, UINT64_MAX);
}

uint64_t
reader_opened(struct reader *r, uint32_t channel, uint32_t epoch,
    const struct reader_opening *o)
{
	size_t n = o->error == RESULT_OK ? o->n : 0;
	struct hub *h = r->h;
	bool waits = true;

	for (size_t k = 0; k <= n && waits; k++) {
		if (k < n && !answer_fits(h, &o->pubs[k]))
			continue;
		journal_lock(h, k < n ? publication_bytes(&o->pubs[k]) : 0);
		waits = opening_waits(h, channel, epoch);
		if (waits && k < n)
			opening_keep(h, channel, &o->pubs[k]);
		else if (waits)
			opening_end(h, channel, o);
		hub_unlock(h);
	}
	return waits ? UINT64_MAX : 0;
}

uint64_t
reader_load(struct reader *r, const char *name, size_t len,
    const struct reader_opening *o)
{
	struct hub *h = r->h;
	uint32_t channel, epoch = 0;
	uint8_t flags;

	hub_lock(h);
	channel = presence_make(h, name, len);
	flags = presence_flags(h, channel);
	if (channel != SHM_NONE && presence_opener(flags) == r->bit &&
	    PRESENCE_WARMTH_OF(flags) == PRESENCE_COLD) {
		epoch = SHM_LOAD(h->entry[channel].epoch);
		/* a successor opens it, reader_opening() */
		SHM_STORE(h->entry[channel].flags,
		    PRESENCE_WARM(flags, PRESENCE_OPENING));
	}
	hub_unlock(h);
	return epoch != 0 ? reader_opened(r, channel, epoch, o) : 0;
}

uint64_t
reader_leap(struct reader *r, uint32_t channel, uint32_t epoch, uint64_t offset,
    bool hole)
{
	struct hub *h = r->h;
	uint64_t before, mask = 0;

	hub_lock(h);
	if (answer_is_current(h, channel, epoch)) {
		before = SHM_LOAD(h->entry[channel].offset);
		if (offset > before && hole)
			/* it names none that there is */
			mask = opening_leap(h, channel, offset, offset,
			    SHM_LOAD(h->entry[channel].mask));
		else if (offset > before)
			opening_leap(h, channel, offset, before, 0);
	}
	hub_unlock(h);
	return mask;
}

uint64_t
reader_renew(struct reader *r, uint32_t channel, uint32_t epoch,
    uint64_t stream, uint64_t above)
{
	const struct reader_opening o = {.stream = stream};
	struct hub *h = r->h;
	uint64_t offset, mask = 0;
	bool mine;
	uint8_t flags;

	hub_lock(h);
	flags = presence_flags(h, channel);
	mine = answer_is_current(h, channel, epoch) &&
	    PRESENCE_WARMTH_OF(flags) == PRESENCE_OPEN &&
	    presence_opener(flags) == r->bit;
	if (mine) {
		/* first: then it is told, also if another process opens it */
		offset = SHM_LOAD(h->entry[channel].offset);
		offset = (offset > above ? offset : above) + 1;
		mask = opening_leap(h, channel, offset, offset,
		    SHM_LOAD(h->entry[channel].mask));
		SHM_STORE(h->entry[channel].flags,
		    PRESENCE_WARM(flags, PRESENCE_OPENING));
	}
	hub_unlock(h);
	return mine ? mask | reader_opened(r, channel, epoch, &o) : 0;
}
