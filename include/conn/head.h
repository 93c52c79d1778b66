/*
 * head: the bytes of requests that are not complete. They lie in input-memory,
 * of which requests may hold one half, so that clients that are not admitted
 * yet leave room for the messages of those that are; each worker has its share
 * of that half. A request that needs more room evicts the oldest one. Layer 3.
 */
#ifndef CHATD_CONN_HEAD_H
#define CHATD_CONN_HEAD_H

#include "conn/chat.h"

/* Appends len bytes to what is kept of a connection in CONN_REQUEST that has no
 * body yet. False, with nothing changed: there is no room, though older ones
 * were refused. */
bool head_keep(struct chat *ch, uint32_t conn, const char *bytes, size_t len);

/* Copies out what is kept; false: shared memory is corrupted. */
bool head_read(const struct chat *ch, uint32_t conn, char *out);

/* Puts a connection whose head is kept behind all others. Of this module. */
void head_link(struct chat *ch, uint32_t conn);

/* Keeps nothing of it any more. */
void head_forget(struct chat *ch, uint32_t conn);

/* Answers the connection whose kept head is the oldest 503 and closes it: its
 * pages are free. False: there is none. */
bool head_evict(struct chat *ch);

/* blob_put() for a connection, for which unfinished requests make room; one
 * whose own head is kept must have forgotten it. */
uint32_t
head_blob(struct chat *ch, uint64_t conn_id, const void *bytes, size_t len);

/* input_copy(), for which unfinished requests make room. */
int head_input_copy(struct chat *ch, uint32_t slot, uint64_t *part);

/* Ten times a second: how much all of them may hold. */
void head_sweep(struct chat *ch);

#endif
