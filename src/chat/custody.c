#include "chat/custody.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "chat/conn.h"
#include "net/custody.h"

enum { RETRY_MS = 1 };

struct custody {
	int link; /* -1: no keeper */
	uint64_t lost_ms;
	uint32_t *fresh; /* [2 * n_slots]: opened, not in custody */
	uint32_t n_fresh;
	uint64_t *give; /* [2 * n_slots]: ids to give up */
	uint32_t n_give;
	uint32_t fill; /* next connection to tell a new keeper; SHM_NONE: all
			* are told */
	uint32_t cap;
};

/* Private memory that costs nothing until it is touched. */
static void *
table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
custody_init(struct chat *ch)
{
	struct custody *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -1;
	c->cap = 2 * ch->hub->n_slots;
	c->fresh = table(c->cap * sizeof(*c->fresh));
	c->give = table(c->cap * sizeof(*c->give));
	if (c->fresh == NULL || c->give == NULL) {
		free(c);
		errno = ENOMEM;
		return -1;
	}
	c->link = -1;
	c->fill = SHM_NONE;
	ch->custody = c;
	return 0;
}

/* The keeper is gone; the master brings another. */
static void
lose(struct chat *ch)
{
	struct custody *c = ch->custody;

	if (c->link < 0)
		return;
	close(c->link);
	c->link = -1;
	c->lost_ms = ch->now_ms;
	c->n_give = 0; /* nobody keeps them any more */
	c->fill = SHM_NONE;
}

void
custody_link(struct chat *ch, int fd, bool fill)
{
	struct custody *c = ch->custody;

	lose(ch);
	c->link = fd;
	c->fill = fill ? 0 : SHM_NONE;
}

/* The connection is as safe as can be: it may be answered. */
static void
settled(struct chat *ch, uint32_t i)
{
	ch->conn[i].fresh = false;
	conn_dirty(ch, i);
}

void
custody_add(struct chat *ch, uint32_t i)
{
	struct custody *c = ch->custody;

	ch->conn[i].fresh = true;
	if (c->n_fresh == c->cap)
		settled(ch, i);
	else
		c->fresh[c->n_fresh++] = i;
}

void
custody_give_up(struct chat *ch, uint64_t id)
{
	struct custody *c = ch->custody;

	if (c->link < 0)
		return;
	if (c->n_give == c->cap) {
		log_warn("the keeper does not read, it is given up");
		lose(ch);
		return;
	}
	c->give[c->n_give++] = id;
}

/* Sends a note; false if it has to wait or there is no keeper any more. */
static bool
note_send(struct chat *ch, const struct custody_note *note, const int *fd)
{
	if (custody_send(ch->custody->link, note, fd, false) == 0) {
		KILL_POINT();
		return true;
	}
	if (errno != EAGAIN)
		lose(ch);
	return false;
}

/* Does not give up what was to be and is here again. */
static void
give_unsay(struct custody *c, const uint64_t *id, uint32_t n)
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

void
custody_keep(struct chat *ch, const uint64_t *id, const int *fd, uint32_t n)
{
	struct custody_note note = {.type = CUSTODY_KEEP};
	uint32_t done = 0;

	give_unsay(ch->custody, id, n);
	while (ch->custody->link >= 0 && done < n) {
		note.n = n - done < CUSTODY_MAX ? n - done : CUSTODY_MAX;
		memcpy(note.id, id + done, note.n * sizeof(*id));
		if (!note_send(ch, &note, fd + done))
			return;
		done += note.n;
	}
}

/* Ids that were given up. */
static void
send_give(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_GIVE_UP};
	uint32_t done = 0;

	while (c->link >= 0 && done < c->n_give) {
		note.n = c->n_give - done < CUSTODY_MAX ? c->n_give - done
							: CUSTODY_MAX;
		memcpy(note.id, c->give + done, note.n * sizeof(note.id[0]));
		if (!note_send(ch, &note, NULL))
			break;
		done += note.n;
	}
	if (c->link < 0)
		return;
	memmove(c->give, c->give + done, (c->n_give - done) * sizeof(*c->give));
	c->n_give -= done;
}

