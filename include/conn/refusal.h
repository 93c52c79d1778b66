/* refusal: a request is answered, in most cases refused, and that is all.
 * Layer 3. */
#ifndef CHATD_CONN_REFUSAL_H
#define CHATD_CONN_REFUSAL_H

#include <stdint.h>

struct chat;
struct route;

/* Answers a connection in CONN_REQUEST, logs and counts why it is refused, and
 * ends it. */
void request_refuse(struct chat *ch, uint32_t conn, const struct route *route);

#endif
