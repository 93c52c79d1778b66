/* closing: what comes after our own close frame. Layer 3. */
#ifndef CHATD_CONN_CLOSING_H
#define CHATD_CONN_CLOSING_H

#include "conn/chat.h"

/* Our close frame is sent: waits for the client's, unless that has
 * come, and then sends our FIN. */
void closing_begin(struct chat *ch, uint32_t i);

/* Reads in CONN_CLOSING and CONN_LINGER: input is thrown away, except the
 * client's close frame in CONN_CLOSING. */
void closing_read(struct chat *ch, uint32_t i);

/* Looks for the client's close frame at the end of bytes that are not decoded
 * any more, as the connection is ending. */
void
closing_look(struct chat *ch, uint32_t i, const uint8_t *bytes, size_t len);

#endif
