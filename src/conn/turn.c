/* turn: the loop's turn, for the functions that run in it. */
#include "conn/turn.h"

#include <event2/event.h>

#include "base/clock.h"
#include "hub/stats.h"

bool
chat_event(struct chat *ch)
{
	if (ch->turn_us == 0)
		ch->turn_us = clock_us();
	else if (chat_is_late(ch)) {
		event_base_loopbreak(ch->base);
		return false;
	}
	return true;
}

bool
chat_is_late(const struct chat *ch)
{
	return ch->turn_us != 0 &&
	    clock_coarse_us() >= ch->turn_us + CHAT_TURN_MS * 1000;
}

void
chat_clock(struct chat *ch)
{
	ch->now_ms = clock_ms();
	ch->wall_ms = clock_wall_ms();
	line_tick(ch->hub);
}
