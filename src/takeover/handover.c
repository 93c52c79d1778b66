#include "takeover/handover.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "conn/conn.h"
#include "hub/stats.h"
#include "net/peer.h"
#include "takeover/give.h"
#include "takeover/move.h"

enum {
	HANDOVER_RETRY_MS = 1,
	HANDOVER_SPARE = 16 /* descriptors of a taker that are not counted on */
};

/* Answers to givers that found their links full. */
static struct {
	struct untold {
		uint64_t id;
		int to;
	} * taken;
	uint32_t n, cap;
	uint32_t owed[SHM_WORKERS]; /* to each of them */
} untold;

void
handover_order(struct chat *ch, const struct message_move *what)
{
	struct hub *h = ch->hub;
	uint32_t k, i, room;
	uint64_t id;

	if (what->to >= SHM_WORKERS || (int)what->to == h->self)
		return;
	room = SHM_LOAD(h->worker[what->to].room);
	room = room > HANDOVER_SPARE ? room - HANDOVER_SPARE : 0;
	for (k = 0; k < what->n && k < room; k++) {
		i = give_freeze(ch, (int)what->to);
		if (i == SHM_NONE)
			break;
		id = slot_id(h, i);
		if (!peers_message(ch->peers, (int)what->to, MSG_GIVE, &id,
			sizeof(id), ch->conn[i].fd)) {
			/* full or gone: enough for now */
			give_back(ch, (int)what->to);
			break;
		}
	}
	log_debug(
	    "gave %u of %u connections to worker %u", k, what->n, what->to);
}

/* Sends givers the answers that found their links full. */
static void
taken_flush(struct chat *ch)
{
	uint32_t k = 0;
	uint64_t full = 0; /* links */
	struct untold *t;

	while (k < untold.n) {
		t = &untold.taken[k];
		if (peers_is_linked(ch->peers, t->to) &&
		    ((full >> t->to & 1) != 0 ||
			!peers_message(ch->peers, t->to, MSG_TAKEN, &t->id,
			    sizeof(t->id), -1))) {
			full |= 1ull << t->to;
			k++;
		} else { /* with its link the giver has taken it back */
			untold.owed[t->to]--;
			*t = untold.taken[--untold.n];
		}
	}
}

/* Tells the giver that a connection has arrived, or is its own again. */
static void
taken_tell(struct chat *ch, int to, uint64_t id)
{
	struct untold *more;
	uint32_t cap;

	if (peers_message(ch->peers, to, MSG_TAKEN, &id, sizeof(id), -1) ||
	    !peers_is_linked(ch->peers, to))
		return;
	if (untold.owed[to] == ch->hub->n_slots) {
		log_error("link to worker %d closed: it gives more than there "
			  "are connections, and reads no answers",
		    to);
		peers_close(ch->peers, to);
		return;
	}
	if (untold.n == untold.cap) {
		cap = untold.cap + MOVE_MAX;
		more = reallocarray(untold.taken, cap, sizeof(*more));
		if (more == NULL)
			log_fatal("no memory to answer worker %d", to);
		untold.taken = more;
		untold.cap = cap;
	}
	untold.taken[untold.n++] = (struct untold){id, to};
	untold.owed[to]++;
}

void
handover_take(struct chat *ch, int from, uint64_t id, int fd)
{
	if (fd >= 0)
		(void)move_take(ch, from, &id, &fd, 1, NULL, NULL);
	taken_tell(ch, from, id);
}

bool
handover_is_idle(const struct chat *ch)
{
	return untold.n == 0 && ch->n_moving == 0;
}

int
handover_turn(struct chat *ch)
{
	if (untold.n > 0)
		taken_flush(ch);
	return untold.n > 0 ? HANDOVER_RETRY_MS : -1;
}
