/*
 * The beginning of every worker: what its predecessor left. The keeper gives
 * duplicates of the client sockets back, the slots say what to do with them.
 * Dying here, at any point, costs nothing: the next one begins again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "chat/adopt.h"
#include "chat/custody.h"
#include "chat/move.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "net/custody.h"
#include "private.h"

/* A keeper that says nothing for so long is hung: what it has given by then is
 * taken over, the master brings another. */
enum { KEEPER_SILENCE_MS = 500 };

/* Whether a connection goes on here: it was the predecessor's. One that was on
 * its way there is still with its giver. */
static bool
is_ours(const struct hub *h, uint32_t i)
{
	return slot_worker(h, i) == h->self && slot_state(h, i) != SLOT_MOVING;
}

/* Sorts a note's descriptors: a live connection's by slot, others are given
 * up. */
static void
sort(struct chat *ch, const struct custody_note *note, const int *got, int *fd)
{
	uint32_t j, i;

	for (j = 0; j < note->n; j++) {
		i = slot_find(ch->hub, note->id[j]);
		if (i != SHM_NONE && fd[i] == 0 && is_ours(ch->hub, i) &&
		    got[j] < CHAT_FDS) {
			fd[i] = got[j] + 1;
			continue;
		}
		close(got[j]);
		custody_give_up(ch, note->id[j]);
	}
}

/* Receives everything that the keeper gives back. */
static void
hand_back(struct chat *ch, int link, int *fd)
{
	static struct custody_note note;
	static int got[CUSTODY_MAX];
	struct pollfd p = {link, POLLIN, 0};

	while (poll(&p, 1, KEEPER_SILENCE_MS) > 0) {
		switch (custody_receive(link, &note, got, false)) {
		case 1:
			KILL_POINT();
			if (note.type == CUSTODY_DONE)
				return;
			if (note.type == CUSTODY_KEEP)
				sort(ch, &note, got, fd);
			break;
		case 0:
			break;
		default:
			log_warn("the keeper ended before it had given "
				 "everything back");
			return;
		}
		stats_tick(ch->hub);
	}
	log_warn("the keeper is silent");
}

/* A publication whose delivery killed two workers is passed over by all. */
static void
fault_delivery(struct chat *ch, uint64_t position)
{
	struct hub *h = ch->hub;

	ch->trial = position;
	hub_lock(h);
	if (journal_fault(h, position))
		log_error("publication %llu crashed two workers: it is "
			  "delivered to nobody any more",
		    (unsigned long long)position);
	hub_unlock(h);
}

void
takeover(struct worker *w)
{
	struct chat *ch = &w->chat;
	struct hub *h = ch->hub;
	const struct worker_start *start = w->start;
	const struct adopt_fault fault = {start->fault_hand, start->fault_arg};
	size_t bytes = sizeof(int) * h->n_slots;
	struct adopt_result r;
	uint64_t began = clock_ms();
	int *fd = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd == MAP_FAILED)
		log_fatal("takeover: %s", strerror(errno));
	hub_lock(h); /* redoes what the dead one did not get to */
	hub_unlock(h);
	slot_recall(h, h->self);
	if (fault.hand == HAND_DELIVERY)
		fault_delivery(ch, fault.arg);
	if (start->custody >= 0) {
		custody_link(ch, start->custody, false);
		hand_back(ch, start->custody, fd);
	}
	if (start->generation == 1) /* 0 later on: nothing delivered yet */
		SHM_STORE(h->me->cursor, journal_tail(h));
	move_redo(h, h->self);
	adopt_all(ch, fd, &fault, &r);
	if (ch->trial <= SHM_OWN(h->me->cursor)) /* it has been survived */
		journal_acquit(h, ch->trial);
	if (ch->n_conns == 0) /* nobody misses what others said meanwhile */
		SHM_STORE(h->me->cursor, journal_tail(h));
	munmap(fd, bytes);
	if (start->generation > 1)
		log_info("took over %u connections in %llu ms (%u had ended, "
			 "%u were lost, %u spoilt, input of %u replayed)",
		    r.adopted, (unsigned long long)(clock_ms() - began),
		    r.ended, r.lost, r.spoilt, r.replayed);
}
