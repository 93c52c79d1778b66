#include "takeover/clean.h"

#include "base/clock.h"
#include "hub/input.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/subscription.h"
#include "room/event.h"
#include "room/user.h"

void
chat_clean(struct hub *h, int worker)
{
	slot_recall(h, worker);
	channel_tell_gone(h, worker, clock_wall_ms());
	presence_clear(h, worker, user_log_left, NULL);
	subscription_clear(h, worker);
	slot_clear(h, worker);
	output_clear(h, worker);
	input_clear(h, worker);
}
