/* io: the events of a connection's socket. Layer 3. */
#ifndef CHATD_CONN_IO_H
#define CHATD_CONN_IO_H

#include "conn/chat.h"

/* Input has come, or the socket takes output again: bits of ready_what, of
 * those that it is watched for. */
void conn_ready(struct chat *ch, uint32_t i, unsigned what);

/* Reads once and handles what came. */
void conn_read(struct chat *ch, uint32_t i);

/* Does so for all that conn_ready() has put off: several of them are read by
 * one system call. To be called before the turn goes on to anything else. */
void conn_read_all(struct chat *ch);

/* Whether something that it has sent is still to be read, as after a pause of
 * this worker, or to be done: then it is not silent. Asks the kernel. */
bool conn_unread(struct chat *ch, uint32_t i);

#endif
