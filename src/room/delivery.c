/* delivery: one publication to the connections here that it is for. */
#include "delivery.h"

#include <string.h>

#include "base/kill_list.h"
#include "base/log.h"
#include "conn/hold.h"
#include "conn/recipient.h"
#include "conn/turn.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "room/opening.h"
#include "room/publish.h"
#include "room/user.h"

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
	else {
		SHM_COUNT(ch->hub->me->delivered, 1);
		ch->rooms->turn.to++;
	}
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
	uint32_t left = ch->rooms->members[d->p->channel];
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

/* To a user's connections, of which the first is i. */
static void
deliver_user(struct chat *ch, uint32_t i, struct delivery *d)
{
	uint32_t next;
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

size_t
delivery_all(struct chat *ch, const struct publication *p)
{
	struct hub *h = ch->hub;
	const bool user = presence_is_user(h, p->channel);
	uint32_t first = SHM_NONE;
	struct delivery d;

	if ((p->format >= FORMAT_RESULT && !opening_take(ch, p)) ||
	    p->channel >= h->n_entries)
		return 0;
	if (user)
		first = user_list_first(ch, p->channel);
	if ((user ? first == SHM_NONE : ch->rooms->members[p->channel] == 0) ||
	    !is_current(h, p))
		return 0;
	delivery_begin(&d, p, &ch->rooms->hole);
	KILL_WORD(p->data, p->data_len, "crash on delivery");
	if (user) {
		deliver_user(ch, first, &d);
	} else if (p->format != FORMAT_KICK) {
		if (p->channel == PRESENCE_LOBBY)
			deliver_lobby(ch, &d);
		deliver_subscribers(ch, &d);
	}
	return delivery_end(ch, &d);
}

bool
delivery_concerns(struct chat *ch, uint32_t i, const struct publication *p,
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

void
delivery_alone(struct chat *ch, uint32_t i, const struct publication *p,
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
	    !delivery_concerns(ch, i, p, &to))
		return;
	delivery_begin(&d, p, hole);
	KILL_WORD(p->data, p->data_len, "crash on delivery");
	deliver_to(ch, i, &d, to.flags, to.gap, to.since);
	opening_told(ch, i, to.sub, p);
	delivery_end(ch, &d);
}
