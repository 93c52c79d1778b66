/* private: what the files of a worker share. Private to the folder. */
#ifndef CHATD_SRC_WORKER_PRIVATE_H
#define CHATD_SRC_WORKER_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "conn/chat.h"
#include "hub/stats.h"
#include "net/endpoint.h"
#include "takeover/adoption.h"
#include "takeover/handover.h"
#include "worker/worker.h"

struct worker {
	struct chat chat;
	const struct worker_start *start;
	struct event control;
	int reserve;		/* a descriptor to give up when all are used */
	uint64_t tick_ms;	/* the next tick is due */
	bool listening;		/* its listeners are watched */
	uint32_t balanced;	/* connections when that was decided */
	bool started;		/* MSG_START came */
	uint32_t own_files;	/* descriptors that are not connections' */
	enum sends_by sends_by; /* as it was told last */
	uint32_t most;		/* connections up to which it accepts more */
	bool stopping;	     /* all connections are ended; leaves when empty */
	bool quitting;	     /* accepts no more; leaves when empty */
	uint64_t leave_ms;   /* at the latest */
	bool parting;	     /* accepts no more; it is to retire soon */
	bool retiring;	     /* accepts no more; its connections stay, */
	bool holds;	     /* and nobody else has their sockets */
	uint64_t retire_ms;  /* handshakes are waited for so long */
	uint32_t drain_rate; /* connections in 1000 s; 0: does not drain */
	uint64_t drain_credit; /* rate x ms */
	uint64_t drained_ms;   /* credit is counted up to then */
	uint32_t drain_at;     /* the last one looked at */
	uint32_t look_ms;      /* paused: looks at the others again after */
	uint64_t paused_until; /* no descriptor was to be had */
	/* begun.c: as it was told last */
	uint32_t told_connections, told_room;
	uint64_t told_ms;
	struct {
		bool due; /* the master is to be told of it */
		uint32_t generation;
	} accused[SHM_LINES]; /* processes at links */
	int n_accused;	      /* that are due */
};

/* accept.c: takes new connections while it is this worker's turn. */
void accept_init(struct worker *w);
void accept_balance(struct worker *w);
/* accept_balance(), if anything has changed. Milliseconds after which it wants
 * to look again, -1: it need not. */
int accept_turn(struct worker *w);
/* Looks for connections for which another worker was woken, and died, or had
 * its share. */
void accept_tick(struct worker *w);
void accept_stop(struct worker *w);
/* Whether it takes new connections now, from wherever they come. */
bool accept_is_able(const struct worker *w);

/* begun.c: takes connections with which other processes have begun. */
void begun_init(struct worker *w);
/* That peer is linked anew, and gives such connections, or does not. */
void begun_linked(struct chat *ch, int peer, bool begins);
/* Tells who gives them how many more may come, if that has changed. */
void begun_turn(struct worker *w);
/* It leaves: what it was given and has not read is left to other workers. */
void begun_leave(struct worker *w);

/* leave.c: leaving without its connections, and ending them one by one. */
void leave_part(struct worker *w, bool on);
void leave_retire(struct worker *w, bool hold);
bool leave_may_retire(struct worker *w);
/* Holds its connections' sockets, which nobody else has, and nothing else,
 * until the master says that they go on elsewhere; gives duplicates to whom the
 * master names. */
void leave_hold(struct worker *w) __attribute__((noreturn));
void leave_drain(struct worker *w, uint32_t rate);
void leave_drain_tick(struct worker *w);
/* At the end: drops connections that no other worker goes on with: requests of
 * which something was read and answers that are not sent yet. */
void leave_forget(struct worker *w);

/* fault.c: a worker that dies of its own fault says over which publication. */
void fault_init(struct hub *h);

/* Whether no connection is on its way here or from here. */
static inline bool
worker_is_settled(const struct worker *w)
{
	return adoption_is_idle() && handover_is_idle(&w->chat);
}

/* room.c: how many more connections can go on here. */
void room_init(struct worker *w);
uint32_t room_free(const struct worker *w);
void room_tell(struct worker *w); /* in shared memory */

/* order.c: what is published in the master's place. len: of the payload. */
void order_kick(struct worker *w, const void *payload);
void order_say(struct worker *w, const void *payload, size_t len);
/* Sends the answers that the master's link had no room for. */
void order_turn(struct worker *w);

/* control.c: what the master says, and is told. */
void control_init(struct worker *w);
/* Acts on what has come; the link's end means that the master is gone. */
void control_read(struct worker *w);
void control_turn(struct worker *w);

/* Ends every connection as going away; the worker leaves when they are gone. */
void control_stop(struct worker *w);
void control_end(struct worker *w); /* the connections alone */

#endif
