/* begin: connections in a framing that begins without an HTTP request: they are
 * at their endpoint's door from the first byte on. Layer 3. */
#ifndef CHATD_CONN_BEGIN_H
#define CHATD_CONN_BEGIN_H

#include <stdint.h>

struct chat;

enum { BEGIN_MAX = 1024 }; /* bytes of a greeting */

/* Opens a connection that an endpoint without HTTP has just accepted, or tells
 * its client why not. */
void conn_begin(struct chat *ch, uint32_t conn);

#endif
