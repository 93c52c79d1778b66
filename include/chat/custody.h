/*
 * custody: the worker's side of its keeper. New connections go to the keeper
 * first, then their 101 is written; who has ended is given up. A worker never
 * waits for its keeper. Layer 3.
 */
#ifndef CHATD_CHAT_CUSTODY_H
#define CHATD_CHAT_CUSTODY_H

#include "chat/chat.h"

enum {
	/* Without a keeper the 101s wait so long for the next one: most are
	 * there in a few milliseconds. */
	CUSTODY_PATIENCE_MS = 200
};

/* Returns 0, or -1 and errno. */
int custody_init(struct chat *ch);

/* Takes up the link to a (new) keeper; owns fd. With fill it knows nothing
 * yet and gets every connection there is. */
void custody_link(struct chat *ch, int fd, bool fill);

/* A connection that has just opened: nothing is written to it before it is in
 * custody. */
void custody_add(struct chat *ch, uint32_t conn);

/* Descriptors that come from another worker: into custody at once, if that is
 * possible. */
void
custody_keep(struct chat *ch, const uint64_t *id, const int *fd, uint32_t n);

/* A connection of that id has ended, its descriptor is about to be closed. */
void custody_give_up(struct chat *ch, uint64_t id);

/* Whether the keeper has been sent everything that it is to have. */
bool custody_is_complete(const struct chat *ch);

/* Whether it has been sent what there was when it came. */
bool custody_is_filled(const struct chat *ch);

/* Once per turn, before writing. Milliseconds after which it wants to be
 * called again, 0: not. */
int custody_turn(struct chat *ch);

#endif
