/* What a family's next process is given, in notes over the family's link, which
 * are there before it is (process/family.h). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "codec/birth.h"
#include "codec/message.h"
#include "family.h"
#include "giver.h"
#include "member.h"
#include "net/link.h"
#include "private.h"
#include "process/passport.h"

/* Sends a note with one descriptor. */
static int
notes_one(const struct family *f, uint32_t what, int fd)
{
	return family_note_send(f->home, f->next->generation, what, &fd, 1);
}

/* What a worker alone is told. */
static struct birth_worker
notes_birth(const struct member *w)
{
	const struct master *m = w->master;

	return (struct birth_worker){.giver = {-1, -1},
	    .fault_hand = w->fault_hand,
	    .fault_arg = w->fault_arg,
	    .connections = m->conf->connections,
	    .io_uring = m->conf->io_uring};
}

/* All that comes with the last note. */
static int
notes_rest(const struct family *f, int link, const struct birth_worker *birth)
{
	const struct nursery *n = &f->member->master->nursery;
	int fd[FAMILY_REST_MAX];
	uint32_t k = 0;

	fd[k++] = f->page_file;
	fd[k++] = link;
	if (n->log != -1)
		fd[k++] = n->log;
	for (int i = 0; i < BIRTH_GIVERS; i++)
		if (birth->giver[i] != -1)
			fd[k++] = birth->giver[i];
	for (int i = 0; (f->next->kind->gets & CHILD_LISTENERS) != 0 &&
	     i < n->endpoints->n;
	     i++)
		fd[k++] = n->endpoints->at[i].fd;
	return family_note_send(
	    f->home, f->next->generation, FAMILY_NOTE_REST, fd, k);
}

/* Sends what transports know, to a worker alone. */
static int
notes_wire(const struct family *f)
{
	const struct nursery *n = &f->member->master->nursery;

	if ((f->next->kind->gets & CHILD_WIRE) == 0 || n->wire == -1)
		return 0;
	return notes_one(f, FAMILY_NOTE_WIRE, n->wire);
}

/* Sends all of them. */
static int
notes_send(const struct family *f, int link, const struct birth_worker *birth)
{
	const struct nursery *n = &f->member->master->nursery;
	int passport = passport_family(f->next, n, birth, f->table);
	int r = -1, saved;

	if (passport != -1 &&
	    notes_one(f, FAMILY_NOTE_PROGRAM, n->program) == 0 &&
	    notes_one(f, FAMILY_NOTE_PASSPORT, passport) == 0 &&
	    notes_one(f, FAMILY_NOTE_HUB, n->hub->fd) == 0 &&
	    notes_wire(f) == 0 && notes_rest(f, link, birth) == 0)
		r = 0;
	saved = errno;
	if (passport != -1)
		close(passport);
	errno = saved;
	return r;
}

/* Makes the child's link and listens to it. Returns the other end, or -1. */
static int
notes_link(struct child *c)
{
	int fd[2];

	children_ignore(c);
	child_unlink(c);
	c->eof_ms = 0; /* of one that no process has got */
	if (link_pair(fd) == -1)
		return -1;
	c->link = fd[0];
	if (children_listen(c) == 0)
		return fd[1];
	close(fd[1]);
	errno = ENOMEM;
	return -1;
}

int
family_notes(struct family *f)
{
	struct member *w = f->member;
	struct master *m = w->master;
	struct birth_worker birth = notes_birth(w);
	struct child *c = f->next;
	int link, r = -1, saved;

	m->nursery.log = m->log.lines[1];
	if ((link = notes_link(c)) == -1)
		return -1;
	if (c != &w->child || giver_link(w, birth.giver)) {
		r = notes_send(f, link, &birth);
		saved = errno;
		giver_unlink(birth.giver);
		errno = saved;
	}
	saved = errno;
	close(link);
	errno = saved;
	if (r == 0 && c == &w->child && m->page != -1)
		(void)link_send(c->link, MSG_PAGE, NULL, 0, m->page);
	if (r == 0)
		SHM_STORE(f->page->generation, c->generation);
	return r;
}
