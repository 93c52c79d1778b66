/*
 * Connections that change their worker: those of a dead one that has no
 * replacement yet come from its keeper, those that a living one gives away
 * come over the link to it, one message each. What there is no room for stays
 * where it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/conn.h"
#include "room/chat.h"
#include "conn/custody.h"
#include "takeover/give.h"
#include "takeover/move.h"
#include "room/relay.h"
#include "codec/message.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "hub/subscription.h"
#include "net/custody.h"
#include "net/link.h"
#include "private.h"

enum {
	RETRY_MS = 1,
	/* An adoption goes on without custody here after so long. Smaller: a
	 * death would cost connections that wait for a keeper which is being
	 * replaced, a hung one too; larger: clients wait longer where no keeper
	 * can be had. */
	UNKEPT_MS = 5000,
	LEAVE_ROOM = 16 /* descriptors of a taker that are not counted on */
};

/* The adoption that is under way, and those that wait for it. */
static struct {
	struct worker *w;
	struct event ev;
	int link; /* to who has the dead worker's sockets; -1: no adoption */
	struct message_adopt what;
	uint32_t taken, left;
	bool asked; /* for a batch that has not come */
	bool full;  /* there is no room for more */
	/* A batch that is not in custody here yet. */
	struct custody_note note;
	int fd[CUSTODY_MAX];
	uint64_t held_ms; /* since then; 0: there is none */
	struct {
		int link;
		struct message_adopt what;
	} queue[SHM_WORKERS];
	int n_queue;
} adoption = {.link = -1};

/* What is to be said and found its link full. */
static struct {
	struct message_cleaned cleaned[SHM_WORKERS];
	int n_cleaned;
	struct untaken {
		uint64_t id;
		int to;
	} * taken;
	uint32_t n_taken, cap_taken;
} untold;

/* Says to the master what could be said by now. */
static void
cleaned_flush(struct worker *w)
{
	while (untold.n_cleaned > 0) {
		if (link_send(w->start->control, MSG_CLEANED,
			&untold.cleaned[0], sizeof(untold.cleaned[0]),
			-1) < 0 &&
		    errno == EAGAIN)
			return;
		memmove(&untold.cleaned[0], &untold.cleaned[1],
		    (size_t)--untold.n_cleaned * sizeof(untold.cleaned[0]));
	}
}

/* Answers the master, in a later turn if its link is full. */
static void
cleaned_tell(struct worker *w, const struct message_cleaned *done)
{
	if (untold.n_cleaned < SHM_WORKERS)
		untold.cleaned[untold.n_cleaned++] = *done;
	else
		log_error("master: asks for more than it has workers");
	cleaned_flush(w);
}

void
move_clean(struct worker *w, const struct message_clean *m)
{
	const struct message_cleaned done = {
	    .worker = m->worker, .generation = m->generation};

	if (m->worker >= SHM_WORKERS || (int)m->worker == w->chat.hub->self)
		return;
	chat_clean(w->chat.hub, (int)m->worker);
	cleaned_tell(w, &done);
}

static void adoption_next(struct worker *w);

/* The giver has nothing left, or nothing more can be taken. */
static void
adoption_end(void)
{
	struct worker *w = adoption.w;
	struct message_cleaned done = {.worker = adoption.what.worker,
	    .generation = adoption.what.generation,
	    .taken = adoption.taken,
	    .full = adoption.full || adoption.left > 0};

	event_del(&adoption.ev);
	close(adoption.link);
	adoption.link = -1;
	done.left = slot_held(w->chat.hub, (int)done.worker);
	if (done.left == 0 || (!done.full && adoption.what.last != 0)) {
		if (done.left > 0)
			log_warn("%u connections of worker %u are lost: nobody "
				 "has their sockets",
			    done.left, done.worker);
		chat_clean(w->chat.hub, (int)done.worker);
		done.left = 0;
	}
	log_info("adopted %u connections of worker %u, %u stay%s", done.taken,
	    done.worker, done.left, done.full ? ": no room for them" : "");
	cleaned_tell(w, &done);
	adoption_next(w);
}

