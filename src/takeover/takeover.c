#include "takeover/takeover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sparse.h"
#include "takeover/adopt.h"
#include "conn/custody.h"
#include "room/rooms.h"
#include "takeover/move.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "net/custody.h"

enum {
	TICK_MS = 100,	/* between life signs while the giver is waited for */
	WARN_MS = 1000, /* between two lines of the log about that */
	/* A worker that retired may be stopped; its keeper has the sockets,
	 * too. Larger: clients wait longer then; smaller: sockets are often
	 * given twice. */
	SILENCE_MS = 500
};

/* Whether a connection goes on here: it was the predecessor's. One that was on
 * its way there is still with its giver. */
static bool
takeover_is_ours(const struct hub *h, uint32_t i)
{
	return slot_holder(h, i) == h->self;
}

/* Sorts a note's descriptors: a live connection's by slot, others are given
 * up. */
static void
takeover_sort(
    struct chat *ch, const struct custody_note *note, const int *got, int *fd)
{
	uint32_t j, i;

	for (j = 0; j < note->n; j++) {
		i = slot_find(ch->hub, note->id[j]);
		if (i != SHM_NONE && fd[i] == 0 &&
		    takeover_is_ours(ch->hub, i) && got[j] < CHAT_FDS) {
			fd[i] = got[j] + 1;
			continue;
		}
		close(got[j]);
		if (i == SHM_NONE || !takeover_is_ours(ch->hub, i))
			custody_give_up(ch, note->id[j]);
	}
}

/* Receives one note from the giver. False: there are no more. */
static bool
takeover_note(struct chat *ch, int link, int *fd, const char *who)
{
	static struct custody_note note;
	static int got[CUSTODY_MAX];
	int r = custody_receive(link, &note, got);

	KILL_POINT();
	if (r > 0 && note.type == CUSTODY_KEEP)
		takeover_sort(ch, &note, got, fd);
	if (r >= 0)
		return r == 0 || note.type != CUSTODY_DONE;
	if (errno == EBADMSG) {
		log_warn("%s: descriptors were lost on their way: more open "
			 "files are needed than the limit allows",
		    who);
		return true;
	}
	log_warn("%s ended before it had given everything back", who);
	return false;
}

/* A process that has the predecessor's sockets. */
struct source {
	int link; /* -1: there is none */
	const char *who;
	bool asked, ended; /* ended: it has nothing more to give */
};

/*
 * Receives everything that a source has. It is waited for as long as it lives,
 * with life signs: whether a process is hung is the master's to judge, who
 * kills it then, and the link ends. With silence_ms (0: without limit) it is
 * left for another source when nothing has come for so long.
 */
static void
takeover_pull(struct chat *ch, struct source *s, int *fd, uint64_t silence_ms)
{
	struct pollfd p = {s->link, POLLIN, 0};
	uint64_t began = clock_ms(), warned = began, heard = began;

	while (
	    !s->ended && (silence_ms == 0 || clock_ms() - heard < silence_ms)) {
		if (!s->asked) {
			s->asked = custody_ask(s->link, UINT32_MAX) == 0;
			if (!s->asked && custody_is_gone(errno))
				s->ended = true;
		}
		if (!s->ended && poll(&p, 1, s->asked ? TICK_MS : 1) > 0) {
			s->ended = !takeover_note(ch, s->link, fd, s->who);
			heard = clock_ms();
		}
		line_tick(ch->hub);
		if (clock_ms() - warned >= WARN_MS) {
			warned = clock_ms();
			log_warn("%s has not given everything back after %llu "
				 "ms, waiting",
			    s->who, (unsigned long long)(warned - began));
		}
	}
}

/* Whether a connection that was promised to go on has no descriptor yet. */
static bool
takeover_misses(const struct hub *h, const int *fd)
{
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1))
		if (fd[i] == 0 && takeover_is_ours(h, i) && slot_in_use(h, i))
			return true;
	return false;
}

/* Collects the descriptors by slot, + 1: from the worker that retired and the
 * former keeper if there are such, and what is missing from the keeper. */
static void
takeover_collect(struct chat *ch, const struct takeover_start *start, int *fd)
{
	static const char *const who[TAKEOVER_GIVERS] = {
	    "the worker that retired", "the former keeper"};
	struct source giver[TAKEOVER_GIVERS];
	struct source keeper = {.link = start->custody, .who = "the keeper"};
	bool asked = false;
	int k;

	for (k = 0; k < TAKEOVER_GIVERS; k++) {
		giver[k] = (struct source){.link = start->giver[k],
		    .who = who[k],
		    .ended = start->giver[k] < 0};
		if (giver[k].ended || (asked && !takeover_misses(ch->hub, fd)))
			continue;
		takeover_pull(ch, &giver[k], fd, SILENCE_MS);
		asked = true;
	}
	if (keeper.link >= 0) {
		custody_link(ch, start->custody, start->keeper);
		if (!asked || takeover_misses(ch->hub, fd))
			takeover_pull(ch, &keeper, fd, 0);
	}
	/* who was silent has what nobody else has */
	for (k = 0; k < TAKEOVER_GIVERS; k++) {
		if (!giver[k].ended && takeover_misses(ch->hub, fd))
			takeover_pull(ch, &giver[k], fd, 0);
		if (giver[k].link >= 0)
			close(giver[k].link);
	}
}

/* A publication whose delivery killed two workers is passed over by all. */
static void
takeover_fault_delivery(struct chat *ch, uint64_t position)
{
	struct hub *h = ch->hub;

	ch->rooms->follower.trial = position;
	hub_lock(h);
	if (journal_fault(h, position))
		log_error("publication %llu crashed two workers: no worker "
			  "delivers it any more",
		    (unsigned long long)position);
	hub_unlock(h);
}

void
takeover(struct chat *ch, const struct takeover_start *start)
{
	struct hub *h = ch->hub;
	struct adopt_result r;
	uint64_t began = clock_ms();
	int *fd = sparse_new(h->n_slots, sizeof(*fd));

	if (fd == NULL)
		log_fatal("takeover: %s", strerror(errno));
	hub_lock(h); /* redoes what the dead worker did not finish */
	hub_unlock(h);
	slot_recall(h, h->self);
	if (start->fault.hand == HAND_DELIVERY)
		takeover_fault_delivery(ch, start->fault.arg);
	takeover_collect(ch, start, fd);
	/* the first worker delivers from now on, others go on at the cursor */
	if (start->generation == 1)
		SHM_STORE(h->mine->cursor, journal_tail(h));
	move_redo(h, h->self);
	adopt_all(ch, fd, &start->fault, &r);
	/* this worker has survived the publication that killed its
	 * predecessor */
	if (ch->rooms->follower.trial <= SHM_OWN(h->mine->cursor))
		journal_acquit(h, ch->rooms->follower.trial);
	/* without connections the publications in between are not needed */
	if (ch->n_conns == 0)
		SHM_STORE(h->mine->cursor, journal_tail(h));
	sparse_free(fd, h->n_slots, sizeof(*fd));
	if (start->generation > 1)
		log_info("adopted %u connections in %llu ms (closed %u, lost "
			 "%u, corrupted %u, replayed input of %u)",
		    r.adopted, (unsigned long long)(clock_ms() - began),
		    r.closed, r.lost, r.corrupted, r.replayed);
}
