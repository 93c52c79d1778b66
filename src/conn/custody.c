#include "conn/custody.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sparse.h"
#include "conn/conn.h"
#include "hub/kept.h"
#include "net/custody.h"

enum {
	RETRY_MS = 1,
	COUNT_MS = 1000 /* between two looks at what the keeper has */
};

struct custody {
	int link;	 /* -1: no keeper */
	uint32_t number; /* of the keeper at the link (kept.h) */
	uint32_t broken; /* number of a keeper whose link ended; 0: none */
	uint64_t lost_ms;
	uint64_t *unsent; /* [cap]: ids to hand over */
	uint32_t n_unsent;
	uint64_t *give; /* [cap]: ids to give up */
	uint32_t n_give;
	bool check;    /* the keeper is asked to look for connections that have
			* ended */
	uint32_t walk; /* next connection to hand over if the keeper does not
			* have it; SHM_NONE: no walk is under way */
	uint64_t counted_ms;
	uint32_t counts; /* since there is the link */
	bool sound;	 /* a second count found nothing missing for long */
	uint64_t warned_ms;
	uint32_t cap;
};

int
custody_init(struct chat *ch)
{
	struct custody *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -1;
	c->cap = 2 * ch->hub->n_slots;
	c->unsent = sparse_new(c->cap, sizeof(*c->unsent));
	c->give = sparse_new(c->cap, sizeof(*c->give));
	if (c->unsent == NULL || c->give == NULL) {
		free(c);
		errno = ENOMEM;
		return -1;
	}
	c->link = -1;
	c->walk = SHM_NONE;
	ch->custody = c;
	return 0;
}

/* The link has ended: the master sends another one, perhaps to another
 * keeper. */
static void
custody_lose(struct chat *ch)
{
	struct custody *c = ch->custody;

	if (c->link < 0)
		return;
	c->sound = false;
	close(c->link);
	c->link = -1;
	c->broken = c->number;
	c->lost_ms = ch->now_ms;
	c->n_give = 0; /* the next keeper finds ended connections by a check */
	c->check = false;
	c->walk = SHM_NONE;
}

void
custody_link(struct chat *ch, int fd, uint32_t number)
{
	struct custody *c = ch->custody;

	custody_lose(ch);
	c->link = fd;
	c->number = number;
	c->broken = 0;
	c->check = true;
	c->walk = 0;
	c->counts = 0;
	c->sound = false;
}

uint32_t
custody_broken(const struct chat *ch)
{
	return ch->custody->broken;
}

void
custody_broken_told(struct chat *ch)
{
	ch->custody->broken = 0;
}

uint32_t
custody_number(const struct chat *ch)
{
	return ch->custody->link >= 0 ? ch->custody->number : 0;
}

void
custody_leave(struct chat *ch)
{
	custody_lose(ch);
	ch->custody->broken = 0;
}

/* Whether an id on the list is that of a connection which still waits. */
static bool
custody_unsent_waits(const struct chat *ch, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	return ch->conn[i].fresh && slot_id(ch->hub, i) == id;
}

/* Nothing holds the connection's output back any more. */
static void
custody_settle(struct chat *ch, uint32_t i)
{
	ch->conn[i].fresh = false;
	conn_dirty(ch, i);
}

/* Settles every connection on the list and empties the list. */
static void
custody_settle_all(struct chat *ch)
{
	struct custody *c = ch->custody;
	uint32_t k;

	for (k = 0; k < c->n_unsent; k++)
		if (custody_unsent_waits(ch, c->unsent[k]))
			custody_settle(ch, (uint32_t)c->unsent[k]);
	c->n_unsent = 0;
}

void
custody_add(struct chat *ch, uint32_t i)
{
	struct custody *c = ch->custody;

	ch->conn[i].fresh = true;
	if (c->n_unsent == c->cap) {
		/* ids of connections that have ended fill the list: a walk
		 * finds the others */
		custody_settle_all(ch);
		c->walk = 0;
	}
	c->unsent[c->n_unsent++] = slot_id(ch->hub, i);
}

void
custody_give_up(struct chat *ch, uint64_t id)
{
	struct custody *c = ch->custody;

	if (c->link < 0)
		return; /* the next keeper begins with a check */
	if (c->n_give == c->cap) {
		c->n_give = 0;
		c->check = true;
		return;
	}
	c->give[c->n_give++] = id;
}

/* Says which connections of a note have no descriptor any more: that is an
 * error of this process, and must not cost the others their keeper. */
