/* deliver: from the journal to the connections of this worker, in index
 * order. */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conn/hold.h"
#include "conn/recipient.h"
#include "room/publish.h"
#include "room/rooms.h"
#include "room/opening.h"
#include "room/relay.h"
#include "room/user.h"
#include "hole.h"
#include "base/kill_list.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "conn/turn.h"

/*
 * Publications a turn; then the output is written. Larger: a turn takes longer;
 * smaller: more writes. A turn also appends no more to a connection than half
 * of `queue`.
 */
enum { DELIVER_MAX = 256 };

/* A publication's frame for each dialect, built when it is first needed. */
struct delivery {
	const struct publication *p;
	uint64_t lost; /* publications of the channel up to this offset were not
			* delivered; 0: none is known to be missing */
	struct frame frame[DIALECTS_MAX];
	enum {
		UNBUILT,
		BUILT,
		NOTHING, /* the door does not tell it */
		MISSED	 /* no frame could be built: its receivers get a gap */
	} state[DIALECTS_MAX];
};

/* Begins without frames; zeroing their memory would cost too much. */
static void
delivery_begin(
    struct delivery *d, const struct publication *p, const struct hole *hole)
{
	d->p = p;
	d->lost = hole_is_before(hole, p) ? p->before : 0;
	if (p->format == FORMAT_LEAP) /* a reader says that some are missing */
		d->lost = p->offset;
	memset(d->state, 0, sizeof(d->state));
}

/* Logs a publication that has no frame. `skipped` counts its receivers. */
static void
missed_log(const struct publication *p, size_t len, int r)
{
	log_error("publication %llu, %zu bytes: %s; its readers are told of a "
		  "gap",
	    (unsigned long long)p->position, len,
	    r == FRAME_TOO_BIG ? "longer than half of output-memory"
			       : "no room in output-memory");
}

/* Builds a publication's frame as a door tells it in a framing. */
static void
render(struct chat *ch, struct delivery *d, int dialect)
{
	const struct dialect *to = &ch->dialects.at[dialect];
	struct iovec parts[DOOR_PARTS + 2];
	struct framing_ends ends;
	size_t len = 0;
	int n, k, r;

	/* these two tell what is missing before them, if anything is */
	d->state[dialect] = d->lost > 0 ? MISSED : NOTHING;
	if (d->p->format == FORMAT_LEAP || d->p->format == FORMAT_ERASED)
		return;
	d->state[dialect] = NOTHING;
	n = ch->door[to->door]->render(ch, d->p, parts + 1);
	if (n > 0)
		n = to->codec->wrap(&ends, FRAMING_TEXT, parts, n);
	if (n == 0)
		return;
	for (k = 0; k < n; k++)
		len += parts[k].iov_len;
	r = conn_frame(ch, &d->frame[dialect], FRAME_SHARED, parts, n);
	d->state[dialect] = r == 0 ? BUILT : MISSED;
	if (r != 0)
		missed_log(d->p, len, r);
}

/* Whether a connection's dialect has a frame for a publication; renders it if
 * need be. False also if making room for it ended that connection. */
static bool
is_told(struct chat *ch, uint32_t i, struct delivery *d, int dialect)
{
	if (d->state[dialect] == UNBUILT)
		render(ch, d, dialect);
	return d->state[dialect] != NOTHING && ch->conn[i].phase == CONN_OPEN;
}

/* A connection does not get a publication and is to be told so. */
static void
gap_mark(
    struct chat *ch, struct slot *s, uint32_t *flags, uint32_t gap, bool lost)
{
	*flags |= gap;
	s->skipped++;
	if (lost)
		s->skipped |= SLOT_SKIPPED_MORE;
	SHM_COUNT(ch->hub->me->skipped, 1);
}

/*
 * Appends a publication to one connection if it does not have it yet. It gets
 * the bit `gap` in *flags instead if it missed the publication before, if it
 * has no room and slow-policy is skip, or if there is no memory; until the
 * client has been told of the gap, all publications are passed over. No
 * connection is freed here, as the caller's loop may hold the next one.
 */
static void
deliver_to(struct chat *ch, uint32_t i, struct delivery *d, uint32_t *flags,
    uint32_t gap, uint64_t since)
{
	struct slot *s = conn_slot(ch, i);
	bool lost = d->lost > since;
	int dialect = ch->conn[i].dialect;

	if (ch->conn[i].phase != CONN_OPEN ||
	    SHM_OWN(s->last) >= d->p->position)
		return;
	if (d->state[dialect] != BUILT && !is_told(ch, i, d, dialect))
		return;
	if (*flags & gap || lost || d->state[dialect] != BUILT ||
	    (ch->live.slow_policy == CONF_SLOW_SKIP &&
		!conn_has_room(ch, i, &d->frame[dialect])) ||
	    !conn_append(ch, i, &d->frame[dialect], d->p->position))
		gap_mark(ch, s, flags, gap, lost);
	else
		SHM_COUNT(ch->hub->me->delivered, 1);
}

