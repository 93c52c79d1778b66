/* deliver: from the journal to the connections of this worker, in index
 * order. */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "conn/hold.h"
#include "conn/turn.h"
#include "delivery.h"
#include "hub/stats.h"
#include "room/publish.h"
#include "room/relay.h"

/*
 * Publications a turn; then the output is written. Larger: a turn takes longer;
 * smaller: more writes. A turn also appends no more to a connection than half
 * of `queue`.
 */
enum { DELIVER_MAX = 256 };

/*
 * A turn whose publications have many receivers gathers: it looks at input
 * again before it writes, so that what its clients and other workers say
 * meanwhile leaves in the same write.
 */
enum {
	/* Receivers here of each publication of the turn before, from which on
	 * it does. Larger: less is saved; smaller: looking costs more than
	 * writing. */
	GATHER_FROM = 16,
	/* Looks on end that find nothing. Larger: costs more when nothing is
	 * coming; smaller: misses what the others are about to say. */
	GATHER_VAIN = 2,
	/* From the turn's first event on. Larger: more leaves in one write;
	 * smaller: what was said first waits less. */
	GATHER_US = 10000
};

enum journal_result
publication_read(struct chat *ch, uint64_t position, struct publication *p)
{
	return journal_read(ch->hub, position, ch->rooms->copy,
	    ch->hub->journal_size / JOURNAL_SHARE, p);
}

/* The ring has overwritten publications that this worker had not delivered
 * yet. */
static void
overrun(struct chat *ch)
{
	const struct follower *f = &ch->rooms->follower;

	log_error("too slow: %llu publications are lost (a larger `journal` "
		  "would have kept them)",
	    (unsigned long long)(f->to - f->from - 1));
	SHM_COUNT(ch->hub->me->overrun, f->to - f->from - 1);
	if (ch->rooms->hole.to != f->from + 1) /* else it grows */
		ch->rooms->hole.from = f->from;
	ch->rooms->hole.to = f->to;
	hole_mark_all(ch, &ch->rooms->hole);
	hold_lost(ch); /* answers may have been among them */
}

/* Whether a publication's sender is a connection of this worker. */
static bool
deliver_is_own(const struct hub *h, const struct publication *p)
{
	return p->sender != 0 && slot_find(h, p->sender) != SHM_NONE &&
	    slot_holder(h, (uint32_t)p->sender) == h->self;
}

/* Delivers the publication that was found; false if it is not there any more.
 */
static bool
deliver_found(struct chat *ch, struct follower *f)
{
	struct publication p;

	if (!relay_find(ch, f->position, &p)) {
		switch (follower_read(f, ch->rooms->copy,
		    ch->hub->journal_size / JOURNAL_SHARE, &p)) {
		case JOURNAL_GONE:
			return false;
		case JOURNAL_BAD:
			log_error("publication %llu cannot be read: shared "
				  "memory is corrupted",
			    (unsigned long long)f->position);
			return true;
		default:
			break;
		}
		if (!deliver_is_own(ch->hub, &p))
			SHM_COUNT(ch->hub->me->from_journal, 1);
	}
	ch->rooms->turn.bytes += delivery_all(ch, &p);
	return true;
}

/* The note of what was in hand before a publication, perhaps the input that
 * published it. */
struct in_hand {
	uint32_t what;
	uint64_t arg;
};

/* Notes that a publication is in hand: it is to blame if the worker dies
 * now. */
static struct in_hand
hand_take(struct shm_line *mine, uint64_t position)
{
	struct in_hand was = {SHM_OWN(mine->hand), SHM_OWN(mine->hand_arg)};

	SHM_STORE(mine->hand_arg, position);
	SHM_STORE(mine->hand, HAND_DELIVERY);
	return was;
}

/* Back to what it was before. */
static void
hand_return(struct shm_line *mine, struct in_hand was)
{
	SHM_STORE(mine->hand_arg, was.arg);
	SHM_STORE(mine->hand, was.what);
}

/* Delivers the publication that was found, which is to blame if this worker
 * dies meanwhile. False if it is not there any more. */
static bool
deliver_at(struct chat *ch, struct follower *f)
{
	struct shm_line *mine = ch->hub->mine;
	struct in_hand was = hand_take(mine, f->position);
	bool there = deliver_found(ch, f);

	hand_return(mine, was);
	line_tick(ch->hub);
	if (there)
		follower_done(f);
	return there;
}

/* Finds the next publication that is for this worker; false: there is none.
 * None while a suspected one is waited for, as later ones must not be delivered
 * before it. */