/* Asks for as many as there is room for. */
static void
adoption_ask(void)
{
	uint32_t room = room_free(adoption.w);

	if (adoption.asked || adoption.held_ms != 0)
		return;
	if (room == 0) {
		adoption.full = true;
		adoption_end();
	} else if (custody_ask(adoption.link,
		       room < CUSTODY_MAX ? room : CUSTODY_MAX) == 0)
		adoption.asked = true;
	else if (custody_is_gone(errno))
		adoption_end();
}

/* Asks, and hears what comes. Who cannot hear takes nothing more: the giver has
 * it all the same. */
static void
adoption_go_on(void)
{
	if (event_add(&adoption.ev, NULL) == 0) {
		adoption_ask();
		return;
	}
	log_error("adoption: %s", strerror(errno));
	adoption.full = true;
	adoption_end();
}

/* Takes up the batch that is held, as soon as this worker's keeper has it. */
static void
adoption_take(void)
{
	const struct adopt_fault fault = {
	    adoption.what.fault_hand, adoption.what.fault_arg};
	struct chat *ch = &adoption.w->chat;
	struct custody_note *note = &adoption.note;
	uint32_t left;

	if (!custody_keep(ch, note->id, adoption.fd, note->n) &&
	    ch->now_ms - adoption.held_ms < UNKEPT_MS)
		return;
	adoption.held_ms = 0;
	adoption.taken += move_take(ch, (int)adoption.what.worker, note->id,
	    adoption.fd, note->n, &fault, &left);
	adoption.left += left;
	adoption_go_on();
}

/* The giver gives. */
static void
adoption_cb(int link, short what, void *arg)
{
	struct custody_note *note = &adoption.note;
	struct chat *ch = &adoption.w->chat;
	int r;

	chat_event(ch);
	r = custody_receive(link, note, adoption.fd);
	KILL_POINT();
	if (r == 0)
		return;
	if (r < 0 && errno == EBADMSG) {
		/* lost on the way: what it was is not known, but the giver has
		 * it still */
		adoption.full = true;
		adoption.asked = false;
		adoption_ask();
	} else if (r < 0 || note->type == CUSTODY_DONE) {
		adoption_end();
	} else if (note->type == CUSTODY_KEEP) {
		adoption.asked = false;
		adoption.held_ms = ch->now_ms;
		event_del(&adoption.ev);
		adoption_take();
	}
}

/* Begins with an adoption. */
static void
adoption_begin(struct worker *w, const struct message_adopt *what, int link)
{
	adoption.w = w;
	adoption.link = link;
	adoption.what = *what;
	adoption.taken = adoption.left = 0;
	adoption.asked = adoption.full = false;
	adoption.held_ms = 0;
	hub_lock(w->chat.hub); /* redoes what the dead one did not get to */
	hub_unlock(w->chat.hub);
	slot_recall(w->chat.hub, (int)what->worker);
	move_redo(w->chat.hub, (int)what->worker);
	subscription_rechain(w->chat.hub, (int)what->worker);
	event_assign(&adoption.ev, w->chat.base, link, EV_READ | EV_PERSIST,
	    adoption_cb, NULL);
	adoption_go_on();
}

/* Begins with the one that has waited longest. */
static void
adoption_next(struct worker *w)
{
	struct message_adopt what;
	int link;

	if (adoption.link >= 0 || adoption.n_queue == 0)
		return;
	link = adoption.queue[0].link;
	what = adoption.queue[0].what;
	memmove(&adoption.queue[0], &adoption.queue[1],
	    (size_t)--adoption.n_queue * sizeof(adoption.queue[0]));
	adoption_begin(w, &what, link);
}

void
move_adopt(struct worker *w, const struct message_adopt *what, int link)
{
	if (what->worker >= SHM_WORKERS || adoption.n_queue == SHM_WORKERS ||
	    (int)what->worker == w->chat.hub->self) {
		log_error("adoption of worker %u: the order makes no sense",
		    what->worker);
		close(link);
		return;
	}
	adoption.queue[adoption.n_queue].link = link;
	adoption.queue[adoption.n_queue++].what = *what;
	adoption_next(w);
}

