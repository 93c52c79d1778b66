#include "takeover/clean.h"

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
 * perhaps. The slots are still its own. Who cleans up behind a master that died
 * has none of it: that file went with the last worker. */
static void
clean_wire(struct hub *h, int worker)
{
	uint64_t life;
	uint32_t i;

	if (h->wire == NULL)
		return;
	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		life = SHM_LOAD(h->slot[i].life);
		if ((life >> 8 & 0xff) != (uint64_t)worker ||
		    (life & 7) == SLOT_FREE || (life & 7) == SLOT_MOVING)
			continue;
		transport_forget(transport_of(SHM_ONCE(h->slot[i].transport)),
		    &(struct transport_socket){.fd = -1,
			.conn = i,
			.state = h->wire + (size_t)i * SHM_WIRE,
			.rest = h->rest + (size_t)i * SHM_REST});
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
