#include "room/opening.h"

#include "conn/hold.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "hub/slot.h"
#include "room/away.h"

bool
opening_take(struct chat *ch, const struct publication *p)
{
	switch (p->format) {
	case FORMAT_RESULT:
		hold_result(ch,
		    &(struct hold_answer){.position = p->answers,
			.sender = p->sender,
			.offset = p->offset,
			.channel = p->channel,
			.epoch = p->epoch,
			.error = (uint8_t)p->error});
		return false;
	case FORMAT_OPENED:
		hold_opened(ch, p->channel, p->epoch, (uint8_t)p->error);
		return p->error == 0;
	case FORMAT_LEAP:
	case FORMAT_ERASED:
		return true;
	default:
		return false;
	}
}

bool
opening_is_for(const struct slot *conn, const struct subscription *sub)
{
	return sub->flags & SUBSCRIPTION_SERVER &&
	    SHM_OWN(sub->offset) == SUBSCRIPTION_HELD &&
	    !slot_is_entering(conn);
}

void
opening_done(struct chat *ch, uint32_t conn, struct subscription *sub,
    const struct publication *p)
{
	if (ch->conn[conn].phase != CONN_OPEN ||
	    (sub == NULL && away_waits(ch, conn)))
		return;
	KILL_POINT(); /* told: the output says so, and it is not told again */
	if (sub != NULL)
		SHM_STORE(sub->offset, p->offset);
	else
		conn_slot(ch, conn)->offset = p->offset;
	KILL_POINT();
}

/* Asks for a channel, which is cold, once more. */
static void
opening_ask(struct hub *h, uint32_t channel, enum open_ask ask)
{
	hub_lock(h);
	(void)(ask == OPEN_MAKE ? presence_is_cold(h, channel)
				: presence_is_cold_known(h, channel));
	hub_unlock(h);
	reader_wake(h, PRESENCE_OPENERS);
}

bool
opening_is_lost(struct chat *ch, uint32_t channel)
{
	struct hub *h = ch->hub;
	const uint8_t flags = presence_flags(h, channel);

	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_OPEN)
		return SHM_OWN(h->mine->cursor) >= journal_tail(h);
	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_COLD)
		opening_ask(h, channel, OPEN_MAKE);
	return false;
}

/* One that is waited for: who needs it whether or not anybody knows it learns
 * that nobody does, and asks anew. */
static bool
opening_sweep_cb(struct chat *ch, uint32_t channel, uint32_t epoch)
{
	const uint8_t flags = presence_flags(ch->hub, channel);

	/* its opener has been taken away, by the rules; or the entry has become
	 * another channel's, of which nobody says that it opens */
	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_OPEN ||
	    SHM_LOAD(ch->hub->entry[channel].epoch) != epoch)
		return true;
	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_COLD)
		opening_ask(ch->hub, channel, OPEN_KNOWN);
	return false;
}

void
opening_sweep(struct chat *ch)
{
	if (ch->hub->readers != 0)
		hold_channels(ch, opening_sweep_cb);
}