static bool
deliver_find(struct chat *ch, struct follower *f)
{
	const struct timespec nap = {0, 1000000};

	for (;;)
		switch (follower_next(f)) {
		case FOLLOWER_FOUND:
			return true;
		case FOLLOWER_OVERRUN:
			overrun(ch);
			break;
		case FOLLOWER_HELD:
			nanosleep(&nap, NULL);
			line_tick(ch->hub);
			break;
		default:
			return false;
		}
}

/* Delivers until the turn's share is used up. True if there is more. */
static bool
deliver_share(struct chat *ch)
{
	struct follower *f = &ch->rooms->follower;
	struct turn_share *t = &ch->rooms->turn;
	bool first = true;

	follower_begin(f);
	while (t->n < DELIVER_MAX && t->bytes < ch->live.queue_bytes / 2 &&
	    follower_is_behind(f) && (first || !chat_is_late(ch)) &&
	    deliver_find(ch, f)) {
		t->n += deliver_at(ch, f);
		first = false;
	}
	/* a connection that was ended here may have published its leave */
	return follower_end(f);
}

bool
deliver(struct chat *ch)
{
	struct turn_share *t = &ch->rooms->turn;
	bool more = deliver_share(ch);

	*t = (struct turn_share){
	    .gathers = t->n == 0 ? t->gathers : t->to / t->n >= GATHER_FROM};
	return more;
}

bool
deliver_gathers(struct chat *ch)
{
	struct turn_share *t = &ch->rooms->turn;
	const uint32_t before = t->n;

	if (!t->gathers || ch->turn_us == 0 ||
	    clock_us() - ch->turn_us >= GATHER_US)
		return false;
	/* as at the turn's end: it may crash this worker */
	ch->rooms->unsettled = deliver_share(ch);
	relay_reset(ch);
	relay_flush(ch);
	t->vain = t->n > before ? 0 : t->vain + 1;
	return !ch->rooms->unsettled && t->n > 0 && t->vain < GATHER_VAIN;
}

void
deliver_all(struct chat *ch)
{
	struct hub *h = ch->hub;
	/* up to the present end only: other workers may publish without end */
	uint64_t tail = journal_tail(h);

	while (SHM_OWN(h->mine->cursor) < tail && deliver(ch))
		;
}

/* The position after which to look, up to `last`: at most an index's length
 * before it, also if the ring's words are corrupted. */
static uint64_t
look_after(const struct hub *h, uint64_t position, uint64_t last)
{
	return last > h->n_index && position < last - h->n_index
	    ? last - h->n_index
	    : position;
}

/* Marks the channels of a connection whose next publication comes after the
 * hole and is not delivered here yet: once it is delivered it does not show the
 * hole any more. */
static void
mark_ahead(
    struct chat *ch, uint32_t i, uint64_t cursor, const struct hole *hole)
{
	uint64_t tail = journal_tail(ch->hub);
	uint64_t p = look_after(ch->hub, cursor, tail);
	struct publication pub;
	struct concern to;

	while (p < tail) {
		p++;
		line_tick(ch->hub);
		if (journal_peek(ch->hub, p, &pub) != JOURNAL_OK ||
		    !hole_has(hole, pub.previous))
			continue;
		if (!delivery_concerns(ch, i, &pub, &to) ||
		    pub.before <= to.since)
			continue;
		*to.flags |= to.gap;
		conn_slot(ch, i)->skipped |= SLOT_SKIPPED_MORE;
	}
}

void
deliver_missed(struct chat *ch, uint32_t i)
{
	struct hub *h = ch->hub;
	uint64_t p = SHM_OWN(conn_slot(ch, i)->last);
	uint64_t cursor = SHM_OWN(h->mine->cursor), oldest = journal_oldest(h);
	struct hole hole = {0};
	struct publication pub;
	struct in_hand was;

	if (p + 1 < oldest) {
		hole = (struct hole){p, oldest, cursor};
		hole_mark(ch, i, &hole);
		p = oldest - 1;
	}
	p = look_after(h, p, cursor);
	while (p < cursor && ch->conn[i].phase == CONN_OPEN)
		if (journal_mask(h, ++p) != 0 &&
		    publication_read(ch, p, &pub) == JOURNAL_OK) {
			was = hand_take(h->mine, p);
			delivery_alone(ch, i, &pub, &hole);
			hand_return(h->mine, was);
		}
	if (hole.to != 0 && ch->conn[i].phase == CONN_OPEN)
		mark_ahead(ch, i, cursor, &hole);
	conn_slot(ch, i)->flags &= ~SLOT_MOVED;
}

void
deliver_settle(struct chat *ch)
{
	if (!ch->rooms->unsettled)
		return;
	deliver_all(ch);
	ch->rooms->unsettled =
	    SHM_OWN(ch->hub->mine->cursor) < journal_tail(ch->hub);
}
