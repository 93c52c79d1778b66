/*
 * drop: connections that end at once while functions up the stack may still
 * have them in hand. Layer 3.
 */
#ifndef CHATD_CONN_DROP_H
#define CHATD_CONN_DROP_H

#include "conn/chat.h"

/* Ends a connection at once; by a reset if the peer has not taken all of its
 * output, so that the kernel frees that, too. After a mere close the kernel
 * would keep it for minutes for a peer that does not read. */
void conn_reset(struct chat *ch, uint32_t i);

/*
 * conn_drop() from anywhere: an open or ending connection becomes CONN_DROPPED.
 * Its output is given back at once, so that there is room; nothing more is
 * read, written or appended; it stays in its lists and channels until the
 * turn's end.
 */
void conn_drop_later(struct chat *ch, uint32_t i, const char *why);

/* Ends those; at the turn's end. */
void conn_drop_marked(struct chat *ch);

#endif
