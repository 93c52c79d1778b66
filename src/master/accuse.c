/*
 * A worker that was taken over by an attacker, or writes anywhere by its own
 * fault, sends other workers messages that no working one sends. They say so to
 * the master (MSG_ACCUSE), which replaces it: its keepers have its sockets.
 * As the accuser may lie, one that accuses again and again is replaced as well.
 */
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

bool
accuse_handle(struct member *w, const struct message_accuse *accuse)
{
	uint64_t now = master_clock_ms(w->master);
	struct member *accused;

	if (accuse->worker >= (uint32_t)w->master->n_workers)
		return false;
	accused = &w->master->member[accuse->worker];
	if (accused->child.generation != accuse->generation)
		return accuse->generation <
		    accused->child.generation; /* replaced */
	if (accused == w || accused->child.pid == 0)
		return false;
	if (w->n_accused == 0 || now >= w->accuse_ms + ACCUSE_MS) {
		w->accuse_ms = now;
		w->n_accused = 0;
	}
	w->n_accused++;
	member_kill(accused, "sent worker %d bad messages", w->place);
	if (w->n_accused == ACCUSE_MAX)
		member_kill(w, "accused others %d times within %d s",
		    ACCUSE_MAX, ACCUSE_MS / 1000);
	return true;
}