/* Whether a subscription gets a publication, join or leave. */
static bool
is_for(const struct slot *conn, const struct subscription *s,
    const struct publication *p)
{
	const uint64_t since = SHM_OWN(s->offset);

	if (p->format == FORMAT_OPENED)
		return opening_is_for(conn, s);
	/* one that has left is told of no other's join or leave */
	if (publication_is_event(p))
		return (s->flags &
			   (SUBSCRIPTION_JOIN_LEAVE | SUBSCRIPTION_AWAY)) ==
		    SUBSCRIPTION_JOIN_LEAVE &&
		    since != SUBSCRIPTION_HELD;
	return p->offset > since;
}

/* To those who subscribed. */
static void
deliver_subscribers(struct chat *ch, struct delivery *d)
{
	struct hub *h = ch->hub;
	uint32_t i = subscription_first(h, h->self, d->p->channel), next, slot;
	uint32_t left = ch->rooms->local[d->p->channel].members;
	struct subscription *s;

	/* no more records than are counted: a corrupted chain must not be
	 * followed in a circle, nor to other channels' connections */
	for (; i != SHM_NONE && left > 0; i = next, left--) {
		next = subscription_next(h, i);
		s = &h->subscription[i];
		slot = SHM_ONCE(s->slot);
		if (subscription_channel(s) == d->p->channel &&
		    slot < h->n_slots &&
		    SHM_ONCE(s->use) == slot_use(h, slot) &&
		    is_for(&h->slot[slot], s, d->p)) {
			deliver_to(ch, slot, d, &s->flags, SUBSCRIPTION_GAP,
			    SHM_OWN(s->offset));
			opening_told(ch, slot, s, d->p);
		}
	}
}

/* Delivers to the connections that are in the lobby by their door. */
static void
deliver_lobby(struct chat *ch, struct delivery *d)
{
	uint32_t i = SHM_NONE;

	while (conn_next(ch, &i))
		if (ch->conn[i].present && conn_in_lobby(ch, i))
			deliver_to(
			    ch, i, d, &conn_slot(ch, i)->flags, SLOT_GAP, 0);
}

/* Ends a connection if the kick is for it. */
static void
kick(struct chat *ch, uint32_t i, const struct publication *p)
{
	struct slot *s = conn_slot(ch, i);
	size_t len = SHM_ONCE(s->device_len);

	if (ch->conn[i].phase != CONN_OPEN || SHM_OWN(s->last) >= p->position ||
	    (p->data_len != 0 &&
		(p->data_len != len || len > SLOT_DEVICE_MAX ||
		    memcmp(p->data, s->device, len) != 0)))
		return;
	conn_end(ch, i, CLOSE_KICKED, REASON_KICKED);
	line_tick(ch->hub);
}

/* Whether a connection gets a publication of its user's own channel. */
static bool
is_for_own(const struct slot *s, const struct publication *p)
{
	if (slot_is_entering(s))
		return false;
	if (p->format == FORMAT_OPENED)
		return s->offset == SLOT_OFFSET_UNKNOWN;
	return publication_is_event(p)
	    ? !(s->flags & SLOT_OWN_AWAY) && s->offset != SLOT_OFFSET_UNKNOWN
	    : p->offset > s->offset;
}

/* To a user's connections. */
static void
deliver_user(struct chat *ch, struct delivery *d)
{
	uint32_t i = user_list_first(ch, d->p->channel), next;
	struct slot *s;

	for (; i != SHM_NONE; i = next) {
		next = user_list_next(ch, i);
		s = conn_slot(ch, i);
		if (d->p->format == FORMAT_KICK)
			kick(ch, i, d->p);
		else if (is_for_own(s, d->p)) {
			deliver_to(ch, i, d, &s->flags, SLOT_GAP, s->offset);
			opening_told(ch, i, NULL, d->p);
		}
	}
}

/* Whether a publication's channel still has its entry. */
static bool
is_current(const struct hub *h, const struct publication *p)
{
	return p->channel < h->n_entries &&
	    SHM_LOAD(h->entry[p->channel].epoch) == p->epoch;
}

/* Releases a delivery's frames. Returns the bytes that the largest one counts
 * against `queue`. */
