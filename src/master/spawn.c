#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/birth.h"
#include "hub/stats.h"
#include "keep.h"
#include "log_child.h"
#include "master/control.h"
#include "member.h"
#include "order.h"
#include "others.h"
#include "page.h"
#include "private.h"
#include "reload.h"
#include "spawn.h"
#include "upgrade.h"

enum { REACH_MS = 100 }; /* after a keeper could not be reached */

/* Gives up what is the master's: events, other workers' links, the control
 * socket, the lock on the pidfile, the file of the shared memory. */
void
spawn_child_drop(void *arg)
{
	struct master *m = arg;

	/* Without it, freeing an event here would unregister it there. */
	if (event_reinit(m->base) == -1)
		_exit(1);
	control_drop(m->control);
	log_child_drop(m);
	others_drop(m);
	order_drop(m);
	reload_drop(m);
	page_drop(m);
	for (int i = 0; i < m->n_workers; i++) {
		member_deinit(&m->member[i]);
		keep_drop(&m->member[i]);
		control_forget(m->member[i].renew_wait);
	}
	master_drop_events(m);
	upgrade_drop(m);
	pidfile_drop(&m->pidfile);
	hub_close_file(&m->hub);
	if (m->ready_pipe != -1)
		close(m->ready_pipe);
}

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
