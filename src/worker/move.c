/*
 * Connections that change their worker: those of a dead one that has no
 * replacement yet come from its keeper, those that a living one gives away
 * come over the link to it, one message each.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "chat/conn.h"
#include "chat/move.h"
#include "chat/relay.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "net/custody.h"
#include "net/link.h"
#include "private.h"

/* An adoption on its way: one at a time. */
static struct {
	struct worker *w;
	struct event ev;
	int link; /* to the dead worker's keeper; -1: none */
	struct message_adopt what;
	uint32_t taken;
} adoption = {.link = -1};

/* The dead worker has nothing left: what is not taken is cleaned up. */
static void
adoption_end(void)
{
	struct worker *w = adoption.w;
	const struct message_clean clean = {
	    adoption.what.worker, adoption.what.generation};

	event_del(&adoption.ev);
	close(adoption.link);
	adoption.link = -1;
	chat_clean(w->chat.hub, (int)clean.worker);
	log_info("took over %u connections of worker %u", adoption.taken,
	    clean.worker);
	if (link_send(
		w->start->control, MSG_CLEANED, &clean, sizeof(clean), -1) < 0)
		log_error("master: %s", strerror(errno));
}

/* The keeper gives back. */
static void
adoption_cb(int link, short what, void *arg)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	const struct adopt_fault fault = {
	    adoption.what.fault_hand, adoption.what.fault_arg};
	int r;

	chat_event(&adoption.w->chat);
	r = custody_receive(link, &note, fd, false);
	KILL_POINT();
	if (r == 0)
		return;
	if (r < 0 || note.type == CUSTODY_DONE) {
		adoption_end();
		return;
	}
	if (note.type == CUSTODY_KEEP)
		adoption.taken += move_take(&adoption.w->chat,
		    (int)adoption.what.worker, note.id, fd, note.n, &fault);
}

void
move_adopt(struct worker *w, const struct message_adopt *what, int link)
{
	if (adoption.link >= 0 || what->worker >= SHM_WORKERS ||
	    (int)what->worker == w->chat.hub->self) {
		log_error("adoption of worker %u refused", what->worker);
		close(link);
		return;
	}
	adoption.w = w;
	adoption.link = link;
	adoption.what = *what;
	adoption.taken = 0;
	slot_recall(w->chat.hub, (int)what->worker);
	move_redo(w->chat.hub, (int)what->worker);
	subscription_rechain(w->chat.hub, (int)what->worker);
	event_assign(&adoption.ev, w->chat.base, link, EV_READ | EV_PERSIST,
	    adoption_cb, NULL);
	if (event_add(&adoption.ev, NULL) < 0)
		adoption_end();
}

void
move_away(struct worker *w, const struct message_move *what)
{
	uint32_t k, i;
	uint64_t id;

	if (what->to >= SHM_WORKERS || (int)what->to == w->chat.hub->self)
		return;
	for (k = 0; k < what->n; k++) {
		i = move_freeze(&w->chat, (int)what->to);
		if (i == SHM_NONE)
			break;
		id = slot_id(w->chat.hub, i);
		if (!relay_message(&w->chat, (int)what->to, MSG_GIVE, &id,
			sizeof(id), w->chat.conn[i].fd)) {
			/* full or gone: enough for now */
			move_back(&w->chat, (int)what->to);
			break;
		}
	}
	log_debug("gave %u connections to worker %u", k, what->to);
}

/* A connection that another worker gives away. */
static void
give(struct chat *ch, int from, uint64_t id, int fd)
{
	(void)move_take(ch, from, &id, &fd, 1, NULL);
	/* taken or closed: either way it is not the giver's any more */
	relay_message(ch, from, MSG_TAKEN, &id, sizeof(id), -1);
}

void
move_init(struct worker *w)
{
	w->chat.give = give;
}
