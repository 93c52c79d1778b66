/*
 * The mover of a place, as the master sees it: while no worker follows there,
 * it gives the sockets that the family has to workers that go on with the
 * connections.
 */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "children.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "master/roles.h"
#include "member.h"
#include "member_state.h"
#include "members.h"
#include "mover.h"
#include "net/custody.h"
#include "net/link.h"
#include "private.h"

/* The place whose mover a child is. */
static struct member *
mover_of(const struct child *c)
{
	return &c->master->member[c->number];
}

void
mover_init(struct member *w)
{
	child_init(
	    &w->mover, child_row_played(&mover_role), w->place, w->place);
	w->mover.master = w->master;
}

bool
mover_is_there(const struct member *w)
{
	return w->mover.pid != 0 || family_awaits(&w->family, &w->mover);
}

/* Makes the next one. Its notes are told from those for a worker by the
 * generation, which the two of them share. */
static void
mover_start(struct child *c, uint64_t now)
{
	struct member *w = mover_of(c);

	if (mover_is_there(w) || !family_holds(&w->family))
		return;
	c->generation = w->child.generation;
	family_start(&w->family, c);
	w->child.generation = c->generation;
	SHM_STORE(w->child.line->generation, c->generation);
}

int
mover_connect(struct member *w)
{
	struct child *c = &w->mover;
	int fd[2], saved;

	if (!c->ready) {
		if (c->respawn_ms == 0)
			mover_start(c, master_clock_ms(w->master));
		errno = EAGAIN;
		return -1;
	}
	if (custody_pair(fd) == -1)
		return -1;
	if (link_send(c->link, MSG_GIVE_BACK, NULL, 0, fd[0]) == 0) {
		close(fd[0]);
		return fd[1];
	}
	saved = errno;
	close(fd[0]);
	close(fd[1]);
	errno = saved;
	return -1;
}

/* Its line is the next worker's. */
static void
mover_clear(const struct member *w)
{
	SHM_STORE(w->child.line->thread, 0); /* a lock that names it is free */
	SHM_STORE(w->child.line->lock_state, LOCK_NONE);
	SHM_STORE(w->child.line->pid, 0);
}

/* Nobody but it has the table: the next worker gets the sockets from it. */
static void
mover_hold(struct member *w)
{
	log_warn("both keepers of worker %d are dead: its connections are "
		 "with mover %d",
	    w->place, w->place);
	giver_hold(w, &w->mover);
	mover_clear(w);
	w->mover.ready = false;
	family_process_gone(&w->family);
	family_leave(&w->family);
}

void
mover_leave(struct member *w)
{
	struct child *c = &w->mover;

	c->respawn_ms = 0;
	if (c->pid == 0 || c->leave_ms != 0)
		return;
	if (link_send(c->link, MSG_STOP, NULL, 0, -1) == 0)
		c->leave_ms = master_clock_ms(w->master);
	else
		(void)child_kill(c, "cannot be told to leave");
}

void
mover_make_way(struct member *w)
{
	const struct child *c = &w->mover;

	if (c->pid != 0 && c->ready && c->leave_ms == 0 &&
	    family_keepers(&w->family) == 0)
		mover_hold(w);
	else
		mover_leave(w);
}

/* Whether there is something to be given. */
static bool
mover_may_start(const struct child *c)
{
	const struct member *w = mover_of(c);

	return w->unclean && member_is_vacant(w) && w->child.pid == 0 &&
	    !family_awaits(&w->family, &w->child);
}

/* It may be there. */
static void
mover_seek(struct child *c)
{
	family_look(&mover_of(c)->family);
}

/* It can give. */
static void
mover_hello(struct child *c)
{
	struct member *w = mover_of(c);

	family_hello(&w->family);
	/* its place waits for that */
	w->child.role->due(&w->child, master_clock_ms(w->master));
}

/* None follows one that is not needed. */
static bool
mover_leaves(const struct child *c)
{
	return c->leave_ms != 0 || !mover_may_start(c);
}

/* It is gone; true: another one follows, now or after a back-off. */
static bool
mover_died(struct child *c, const struct child_end *end)
{
	struct member *w = mover_of(c);

	mover_clear(w);
	family_died(&w->family, end);
	return true;
}

const struct child_role mover_role = {.start = mover_start,
    .look = mover_seek,
    .may_start = mover_may_start,
    .hello = mover_hello,
    .leaves = mover_leaves,
    .died = mover_died,
    .save = mover_save};