static void
custody_note_blame(const struct custody_note *note, const int *fd)
{
	uint32_t k;

	for (k = 0; k < note->n; k++)
		if (fcntl(fd[k], F_GETFD) < 0)
			log_error(
			    "connection %016llx: its descriptor %d is not "
			    "open, not taken into custody",
			    (unsigned long long)note->id[k], fd[k]);
}

/* Keeps those of a note whose descriptors are open. */
static void
custody_note_sift(struct custody_note *note, int *fd)
{
	uint32_t k, left = 0;

	custody_note_blame(note, fd);
	for (k = 0; k < note->n; k++)
		if (fcntl(fd[k], F_GETFD) >= 0) {
			note->id[left] = note->id[k];
			fd[left++] = fd[k];
		}
	note->n = left;
}

/* Sends a note; false if that has to wait, or the keeper is gone. A note
 * without ids is not sent. */
static bool
custody_note_send(struct chat *ch, struct custody_note *note, int *fd)
{
	struct custody *c = ch->custody;
	int tries;

	for (tries = 0; tries < 2; tries++) {
		if (note->n == 0 && note->type != CUSTODY_CHECK)
			return true;
		if (custody_send(c->link, note, fd) == 0) {
			KILL_POINT();
			return true;
		}
		if (errno != EBADF || fd == NULL)
			break;
		custody_note_sift(note, fd);
	}
	if (custody_is_gone(errno))
		custody_lose(ch);
	return false;
}

/* Takes a connection off the list of those to be given up: it is here again. */
static void
custody_give_unsay(struct custody *c, const uint64_t *id, uint32_t n)
{
	uint32_t k, at, left = 0;

	for (at = 0; at < c->n_give; at++) {
		for (k = 0; k < n && id[k] != c->give[at]; k++)
			;
		if (k == n)
			c->give[left++] = c->give[at];
	}
	c->n_give = left;
}

bool
custody_keep(struct chat *ch, const uint64_t *id, const int *fd, uint32_t n)
{
	struct custody_note note = {.type = CUSTODY_KEEP, .n = n};
	int copy[CUSTODY_MAX];

	if (ch->custody->link < 0 || n > CUSTODY_MAX)
		return false;
	memcpy(note.id, id, n * sizeof(*id));
	memcpy(copy, fd, n * sizeof(*fd));
	if (!custody_note_send(ch, &note, copy))
		return false;
	custody_give_unsay(ch->custody, id, n);
	return true;
}

/* Sends the ids that are given up, or asks the keeper for a check. */
static void
custody_send_give(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_CHECK};
	uint32_t done = 0;

	if (c->check && custody_note_send(ch, &note, NULL))
		c->check = false;
	note.type = CUSTODY_GIVE_UP;
	while (c->link >= 0 && done < c->n_give) {
		note.n = c->n_give - done < CUSTODY_MAX ? c->n_give - done
							: CUSTODY_MAX;
		memcpy(note.id, c->give + done, note.n * sizeof(note.id[0]));
		if (!custody_note_send(ch, &note, NULL))
			break;
		done += note.n;
	}
	if (c->link < 0)
		return;
	memmove(c->give, c->give + done, (c->n_give - done) * sizeof(*c->give));
	c->n_give -= done;
}

/* Adds a connection to a note. */
static void
custody_note_add(
    struct chat *ch, struct custody_note *note, int *fd, uint32_t i)
{
	fd[note->n] = ch->conn[i].fd;
	note->id[note->n++] = slot_id(ch->hub, i);
}

/* Sends the connections that have just opened, and then lets their answers
 * out. */
static void
custody_send_unsent(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_KEEP};
	uint32_t k, from = 0, batch, sent = 0;
	int fd[CUSTODY_MAX];

	while (from < c->n_unsent && sent < CUSTODY_FLIGHT) {
		note.n = 0;
		for (k = from; k < c->n_unsent && note.n < CUSTODY_MAX; k++)
			if (custody_unsent_waits(ch, c->unsent[k]))
				custody_note_add(
				    ch, &note, fd, (uint32_t)c->unsent[k]);
		if (!custody_note_send(ch, &note, fd))
			break;
		for (batch = from; batch < k; batch++)
			if (custody_unsent_waits(ch, c->unsent[batch]))
				custody_settle(ch, (uint32_t)c->unsent[batch]);
		sent += note.n;
		from = k;
	}
	memmove(c->unsent, c->unsent + from,
	    (c->n_unsent - from) * sizeof(*c->unsent));
	c->n_unsent -= from;
}

/* Whether a connection is one that this worker's keeper is to have. Of one that
 * is on its way to another worker, that worker's keeper may say so. */