static size_t
delivery_end(struct chat *ch, struct delivery *d)
{
	size_t most = 0, cost;
	int k;

	for (k = 0; k < ch->dialects.n; k++) {
		if (d->state[k] != BUILT)
			continue;
		cost = d->frame[k].bytes + (size_t)d->frame[k].n * OUTPUT_COST;
		if (cost > most)
			most = cost;
		frame_release(&ch->output, &d->frame[k]);
	}
	return most;
}

/* Delivers one publication to the connections here that have its channel.
 * Returns the bytes that it counts against the `queue` of each. */
static size_t
deliver_one(struct chat *ch, const struct publication *p)
{
	struct presence_entry *e;
	struct delivery d;

	if ((p->format >= FORMAT_RESULT && !opening_take(ch, p)) ||
	    p->channel >= ch->hub->n_entries ||
	    ch->rooms->local[p->channel].members == 0 ||
	    !is_current(ch->hub, p))
		return 0;
	e = &ch->hub->entry[p->channel];
	delivery_begin(&d, p, &ch->rooms->hole);
	KILL_WORD(p->data, p->data_len, "crash on delivery");
	if (presence_name_is_user(e->name, e->name_len)) {
		deliver_user(ch, &d);
	} else if (p->format != FORMAT_KICK) {
		if (p->channel == PRESENCE_LOBBY)
			deliver_lobby(ch, &d);
		deliver_subscribers(ch, &d);
	}
	return delivery_end(ch, &d);
}

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

/* Delivers the publication that was found, adding the bytes that it counts to
 * *bytes; false if it is not there any more. */
static bool
deliver_found(struct chat *ch, struct follower *f, size_t *bytes)
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
	*bytes += deliver_one(ch, &p);
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
deliver_at(struct chat *ch, struct follower *f, size_t *bytes)
{
	struct shm_line *mine = ch->hub->mine;
	struct in_hand was = hand_take(mine, f->position);
	bool there = deliver_found(ch, f, bytes);

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

bool
deliver(struct chat *ch)
{
	struct follower *f = &ch->rooms->follower;
	size_t bytes = 0;
	int n = 0;

	follower_begin(f);
	while (n < DELIVER_MAX && bytes < ch->live.queue_bytes / 2 &&
	    follower_is_behind(f) && (n == 0 || !chat_is_late(ch)) &&
	    deliver_find(ch, f))
		n += deliver_at(ch, f, &bytes);
	/* a connection that was ended here may have published its leave */
	return follower_end(f);
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

/* By what a connection has a publication's channel. */
struct concern {
	struct subscription *sub; /* NULL: it is its own, or the lobby */
	uint32_t *flags;	  /* where its mark of a gap is kept, */
	uint32_t gap;		  /* and that bit */
	uint64_t since;		  /* offset up to which nothing is for it */
};

/* Whether a connection gets a publication; *out says by what. */
static bool
concerns(struct chat *ch, uint32_t i, const struct publication *p,
    struct concern *out)
{
	struct hub *h = ch->hub;
	struct slot *s = conn_slot(ch, i);
	uint32_t k;

	*out = (struct concern){NULL, &s->flags, SLOT_GAP, 0};
	if (!is_current(h, p))
		return false;
	if (p->channel == s->user) {
		out->since = s->offset;
		return is_for_own(s, p);
	}
	if (p->channel == PRESENCE_LOBBY && conn_in_lobby(ch, i))
		return ch->conn[i].present;
	k = subscription_find(h, i, p->channel);
	if (k == SHM_NONE)
		return false;
	out->sub = &h->subscription[k];
	out->flags = &out->sub->flags;
	out->gap = SUBSCRIPTION_GAP;
	out->since = SHM_OWN(out->sub->offset);
	return is_for(s, out->sub, p);
}

/* Delivers one publication to one connection, if it is for it. */
static void
deliver_alone(struct chat *ch, uint32_t i, const struct publication *p,
    const struct hole *hole)
{
	struct concern to;
	struct delivery d;

	if (p->format == FORMAT_KICK) {
		if (is_current(ch->hub, p) &&
		    p->channel == conn_slot(ch, i)->user)
			kick(ch, i, p);
		return;
	}
	if ((p->format >= FORMAT_RESULT && !opening_take(ch, p)) ||
	    !concerns(ch, i, p, &to))
		return;
	delivery_begin(&d, p, hole);
	KILL_WORD(p->data, p->data_len, "crash on delivery");
	deliver_to(ch, i, &d, to.flags, to.gap, to.since);
	opening_told(ch, i, to.sub, p);
	delivery_end(ch, &d);
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
		if (!concerns(ch, i, &pub, &to) || pub.before <= to.since)
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
			deliver_alone(ch, i, &pub, &hole);
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
