#include "takeover/clean.h"

#include <string.h>

#include "base/clock.h"
#include "hub/input.h"
#include "hub/output.h"
#include "hub/presence.h"
#include "hub/slot.h"
#include "hub/subscription.h"
#include "net/transport.h"
#include "room/event.h"
#include "room/user.h"

/* Zeroes what transports have kept of a dead worker's connections: keys,
 * perhaps. The slots are still its own. */
static void
clean_wire(struct hub *h, int worker)
{
	const struct transport *t;
	uint64_t life;
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		life = SHM_LOAD(h->slot[i].life);
		if ((life >> 8 & 0xff) != (uint64_t)worker ||
		    (life & 7) == SLOT_FREE || (life & 7) == SLOT_MOVING)
			continue;
		t = transport_of(SHM_ONCE(h->slot[i].transport));
		if (t != NULL && t->state_bytes != 0)
			memset(
			    h->wire + (size_t)i * SHM_WIRE, 0, t->state_bytes);
	}
}

void
chat_clean(struct hub *h, int worker)
{
	slot_recall(h, worker);
	channel_tell_gone(h, worker, clock_wall_ms());
	presence_clear(h, worker, user_log_left, NULL);
	subscription_clear(h, worker);
	clean_wire(h, worker);
	slot_clear(h, worker);
	output_clear(h, worker);
	input_clear(h, worker);
}
