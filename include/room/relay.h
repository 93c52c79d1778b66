/*
 * relay: publications on their way to other workers over links. A datagram
 * carries as many as a loop turn has for one worker: for each a struct
 * relay_record and the journal entry's bytes, or the position alone when they
 * are more than RELAY_DATA_MAX. A full link skips the relay: nothing queues,
 * the receiver finds the publication in the journal. Layer 3.
 */
#ifndef CHATD_ROOM_RELAY_H
#define CHATD_ROOM_RELAY_H

#include "conn/chat.h"

enum { RELAY_DATA_MAX = 4096 };

/* Returns 0, or -1 and errno. */
int relay_init(struct chat *ch);

/* Takes up (or replaces) the link to a peer; owns fd. */
void relay_link(struct chat *ch, int peer, uint32_t generation, int fd);

/* Queues a publication for the workers in the mask. */
void relay_send(struct chat *ch, const struct publication *p, uint64_t mask);

/* Sends what the turn queued. */
void relay_flush(struct chat *ch);

/* Takes back what was on its way over links that have ended, however that was
 * noticed. Once a turn: in the midst of a delivery it could not be. */
void relay_lost(struct chat *ch);

/* The publication at a position if a link brought it in this turn. */
bool relay_find(struct chat *ch, uint64_t position, struct publication *p);

/* Sends one message to a peer, perhaps with a descriptor. False: the link is
 * full, or there is none. */
bool relay_message(struct chat *ch, int peer, uint32_t type,
    const void *payload, size_t len, int fd);

/* Whether there is a link to a peer. */
bool relay_is_linked(const struct chat *ch, int peer);

/* Closes all links: this worker leaves. */
void relay_leave(struct chat *ch);

/* Forgets what the links brought. */
void relay_reset(struct chat *ch);

#endif
