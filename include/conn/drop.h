/*
 * drop: connections that end at once while functions up the stack may still
 * have them in hand. Layer 3.
 */
#ifndef CHATD_CONN_DROP_H
#define CHATD_CONN_DROP_H

#include "conn/chat.h"

/* Ends at once, by a reset, one whose peer has not taken all of its output:
 * what the kernel has of that goes, too. After a mere close it would keep it
 * for a peer that reads nothing for minutes. */
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
