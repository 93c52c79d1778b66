/* begin: how a connection begins: its transport's handshake; then a request, or
 * in a framing without HTTP its endpoint's door. Layer 3. */
#ifndef CHATD_CONN_BEGIN_H
#define CHATD_CONN_BEGIN_H

#include <stdint.h>

struct chat;

/* Bytes of a greeting, with what stands around it. Larger: more of the stack;
 * smaller: a door has less to say at once. */
enum { BEGIN_MAX = 1024 };

/*
 * Begins with a connection that an endpoint has just accepted, or goes on with
 * its transport's handshake. Behind that, or if there is none, it is in
 * CONN_REQUEST, or open at its endpoint's door, or told why not. It may have
 * ended then.
 */
void conn_start(struct chat *ch, uint32_t conn);

#endif
