#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/birth.h"
#include "hub/stats.h"
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
	if (links->giver != -1)
		close(links->giver);
}

/* The slot's process could not be made: it will be tried again. */
static void
spawn_later(struct member *w, uint64_t wait_ms)
{
	SHM_STORE(w->child.line->state, WORKER_WAITING);
	w->child.respawn_ms = master_clock_ms(w->master) + wait_ms;
	member_start_failed(w->master);
}

void
spawn_worker(struct member *w)
{
	struct master *m = w->master;
	struct keep_links links;
	struct birth_worker birth;
	int r, saved;

	w->child.respawn_ms = 0;
	if (!keep_takeover(w, &links)) {
		spawn_later(w, REACH_MS);
		return;
	}
	birth = (struct birth_worker){.custody = links.custody,
	    .keeper = w->keeper.generation,
	    .giver = links.giver,
	    .giver_name = links.giver_name,
	    .fault_hand = w->fault_hand,
	    .fault_arg = w->fault_arg,
	    .connections = m->conf->connections,
	    .io_uring = m->conf->io_uring};
	r = child_spawn(&w->child, &m->nursery, &birth, master_clock_ms(m));
	saved = errno;
	links_close(&links);
	if (r == 0) {
		member_born(w);
		return;
	}
	log_error("cannot start worker %d: %s, trying again in %d ms", w->slot,
	    strerror(saved), CHILD_RETRY_MS);
	spawn_later(w, CHILD_RETRY_MS);
}