static bool
custody_is_opened(const struct chat *ch, uint32_t i)
{
	return ch->conn[i].phase >= CONN_OPEN &&
	    ch->conn[i].phase != CONN_MOVING && !ch->conn[i].fresh &&
	    slot_in_use(ch->hub, i);
}

/* Hands over what the keeper does not have, as far as may be in flight. */
static void
custody_send_walk(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_KEEP};
	uint32_t i = c->walk == 0 ? SHM_NONE : c->walk - 1, sent = 0, begin;
	int fd[CUSTODY_MAX];
	bool more = true;

	while (more && sent < CUSTODY_FLIGHT) {
		note.n = 0;
		begin = i;
		while (note.n < CUSTODY_MAX && (more = conn_next(ch, &i)))
			if (custody_is_opened(ch, i) &&
			    !kept_here(ch->hub, slot_id(ch->hub, i)))
				custody_note_add(ch, &note, fd, i);
		if (!custody_note_send(ch, &note, fd)) {
			i = begin;
			more = true;
			break;
		}
		sent += note.n;
	}
	if (c->link >= 0)
		c->walk = more ? i + 1 : SHM_NONE;
}

/* There is no keeper: after CUSTODY_PATIENCE_MS the 101s go out without
 * custody. */
static void
custody_do_without(struct chat *ch)
{
	if (ch->now_ms - ch->custody->lost_ms >= CUSTODY_PATIENCE_MS)
		custody_settle_all(ch);
}

/* Says that connections are not in custody. */
static void
custody_warn(struct chat *ch, uint32_t kept, uint32_t opened)
{
	struct custody *c = ch->custody;

	if (c->warned_ms != 0 && ch->now_ms - c->warned_ms < 10 * COUNT_MS)
		return;
	c->warned_ms = ch->now_ms;
	log_warn(
	    "keeper has %u of %u connections: if this worker dies now, those "
	    "that its keeper does not have are disconnected",
	    kept, opened);
}

/* Counts the connections that the keeper has, and stores the number; the others
 * are handed over. Returns whether it has all. */
static bool
custody_count(struct chat *ch)
{
	struct shm_worker *me = ch->hub->me;
	struct custody *c = ch->custody;
	uint32_t i = SHM_NONE, opened = 0, kept = 0, unkept = 0;
	bool again = ch->now_ms - c->counted_ms >= COUNT_MS;
	bool here;

	while (conn_next(ch, &i)) {
		if (!custody_is_opened(ch, i))
			continue;
		here = c->link >= 0 && kept_here(ch->hub, slot_id(ch->hub, i));
		opened++;
		kept += here;
		unkept += !here && ch->conn[i].unkept;
		if (again || here)
			ch->conn[i].unkept = !here;
	}
	SHM_TELL(me->opened, opened);
	SHM_TELL(me->kept, kept);
	if (again) {
		SHM_TELL(me->unkept, unkept);
		c->counted_ms = ch->now_ms;
		/* while many connections come, some are always on their way to
		 * the keeper */
		c->sound = c->link >= 0 && ++c->counts > 1 && unkept == 0;
		if (unkept > 0)
			custody_warn(ch, kept, opened);
	}
	return kept == opened;
}

bool
custody_is_complete(struct chat *ch)
{
	struct custody *c = ch->custody;

	if (c->sound)
		return true;
	return c->link >= 0 && c->n_unsent == 0 && c->n_give == 0 &&
	    !c->check && c->walk == SHM_NONE && custody_is_clear(c->link) &&
	    custody_count(ch);
}

int
custody_turn(struct chat *ch)
{
	struct custody *c = ch->custody;

	if (ch->now_ms - c->counted_ms >= COUNT_MS && !custody_count(ch) &&
	    c->walk == SHM_NONE && c->link >= 0)
		c->walk = 0;
	if (c->n_unsent == 0 && c->n_give == 0 && !c->check &&
	    c->walk == SHM_NONE)
		return 0;
	if (c->link >= 0 && (c->n_give > 0 || c->check))
		custody_send_give(ch);
	if (c->link >= 0 && (c->n_unsent > 0 || c->walk != SHM_NONE) &&
	    (c->n_unsent < CUSTODY_FLIGHT / 4 || custody_is_clear(c->link))) {
		custody_send_unsent(ch);
		if (c->walk != SHM_NONE && c->link >= 0 &&
		    custody_is_clear(c->link))
			custody_send_walk(ch);
	}
	if (c->link < 0)
		custody_do_without(ch);
	return c->n_unsent > 0 || c->n_give > 0 || c->walk != SHM_NONE
	    ? RETRY_MS
	    : 0;
}
