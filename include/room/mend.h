/*
 * mend: subscriptions that their connections do not know: each would outlive
 * its connection. Neither should ever be; a corrupted memory can make them so.
 * Layer 3.
 */
#ifndef CHATD_ROOM_MEND_H
#define CHATD_ROOM_MEND_H

#include "conn/chat.h"

/* Looks at some of this worker's records, the next ones in turn, mends and logs
 * what is wrong with them. Ten times a second. */
void mend_sweep(struct chat *ch);

#endif
