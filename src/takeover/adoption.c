#include "takeover/adoption.h"

#include <event2/event_struct.h>
#include <event2/event.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "conn/chat.h"
#include "conn/turn.h"
#include "hub/lock.h"
#include "hub/subscription.h"
#include "net/custody.h"
#include "takeover/clean.h"
#include "takeover/move.h"

enum { ADOPTION_RETRY_MS = 1 };

/* The adoption that is under way, and those that wait for it. */
static struct {
	struct chat *ch;
	const struct adoption_host *host;
	struct event ev;
	int link; /* to who has the dead worker's sockets; -1: no adoption */
	struct message_adopt what;
	uint32_t taken, left;
	bool asked; /* for a batch that has not come */
	bool full;  /* there is no room for more */
	struct {
		int link;
		struct message_adopt what;
	} queue[SHM_WORKERS];
	int n_queue;
} adoption = {.link = -1};

/* Answers that the master's link had no room for. */
static struct {
	struct message_cleaned done[SHM_WORKERS];
	int n;
} cleaned;

/* Sends the master the answers that its link has room for. */
static void
cleaned_flush(void)
{
	while (cleaned.n > 0 &&
	    adoption.host->cleaned(adoption.ch, &cleaned.done[0]))
		memmove(&cleaned.done[0], &cleaned.done[1],
		    (size_t)--cleaned.n * sizeof(cleaned.done[0]));
}

/* Answers the master, in a later turn if its link is full. */
static void
cleaned_tell(const struct message_cleaned *done)
{
	if (cleaned.n < SHM_WORKERS)
		cleaned.done[cleaned.n++] = *done;
	else
		log_error("master: asks for more than it has workers");
	cleaned_flush();
}

void
adoption_clean(const struct message_clean *m)
{
	struct hub *h = adoption.ch->hub;
	const struct message_cleaned done = {
	    .worker = m->worker, .generation = m->generation};

	if (m->worker >= SHM_WORKERS || (int)m->worker == h->self)
		return;
	chat_clean(h, (int)m->worker);
	cleaned_tell(&done);
}

static void adoption_next(void);

/* The giver has nothing left, nothing more can be taken, or the giver is gone:
 * what it had not given is in its table still, for the next one. */
static void
adoption_end(bool gone)
{
	struct hub *h = adoption.ch->hub;
	struct message_cleaned done = {.worker = adoption.what.worker,
	    .generation = adoption.what.generation,
	    .taken = adoption.taken,
	    .full = adoption.full || adoption.left > 0,
	    .ended = gone};

	event_del(&adoption.ev);
	close(adoption.link);
	adoption.link = -1;
	done.left = slot_held(h, (int)done.worker);
	if (done.left == 0 ||
	    (!done.full && !gone && adoption.what.last != 0)) {
		if (done.left > 0)
			log_warn("%u connections of worker %u are lost: nobody "
				 "has their sockets",
			    done.left, done.worker);
		chat_clean(h, (int)done.worker);
		done.left = 0;
	}
	log_info("adopted %u connections of worker %u, %u stay%s", done.taken,
	    done.worker, done.left,
	    done.full  ? ": no room for them"
		: gone ? ": who gave them is gone"
		       : "");
	cleaned_tell(&done);
	adoption_next();
}

/* Asks for as many as there is room for. */
static void
adoption_ask(void)
{
	uint32_t room = adoption.host->room(adoption.ch);

	if (adoption.asked)
		return;
	if (room == 0) {
		adoption.full = true;
		adoption_end(false);
	} else if (custody_ask(adoption.link,
		       room < CUSTODY_MAX ? room : CUSTODY_MAX) == 0)
		adoption.asked = true;
	else if (custody_is_gone(errno))
		adoption_end(true);
}

/* Waits for connections and asks for them. If that fails none are taken: the
 * giver still has them. */
