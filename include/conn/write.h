/*
 * write: what was appended is written, and who has missed something is told.
 * Layer 3.
 */
#ifndef CHATD_CONN_WRITE_H
#define CHATD_CONN_WRITE_H

#include "conn/chat.h"

/* Writes out what was appended to all connections, and tells those whose
 * output is all written of what they have missed. */
void conn_flush(struct chat *ch);

/* The first half of that, from anywhere: no connection is gone afterwards. */
void conn_write(struct chat *ch);

#endif
