/* memory: room for output when it is short. Layer 3. */
#ifndef CHATD_CONN_MEMORY_H
#define CHATD_CONN_MEMORY_H

#include "conn/chat.h"
#include "conn/recipient.h"

/* Writes what can be written, or compacts, or marks the connection with most
 * output waiting to be dropped. False: there is none. */
bool memory_relieve(struct chat *ch);

/* Ten times a second: a worker that has more than its fair share of the output
 * memory makes room when the others may lack some. */
void conn_relieve(struct chat *ch);

#endif
