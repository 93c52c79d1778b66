/*
 * watch: what a connection's socket is watched for, and that something is to be
 * written to it. Layer 3.
 */
#ifndef CHATD_CONN_WATCH_H
#define CHATD_CONN_WATCH_H

#include "conn/chat.h"

/* Takes the former worker's set of sockets that are watched, or makes one; 0,
 * or -1 and errno. */
int watch_init(struct chat *ch);

/* ready_lead() and ready_turn() (net/ready.h) of the set. */
int watch_lead(struct chat *ch, int loop);
int watch_turn(struct chat *ch, int ms);

/* The set, for the links of this worker. */
struct ready *watch_ready(const struct chat *ch);

/* All connections that were the former worker's are watched: from now on the
 * next worker may keep the set. */
void watch_settled(struct chat *ch);

/* Looks whether the set tells of what is no connection's here, which would go
 * on for ever: then it makes a new one. */
void watch_sweep(struct chat *ch);

/* Watches the socket for what the connection's state asks for; -1: it cannot,
 * as the log says. */
int conn_watch(struct chat *ch, uint32_t i);

/* Something has come of one that waits for an answer: it is not read before,
 * and watched for its end alone. */
void conn_watch_held(struct chat *ch, uint32_t i);

/* Of a connection that was the former worker's: if its set was kept, the socket
 * is watched in it. Else conn_watch() does that. */
void conn_watch_again(struct chat *ch, uint32_t i);

/* Watches it no more. Called before the socket goes on elsewhere: as long as it
 * is open anywhere, the kernel tells of it here. */
void conn_unwatch(struct chat *ch, uint32_t i);

/* Stops or resumes reading. */
void conn_pause(struct chat *ch, uint32_t i, bool paused);

/* Marks for conn_flush. */
void conn_dirty(struct chat *ch, uint32_t i);

#endif
