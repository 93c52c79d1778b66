/*
 * relay: publications on their way to other workers over links (the chat's
 * relay_send() knows how). A datagram
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

/* There is a link to another worker: publications are relayed to it. False:
 * there is no memory for that. */
bool relay_begin(struct chat *ch, int to);

/* The link has ended: what was queued for it goes. */
void relay_end(struct chat *ch, int to);

/* Queues a publication for the workers in the mask. */
void relay_queue(struct chat *ch, const struct publication *p, uint64_t mask);

/* Sends what the turn queued. */
void relay_flush(struct chat *ch);

/* Takes a relay of another worker apart, for this turn's delivery. False: its
 * records do not fill it. */
bool relay_take(struct chat *ch, const void *payload, size_t len);

/* The publication at a position if a link brought it in this turn. */
bool relay_find(struct chat *ch, uint64_t position, struct publication *p);

/* Forgets the publications that the links brought in this turn. */
void relay_reset(struct chat *ch);

#endif
