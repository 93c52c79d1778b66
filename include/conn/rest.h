/*
 * rest: how much memory records take that have not come whole (`rest` in
 * net/transport.h). It counts as input-memory, of which they may take one half,
 * beside what lies there; each worker has its share of that half. When it is
 * used up, the connection ends that has gone on least recently. Layer 3.
 */
#ifndef CHATD_CONN_REST_H
#define CHATD_CONN_REST_H

#include "conn/chat.h"

/* Returns 0, or -1: no memory. */
int rest_init(struct chat *ch);

/* A connection's record takes so much; went_on: and what was before it has come
 * whole. 0 bytes: it takes nothing, or is another worker's from now on. */
void
rest_note(const struct chat *ch, uint32_t conn, size_t bytes, bool went_on);

/* Each turn: ends connections until the others have their room. */
void rest_relieve(struct chat *ch);

/* Ten times a second: how much all of them may take. */
void rest_sweep(struct chat *ch);

#endif
