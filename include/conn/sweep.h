/* sweep: deadlines. Layer 3. */
#ifndef CHATD_CONN_SWEEP_H
#define CHATD_CONN_SWEEP_H

#include "conn/chat.h"

/* Deadlines of a part of the connections; every 100 ms. */
void conn_sweep(struct chat *ch);

#endif