/* Whether so few descriptors are in flight that more may follow. */
static bool
flight_clear(const struct custody *c)
{
	int unread = 0;

	return ioctl(c->link, SIOCOUTQ, &unread) == 0 && unread == 0;
}

/* Adds a connection to a note. */
static void
note_add(struct chat *ch, struct custody_note *note, int *fd, uint32_t i)
{
	fd[note->n] = ch->conn[i].fd;
	note->id[note->n++] = slot_id(ch->hub, i);
}

/* Connections that have just opened, then they are answered. */
static void
send_fresh(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_KEEP};
	uint32_t k, from = 0, batch, sent = 0;
	int fd[CUSTODY_MAX];

	while (from < c->n_fresh && sent < CUSTODY_FLIGHT) {
		note.n = 0;
		for (k = from; k < c->n_fresh && note.n < CUSTODY_MAX; k++)
			if (ch->conn[c->fresh[k]].fresh)
				note_add(ch, &note, fd, c->fresh[k]);
		if (note.n > 0 && !note_send(ch, &note, fd))
			break;
		for (batch = from; batch < k; batch++)
			if (ch->conn[c->fresh[batch]].fresh)
				settled(ch, c->fresh[batch]);
		sent += note.n;
		from = k;
	}
	memmove(
	    c->fresh, c->fresh + from, (c->n_fresh - from) * sizeof(*c->fresh));
	c->n_fresh -= from;
}

/* What a new keeper has not been told yet. */
static void
send_fill(struct chat *ch)
{
	struct custody *c = ch->custody;
	struct custody_note note = {.type = CUSTODY_KEEP};
	uint32_t i = c->fill == 0 ? SHM_NONE : c->fill - 1, sent = 0, begin;
	int fd[CUSTODY_MAX];
	bool more = true;

	while (more && sent < CUSTODY_FLIGHT) {
		note.n = 0;
		begin = i;
		while (note.n < CUSTODY_MAX && (more = conn_next(ch, &i)))
			if (ch->conn[i].phase >= CONN_OPEN &&
			    !ch->conn[i].fresh && slot_in_use(ch->hub, i))
				note_add(ch, &note, fd, i);
		if (note.n > 0 && !note_send(ch, &note, fd)) {
			i = begin;
			more = true;
			break;
		}
		sent += note.n;
	}
	if (c->link >= 0)
		c->fill = more ? i + 1 : SHM_NONE;
}

/* Nobody keeps anything: after some patience the 101s go out all the same. */
static void
do_without(struct chat *ch)
{
	struct custody *c = ch->custody;
	uint32_t k;

	if (ch->now_ms - c->lost_ms < CUSTODY_PATIENCE_MS)
		return;
	for (k = 0; k < c->n_fresh; k++)
		if (ch->conn[c->fresh[k]].fresh)
			settled(ch, c->fresh[k]);
	c->n_fresh = 0;
}

bool
custody_is_complete(const struct chat *ch)
{
	const struct custody *c = ch->custody;

	return c->link >= 0 && c->n_fresh == 0 && c->n_give == 0 &&
	    c->fill == SHM_NONE;
}

bool
custody_is_filled(const struct chat *ch)
{
	return ch->custody->link >= 0 && ch->custody->fill == SHM_NONE;
}

int
custody_turn(struct chat *ch)
{
	struct custody *c = ch->custody;

	if (c->n_fresh == 0 && c->n_give == 0 && c->fill == SHM_NONE)
		return 0;
	if (c->link >= 0 && c->n_give > 0)
		send_give(ch);
	if (c->link >= 0 && (c->n_fresh > 0 || c->fill != SHM_NONE) &&
	    (c->n_fresh < CUSTODY_FLIGHT / 4 || flight_clear(c))) {
		send_fresh(ch);
		if (c->fill != SHM_NONE && flight_clear(c))
			send_fill(ch);
	}
	if (c->link < 0)
		do_without(ch);
	return c->n_fresh > 0 || c->n_give > 0 || c->fill != SHM_NONE ? RETRY_MS
								      : 0;
}
