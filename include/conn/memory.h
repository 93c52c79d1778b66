/* memory: room for output when it is short. Layer 3. */
#ifndef CHATD_CONN_MEMORY_H
#define CHATD_CONN_MEMORY_H

#include "conn/chat.h"

/* Writes what can be written, or compacts, or marks the connection with most
 * output waiting to be dropped. False: there is none. */
bool memory_relieve(struct chat *ch);

/* frame_build that makes room when memory is short: what can be written is
 * written, then memory is compacted, then the connection with most output
 * waiting is marked to be dropped. -1: no connection here has any. */
int conn_frame(struct chat *ch, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n);

/* Ten times a second: a worker that has more than its fair share of the output
 * memory makes room when the others may lack some. */
void conn_relieve(struct chat *ch);

#endif
