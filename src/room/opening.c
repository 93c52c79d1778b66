#include "room/opening.h"

#include "conn/hold.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "hub/slot.h"

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
opening_done(
    struct slot *conn, struct subscription *sub, const struct publication *p)
{
	KILL_POINT(); /* told: the output says so, and it is not told again */
	if (sub != NULL)
		SHM_STORE(sub->offset, p->offset);
	else
		conn->offset = p->offset;
	KILL_POINT();
}

bool
opening_is_lost(struct chat *ch, uint32_t channel)
{
	struct hub *h = ch->hub;
	const uint8_t flags = presence_flags(h, channel);

	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_OPEN)
		return SHM_OWN(h->mine->cursor) >= journal_tail(h);
	if (PRESENCE_WARMTH_OF(flags) == PRESENCE_COLD) {
		hub_lock(h);
		(void)presence_is_cold(h, channel);
		hub_unlock(h);
		reader_wake(h, presence_opener(flags));
	}
	return false;
}