static void
adoption_go(void)
{
	if (event_add(&adoption.ev, NULL) == 0) {
		adoption_ask();
		return;
	}
	log_error("adoption: %s", strerror(errno));
	adoption.full = true;
	adoption_end(false);
}

/* Takes up a batch. */
static void
adoption_take(const struct custody_note *note, const int *fd)
{
	const struct adopt_fault fault = {
	    adoption.what.fault_hand, adoption.what.fault_arg};
	uint32_t left;

	adoption.taken += move_take(adoption.ch, (int)adoption.what.worker,
	    note->id, fd, note->n, &fault, &left);
	adoption.left += left;
}

/* The giver gives. */
static void
adoption_cb(int link, short what, void *arg)
{
	static struct custody_note note;
	static int fd[CUSTODY_MAX];
	int r;

	chat_event(adoption.ch);
	r = custody_receive(link, &note, fd);
	KILL_POINT();
	if (r == 0)
		return;
	if (r < 0 && errno == EBADMSG) {
		/* lost on the way: what it was is not known, but the giver has
		 * it still */
		adoption.full = true;
		adoption.asked = false;
		adoption_ask();
	} else if (r < 0 || note.type == CUSTODY_DONE) {
		adoption_end(r < 0);
	} else if (note.type == CUSTODY_KEEP) {
		adoption_take(&note, fd);
		adoption.asked = false;
		adoption_ask();
	}
}

/* Begins with an adoption. */
static void
adoption_begin(const struct message_adopt *what, int link)
{
	struct hub *h = adoption.ch->hub;

	adoption.link = link;
	adoption.what = *what;
	adoption.taken = adoption.left = 0;
	adoption.asked = adoption.full = false;
	hub_lock(h); /* redoes what the dead one did not get to */
	hub_unlock(h);
	slot_recall(h, (int)what->worker);
	move_redo(h, (int)what->worker);
	subscription_rechain(h, (int)what->worker);
	event_assign(&adoption.ev, adoption.ch->base, link,
	    EV_READ | EV_PERSIST, adoption_cb, NULL);
	adoption_go();
}

/* Begins the adoption that has waited longest. */
static void
adoption_next(void)
{
	struct message_adopt what;
	int link;

	if (adoption.link >= 0 || adoption.n_queue == 0)
		return;
	link = adoption.queue[0].link;
	what = adoption.queue[0].what;
	memmove(&adoption.queue[0], &adoption.queue[1],
	    (size_t)--adoption.n_queue * sizeof(adoption.queue[0]));
	adoption_begin(&what, link);
}

void
adoption_order(const struct message_adopt *what, int link)
{
	if (what->worker >= SHM_WORKERS || adoption.n_queue == SHM_WORKERS ||
	    (int)what->worker == adoption.ch->hub->self) {
		log_error("adoption of worker %u: the order makes no sense",
		    what->worker);
		close(link);
		return;
	}
	adoption.queue[adoption.n_queue].link = link;
	adoption.queue[adoption.n_queue++].what = *what;
	adoption_next();
}

void
adoption_refuse(const struct message_adopt *what)
{
	struct message_cleaned done = {
	    .worker = what->worker, .generation = what->generation, .full = 1};

	if (what->worker < SHM_WORKERS)
		done.left = slot_held(adoption.ch->hub, (int)what->worker);
	if (done.left == 0) /* it is not cleaned up after */
		done.left = 1;
	cleaned_tell(&done);
}

bool
adoption_is_idle(void)
{
	return adoption.link < 0 && adoption.n_queue == 0 && cleaned.n == 0;
}

void
adoption_init(struct chat *ch, const struct adoption_host *host)
{
	adoption.ch = ch;
	adoption.host = host;
}

int
adoption_turn(void)
{
	if (cleaned.n > 0)
		cleaned_flush();
	if (adoption.link >= 0)
		adoption_ask();
	return adoption.link >= 0 || cleaned.n > 0 ? ADOPTION_RETRY_MS : -1;
}
