/*
 * A worker, a reader of the journal, or who answers workers' questions, that
 * was taken over by an attacker, or writes anywhere by its own fault, sends
 * workers messages that no working one sends. They say so to the master
 * (MSG_ACCUSE), which replaces it: its keepers have its sockets. As the accuser
 * may lie, one that accuses workers again and again is replaced as well. One
 * that accuses a reader is not, since a program that is at fault itself is
 * accused by all, in each of its processes; but a reader is not replaced again
 * and again either. Nothing depends on its links.
 */
#include <stdio.h>

#include "accuse.h"
#include "base/log.h"
#include "codec/message.h"
#include "member.h"
#include "private.h"

enum {
	/* Accusations that cost the accuser of workers its place, and a reader
	 * its process, */
	ACCUSE_MAX = 3,
	ACCUSE_MS = 60 * 1000 /* within so long */
};

void
accuse_born(struct member *w)
{
	w->n_accused = 0;
}

/* The child of a line that has links; NULL: there is none. */
static struct child *
accuse_find(struct master *m, uint32_t line)
{
	struct child *c;

	if (line < (uint32_t)m->n_workers)
		return &m->member[line].child;
	if (line < SHM_WORKERS || line >= SHM_WORKERS + (uint32_t)m->n_others)
		return NULL;
	c = &m->other[line - SHM_WORKERS];
	return c->kind != NULL && (c->kind->reader != 0 || c->kind->answers)
	    ? c
	    : NULL;
}

/* One more, since *since_ms; their number. */
static uint32_t
accuse_count(uint32_t *n, uint64_t *since_ms, uint64_t now)
{
	if (*n == 0 || now >= *since_ms + ACCUSE_MS) {
		*since_ms = now;
		*n = 0;
	}
	return ++*n;
}

/* A reader is accused: by several at once of the same. */
static void
accuse_reader(struct child *c, const char *why, uint64_t now)
{
	uint32_t n;

	if (c->killed)
		return;
	n = accuse_count(&c->n_accused, &c->accused_ms, now);
	if (n <= ACCUSE_MAX)
		(void)child_kill(c, why);
	else if (n == ACCUSE_MAX + 1)
		log_error("%s %s, again and again: it is not replaced for that "
			  "for up to %d s, and goes on without these links",
		    child_name(c), why, ACCUSE_MS / 1000);
}

bool
accuse_handle(struct member *w, const struct message_accuse *accuse)
{
	uint64_t now = master_clock_ms(w->master);
	struct child *accused = accuse_find(w->master, accuse->worker);
	char why[64];

	if (accused == NULL)
		return false;
	if (accused->generation != accuse->generation)
		return accuse->generation < accused->generation; /* replaced */
	if (accused == &w->child || accused->pid == 0)
		return false;
	snprintf(why, sizeof(why), "sent worker %d bad messages", w->place);
	if (accused->kind->reader != 0) {
		accuse_reader(accused, why, now);
		return true;
	}
	(void)child_kill(accused, why);
	if (accuse_count(&w->n_accused, &w->accuse_ms, now) == ACCUSE_MAX)
		member_kill(w, "accused others %d times within %d s",
		    ACCUSE_MAX, ACCUSE_MS / 1000);
	return true;
}