void
move_refuse(struct worker *w, const struct message_adopt *what)
{
	struct message_cleaned done = {
	    .worker = what->worker, .generation = what->generation, .full = 1};

	if (what->worker < SHM_WORKERS)
		done.left = slot_held(w->chat.hub, (int)what->worker);
	if (done.left == 0) /* it is not cleaned up after */
		done.left = 1;
	cleaned_tell(w, &done);
}

bool
move_is_idle(const struct worker *w)
{
	return adoption.link < 0 && adoption.n_queue == 0 &&
	    untold.n_cleaned == 0 && untold.n_taken == 0 &&
	    w->chat.n_moving == 0;
}

void
move_away(struct worker *w, const struct message_move *what)
{
	struct hub *h = w->chat.hub;
	uint32_t k, i, room;
	uint64_t id;

	if (what->to >= SHM_WORKERS || (int)what->to == h->self)
		return;
	room = SHM_LOAD(h->worker[what->to].room);
	room = room > LEAVE_ROOM ? room - LEAVE_ROOM : 0;
	for (k = 0; k < what->n && k < room; k++) {
		i = give_freeze(&w->chat, (int)what->to);
		if (i == SHM_NONE)
			break;
		id = slot_id(h, i);
		if (!relay_message(&w->chat, (int)what->to, MSG_GIVE, &id,
			sizeof(id), w->chat.conn[i].fd)) {
			/* full or gone: enough for now */
			give_back(&w->chat, (int)what->to);
			break;
		}
	}
	log_debug(
	    "gave %u of %u connections to worker %u", k, what->n, what->to);
}

/* Tells givers what could not be told before. */
static void
taken_flush(struct chat *ch)
{
	uint32_t k = 0;
	struct untaken *t;

	while (k < untold.n_taken) {
		t = &untold.taken[k];
		if (relay_is_linked(ch, t->to) &&
		    !relay_message(
			ch, t->to, MSG_TAKEN, &t->id, sizeof(t->id), -1))
			k++;
		else /* with its link the giver has taken it back */
			*t = untold.taken[--untold.n_taken];
	}
}

/* Tells the giver that a connection has arrived, or is its own again. */
static void
taken_tell(struct chat *ch, int to, uint64_t id)
{
	struct untaken *more;
	uint32_t cap;

	if (relay_message(ch, to, MSG_TAKEN, &id, sizeof(id), -1) ||
	    !relay_is_linked(ch, to))
		return;
	if (untold.n_taken == untold.cap_taken) {
		cap = untold.cap_taken + MOVE_MAX;
		more = reallocarray(untold.taken, cap, sizeof(*more));
		if (more == NULL)
			log_fatal("no memory to answer worker %d", to);
		untold.taken = more;
		untold.cap_taken = cap;
	}
	untold.taken[untold.n_taken++] = (struct untaken){id, to};
}

/* A connection that another worker gives away. It is taken only if it is in
 * custody here. Its giver is answered in any case: until then nobody serves
 * it. */
static void
move_give(struct chat *ch, int from, uint64_t id, int fd)
{
	if (fd >= 0 && custody_keep(ch, &id, &fd, 1))
		(void)move_take(ch, from, &id, &fd, 1, NULL, NULL);
	else if (fd >= 0)
		close(fd);
	taken_tell(ch, from, id);
}

void
move_init(struct worker *w)
{
	give_attach(&w->chat);
	w->chat.give = move_give;
}

int
move_turn(struct worker *w)
{
	if (untold.n_cleaned > 0)
		cleaned_flush(w);
	if (untold.n_taken > 0)
		taken_flush(&w->chat);
	if (adoption.link >= 0 && adoption.held_ms != 0)
		adoption_take();
	if (adoption.link >= 0)
		adoption_ask();
	return adoption.link >= 0 || untold.n_cleaned > 0 || untold.n_taken > 0
	    ? RETRY_MS
	    : -1;
}
