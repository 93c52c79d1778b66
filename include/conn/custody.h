/*
 * custody: the worker's side of its keeper. New connections go to the keeper
 * first, then their 101 is written; those that have ended are given up. The
 * connections that the keeper really has are noted in shared memory
 * (hub/kept.h): once a second they are counted, and missing ones are handed
 * over again. A worker never waits for its keeper. Layer 3.
 *
 * The link is given up only for an error that is the link's own; a note that
 * cannot be sent now is sent later.
 */
#ifndef CHATD_CONN_CUSTODY_H
#define CHATD_CONN_CUSTODY_H

#include "conn/chat.h"

enum {
	/* Without a keeper the 101s wait so long for the next one: most are
	 * there in a few milliseconds. */
	CUSTODY_PATIENCE_MS = 200
};

/* Returns 0, or -1 and errno. */
int custody_init(struct chat *ch);

/* Takes up the link to the keeper of that number; owns fd. What that keeper
 * does not have yet is handed over. */
void custody_link(struct chat *ch, int fd, uint32_t number);

/* The number of the keeper whose link has ended of itself, for the master; 0:
 * none, or it has been told. */
uint32_t custody_broken(const struct chat *ch);
void custody_broken_told(struct chat *ch);

/* The number of the keeper at the link; 0: there is no link. */
uint32_t custody_number(const struct chat *ch);

/* Closes the link for good: this worker leaves. */
void custody_leave(struct chat *ch);

/* A connection that has just opened: nothing is written to it before it is in
 * custody. */
void custody_add(struct chat *ch, uint32_t conn);

/*
 * Into custody with descriptors that come from another worker or keeper (at
 * most CUSTODY_MAX), before the connections are this worker's. False: not now.
 */
bool
custody_keep(struct chat *ch, const uint64_t *id, const int *fd, uint32_t n);

/* A connection of that id has ended, its descriptor is about to be closed. */
void custody_give_up(struct chat *ch, uint64_t id);

/* Whether the keeper has everything that it is to have: nothing is on its way
 * to it, or nothing has been for a second. Looks at all connections. */
bool custody_is_complete(struct chat *ch);

/* Once per turn, before writing. Milliseconds after which it wants to be
 * called again, 0: not. */
int custody_turn(struct chat *ch);

#endif
