/* request: a connection's requests, until it is open or ended. Layer 3. */
#ifndef CHATD_CONN_REQUEST_H
#define CHATD_CONN_REQUEST_H

#include <stdint.h>

struct chat;

/* Reads and handles input of a connection in CONN_REQUEST. */
void request_input(struct chat *ch, uint32_t conn);

/* The socket of a connection in CONN_ANSWER takes more. */
void request_answer_more(struct chat *ch, uint32_t conn);

/* What a request has waited for has come, or not in time (conn/hold.h). */
void request_again(struct chat *ch, uint32_t conn);

/* A connection in CONN_REQUEST has taken too long. */
void request_late(struct chat *ch, uint32_t conn);

#endif
