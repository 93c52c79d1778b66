/* peer: how connections are called in the log. Layer 3. */
#ifndef CHATD_CONN_PEER_H
#define CHATD_CONN_PEER_H

#include "conn/chat.h"

/* "alice (127.0.0.1:1234)", for logs; one static buffer. Without a user only
 * what conn_peer() says. */
const char *conn_name(struct chat *ch, uint32_t i);

/* "127.0.0.1:1234"; one static buffer. */
const char *conn_peer(const struct chat *ch, uint32_t i);

#endif
