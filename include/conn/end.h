/* end: how a connection ends, in order or at once. Layer 3. */
#ifndef CHATD_CONN_END_H
#define CHATD_CONN_END_H

#include "conn/chat.h"
#include "conn/recipient.h"
#include "codec/framing.h"

/* Frees all that has come of a request. */
void conn_request_clear(struct chat *ch, uint32_t i);

/* Frees what a connection has only before it is open. */
void conn_forget_request(struct chat *ch, uint32_t i);

/* Takes one that is ending, if it has not left, out of its channels and of
 * presence. After a takeover: goes on with that. */
void conn_leave(struct chat *ch, uint32_t i);

/* The close frame alone, of a connection that is ending already. */
void conn_append_close(struct chat *ch, uint32_t i);

/* Ends it at once; the number is free afterwards. Not where a function up the
 * stack may go on with it, or with a list that it is in: only for what an event
 * of its own, its deadline, or the turn's end asks for. */
void conn_drop(struct chat *ch, uint32_t i, const char *why);

/* Sends our FIN, behind what its transport says at the end, and reads on for a
 * moment. */
void conn_linger(struct chat *ch, uint32_t i);

/* The socket of one in CONN_LINGER takes more. */
void conn_linger_more(struct chat *ch, uint32_t i);

#endif
