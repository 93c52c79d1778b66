#include "takeover/takeover.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conn/begin.h"
#include "conn/conn.h"
#include "takeover/adopt.h"
#include "takeover/pull.h"
#include "takeover/table.h"
#include "room/rooms.h"
#include "takeover/move.h"
#include "hub/lock.h"
#include "hub/stats.h"

/* Says what was wrong with the table of descriptors. */
static void
takeover_table_tell(void)
{
	const struct table_found *f = table_found();

	if (f->missing + f->doubled > 0)
		log_error("of %u sockets that connections had, %u are not "
			  "open and %u are another one's: those are closed",
		    f->claimed + f->missing + f->doubled, f->missing,
		    f->doubled);
	log_debug("descriptors: %u claimed, %u closed", f->claimed, f->closed);
}

/* Takes up sockets that the dead worker had accepted, and nothing more. */
static void
takeover_orphans(struct chat *ch)
{
	struct sockaddr_storage peer;
	socklen_t len;
	uint32_t i;
	int fd, endpoint;

	while ((fd = table_orphan()) >= 0) {
		endpoint = endpoints_accepted(ch->endpoints, fd);
		len = sizeof(peer);
		i = SHM_NONE;
		if (endpoint >= 0 &&
		    getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
			i = conn_accept(ch, (uint8_t)endpoint, fd,
			    (struct sockaddr *)&peer);
		if (i == SHM_NONE)
			close(fd);
		else
			conn_start(ch, i);
		KILL_POINT();
	}
}

/* A publication whose delivery killed two workers is passed over by all. */
static void
takeover_fault_delivery(struct chat *ch, uint64_t position)
{
	struct hub *h = ch->hub;

	ch->rooms->follower.trial = position;
	hub_lock(h);
	if (journal_fault(h, position))
		log_error("publication %llu crashed two workers: no worker "
			  "delivers it any more",
		    (unsigned long long)position);
	hub_unlock(h);
}

void
takeover(struct chat *ch, const struct takeover_start *start)
{
	struct hub *h = ch->hub;
	struct adopt_result r;
	uint64_t began = clock_ms();

	takeover_table_tell();
	hub_lock(h); /* redoes what the dead worker did not finish */
	hub_unlock(h);
	move_redo(h, h->self);
	slot_recall(h, h->self);
	if (start->fault.hand == HAND_DELIVERY)
		takeover_fault_delivery(ch, start->fault.arg);
	pull_all(ch, start->giver);
	/* the first worker delivers from now on, others go on at the cursor */
	if (start->generation == 1)
		SHM_STORE(h->mine->cursor, journal_tail(h));
	adopt_all(ch, &start->fault, &r);
	takeover_orphans(ch);
	/* this worker has survived the publication that killed its
	 * predecessor */
	if (ch->rooms->follower.trial <= SHM_OWN(h->mine->cursor))
		journal_acquit(h, ch->rooms->follower.trial);
	/* without connections the publications in between are not needed */
	if (ch->n_conns == 0)
		SHM_STORE(h->mine->cursor, journal_tail(h));
	if (start->generation > 1)
		log_info("adopted %u connections in %llu ms (closed %u, lost "
			 "%u, corrupted %u, replayed input of %u)",
		    r.adopted, (unsigned long long)(clock_ms() - began),
		    r.closed, r.lost, r.corrupted, r.replayed);
}
