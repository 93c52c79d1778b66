#include <unistd.h>

#include "codec/birth.h"
#include "hub/stats.h"
#include "children.h"
#include "keep.h"
#include "member.h"
#include "private.h"
#include "spawn.h"

enum { REACH_MS = 100 }; /* after a keeper could not be reached */

/* Closes the parent's copies. */
static void
links_close(const struct keep_links *links)
{
	if (links->custody != -1)
		close(links->custody);
	for (int i = 0; i < KEEP_KEEPER; i++)
		if (links->giver[i] != -1)
			close(links->giver[i]);
}

/* Who has the sockets cannot be reached: it will be tried again. */
static void
spawn_later(struct member *w)
{
	SHM_STORE(w->child.line->state, WORKER_WAITING);
	w->child.respawn_ms = master_clock_ms(w->master) + REACH_MS;
	member_start_failed(w->master);
}

void
spawn_worker(struct member *w)
{
	struct master *m = w->master;
	struct keep_links links;
	struct birth_worker birth;

	w->child.respawn_ms = 0;
	if (!keep_takeover(w, &links)) {
		spawn_later(w);
		return;
	}
	birth = (struct birth_worker){.custody = links.custody,
	    .keeper = w->custody,
	    .giver = {links.giver[0], links.giver[1]},
	    .fault_hand = w->fault_hand,
	    .fault_arg = w->fault_arg,
	    .connections = m->conf->connections,
	    .io_uring = m->conf->io_uring};
	if (children_start(&w->child, &birth))
		member_born(w);
	else
		member_start_failed(m);
	links_close(&links);
}
