/*
 * watch: what a connection's socket is watched for, and that something is to be
 * written to it. Layer 3.
 */
#ifndef CHATD_CONN_WATCH_H
#define CHATD_CONN_WATCH_H

#include "conn/chat.h"

/* Watches the socket for what the connection's state asks for. */
void conn_watch(struct chat *ch, uint32_t i);

/* Stops or resumes reading. */
void conn_pause(struct chat *ch, uint32_t i, bool paused);

/* Marks for conn_flush. */
void conn_dirty(struct chat *ch, uint32_t i);

#endif
