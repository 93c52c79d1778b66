/* peer: how connections are called in the log. Layer 3. */
#ifndef CHATD_CONN_PEER_H
#define CHATD_CONN_PEER_H

#include "conn/chat.h"
#include "conn/recipient.h"

/* "127.0.0.1:1234"; one static buffer. */
const char *conn_peer(const struct chat *ch, uint32_t i);

#endif
