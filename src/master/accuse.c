/*
 * A worker, or a reader of the journal, that was taken over by an attacker, or
 * writes anywhere by its own fault, sends workers messages that no working one
 * sends. They say so to the master (MSG_ACCUSE), which replaces it: its keepers
 * have its sockets. As the accuser may lie, one that accuses again and again is
 * replaced as well.
 */
#include <stdio.h>

#include "codec/message.h"
#include "accuse.h"
#include "member.h"
#include "private.h"

enum {
	ACCUSE_MAX = 3,	      /* accusations that cost the accuser its place, */
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
	return c->kind != NULL && c->kind->reader != 0 ? c : NULL;
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
	if (w->n_accused == 0 || now >= w->accuse_ms + ACCUSE_MS) {
		w->accuse_ms = now;
		w->n_accused = 0;
	}
	w->n_accused++;
	snprintf(why, sizeof(why), "sent worker %d bad messages", w->place);
	(void)child_kill(accused, why);
	if (w->n_accused == ACCUSE_MAX)
		member_kill(w, "accused others %d times within %d s",
		    ACCUSE_MAX, ACCUSE_MS / 1000);
	return true;
}
