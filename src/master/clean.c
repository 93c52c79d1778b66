/*
 * clean: finds workers for the connections of a worker that is gone while no
 * other follows in its place. They are served by none until another worker, or
 * the replacement, has taken them up from the process that holds their sockets.
 */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/slot.h"
#include "net/link.h"
#include "clean.h"
#include "member.h"
#include "members.h"
#include "mover.h"
#include "private.h"
#include "resize.h"

enum {
	FULL_MS = 5000, /* a worker that had no room for a dead worker's
			 * connections is asked again after */
};

/* How often to count what is left of an adoption that does not get on. Larger:
 * it may look that much older than it is; smaller: more work for the master. */
enum { COUNT_MS = 1000 };

/* Finds who has a dead worker's sockets, from dead->cleaner_from on, which
 * becomes the one that was found. Returns a link to it; -1 and errno: it cannot
 * be reached now, 0: nobody has any. */
static int
source_link(struct member *dead)
{
	int fd;

	for (; dead->cleaner_from < GIVERS; dead->cleaner_from++) {
		fd = giver_connect(dead, dead->cleaner_from);
		if (fd != -1 || errno != 0)
			return fd;
	}
	if (family_holds(&dead->family))
		return mover_connect(dead);
	errno = 0;
	return -1;
}

/* Whether nobody besides has sockets. */
static bool
source_is_last(const struct member *dead)
{
	if (dead->cleaner_from == GIVERS)
		return true;
	for (int i = (int)dead->cleaner_from + 1; i < GIVERS; i++)
		if (giver_lives(dead, (enum giver)i))
			return false;
	return !family_holds(&dead->family);
}

/* Has a worker take up a dead one's connections from the process that has their
 * sockets, or clean up after it if none has any more. Returns 0, or -1: not
 * now. */
static int
adopt_send(struct member *dead, struct member *to)
{
	struct message_adopt adopt = {.worker = (uint32_t)dead->place,
	    .fault_hand = dead->fault_hand,
	    .fault_arg = dead->fault_arg};
	struct message_clean clean = {.worker = adopt.worker};
	int fd = source_link(dead), result;

	/* a mover's generation is one of the place's */
	adopt.generation = clean.generation = dead->child.generation;
	dead->cleaner_generation = adopt.generation;
	if (fd == -1)
		return errno != 0
		    ? -1
		    : member_send(to, MSG_CLEAN, &clean, sizeof(clean));
	adopt.last = source_is_last(dead);
	result =
	    link_send(to->child.link, MSG_ADOPT, &adopt, sizeof(adopt), fd);
	close(fd);
	return result;
}

/* The lively worker that is to go on with a dead one's connections; -1: none
 * can. One that adopts already is the last choice: orders wait there. */
static int
cleaner_find(const struct member *dead)
{
	const struct master *m = dead->master;
	int found = -1, last = -1;
	uint64_t busy = 0;

	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].cleaner != -1)
			busy |= 1ull << m->member[i].cleaner;
	for (int i = m->n_workers - 1; i >= 0; i--) {
		const struct member *w = &m->member[i];

		if (!w->child.ready || w->child.killed || w->retire_ms != 0 ||
		    w->child.eof_ms != 0 || (dead->full >> i & 1) != 0)
			continue;
		last = i;
		if ((busy >> i & 1) == 0 && watchdog_is_lively(&m->watchdog, i))
			found = i;
	}
	return found != -1 ? found : last;
}

void
clean_assign(struct member *dead)
{
	struct master *m = dead->master;
	int cleaner = -1;

	dead->cleaner = -1;
	if (!dead->unclean || !member_is_vacant(dead) || member_is_there(dead))
		return;
	cleaner = dead->course != COURSE_STAYS ? resize_taker(dead)
					       : cleaner_find(dead);
	if (cleaner == -1 || adopt_send(dead, &m->member[cleaner]) == -1)
		return; /* the timer tries again */
	dead->cleaner = cleaner;
	dead->clean_ms = master_clock_ms(m);
	dead->cleaner_left = slot_held(&m->hub, dead->place);
}

void
clean_reassign(struct member *w)
{
	for (int i = 0; i < w->master->n_workers; i++)
		if (w->master->member[i].cleaner == w->place)
			clean_assign(&w->master->member[i]);
}

/* The rest of a dead worker's connections stays where it is for now. */
static void
cleaned_partly(
    struct member *w, struct member *dead, const struct message_cleaned *clean)
{
	if (clean->full == 0) {
		/* one that has ended may have had more, and the next one has
		 * it; one that has not has no more */
		if (clean->ended == 0 && dead->cleaner_from < GIVERS)
			giver_end(dead, dead->cleaner_from++);
		clean_assign(dead);
		return;
	}
	if (dead->full == 0)
		dead->full_ms = master_clock_ms(dead->master);
	dead->full |= 1ull << w->place;
	log_warn("worker %d has no room for %u more connections of worker %d",
	    w->place, clean->left, dead->place);
	clean_assign(dead);
	if (dead->cleaner == -1 && dead->course == COURSE_GONE)
		resize_refused(dead);
}

bool
clean_done(struct member *w, const struct message_cleaned *clean)
{
	struct member *dead;

	if (clean->worker >= (uint32_t)w->master->n_workers)
		return false;
	dead = &w->master->member[clean->worker];
	if (dead->cleaner != w->place ||
	    dead->cleaner_generation != clean->generation)
		return false;
	dead->cleaner = -1;
	if (clean->left > 0) {
		cleaned_partly(w, dead, clean);
		return true;
	}
	dead->unclean = false;
	giver_end_all(dead);
	mover_leave(dead);
	log_debug(
	    "worker %d cleaned up after worker %d", w->place, dead->place);
	return true;
}

void
clean_time(struct member *w, uint64_t now)
{
	uint32_t left;

	if (w->full != 0 && now >= w->full_ms + FULL_MS)
		w->full = 0;
	if (w->cleaner == -1) {
		clean_assign(w);
		return;
	}
	if (now < w->clean_ms + COUNT_MS)
		return;
	left = slot_held(&w->master->hub, w->place);
	if (left < w->cleaner_left) {
		w->cleaner_left = left;
		w->clean_ms = now;
	} else if (now >= w->clean_ms + CLEANED_MS)
		/* It must not clean what the next worker will have set. */
		member_kill(&w->master->member[w->cleaner],
		    "does not go on for another");
}
