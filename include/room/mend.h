/*
 * mend: records of subscriptions that are not in their connection's chain, or
 * whose connection is gone. They arise from corrupted memory alone; without
 * this they would stay for ever. Layer 3.
 */
#ifndef CHATD_ROOM_MEND_H
#define CHATD_ROOM_MEND_H

#include "conn/chat.h"

/* Looks at some of this worker's records, in turn; mends and logs such ones.
 * Ten times a second. */
void mend_sweep(struct chat *ch);

#endif
