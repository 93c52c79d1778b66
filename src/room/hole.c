#include "hole.h"
#include "conn/recipient.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"

/* Whether the newest publication of a channel is lost, and above an offset. */
static bool
hole_is_lost(const struct hub *h, uint32_t channel, const struct hole *hole,
    uint64_t offset)
{
	return channel < h->n_entries &&
	    hole_has(hole, SHM_LOAD(h->entry[channel].newest)) &&
	    SHM_LOAD(h->entry[channel].offset) > offset;
}

void
hole_mark(struct chat *ch, uint32_t conn, const struct hole *hole)
{
	struct hub *h = ch->hub;
	struct subscription_walk w = subscription_walk(h, conn);
	struct conn *c = &ch->conn[conn];
	struct slot *s = conn_slot(ch, conn);
	struct subscription *sub;
	uint32_t k;

	if (c->phase != CONN_OPEN)
		return;
	if (c->present &&
	    ((!slot_is_entering(s) &&
		 hole_is_lost(h, c->user.entry, hole, s->offset)) ||
		(conn_in_lobby(ch, conn) &&
		    hole_is_lost(h, PRESENCE_LOBBY, hole, 0)))) {
		s->flags |= SLOT_GAP;
		s->skipped |= SLOT_SKIPPED_MORE;
	}
	while ((k = subscription_walk_next(h, &w)) != SHM_NONE) {
		sub = &h->subscription[k];
		if (!hole_is_lost(h, subscription_channel(sub), hole,
			SHM_OWN(sub->offset)))
			continue;
		sub->flags |= SUBSCRIPTION_GAP;
		s->skipped |= SLOT_SKIPPED_MORE;
	}
}

void
hole_mark_all(struct chat *ch, struct hole *hole)
{
	uint32_t i = SHM_NONE;

	while (conn_next(ch, &i)) {
		hole_mark(ch, i, hole);
		line_tick(ch->hub);
	}
	/* the tail is read afterwards: publications that came meanwhile may be
	 * marked twice, but none is missed */
	hole->until = journal_tail(ch->hub);
}
