/* ticket: session tickets (RFC 5077, RFC 8446 4.6.1), sealed with keys that all
 * who shake hands share. */
#ifndef CHATD_HANDSHAKER_TICKET_H
#define CHATD_HANDSHAKER_TICKET_H

#include <openssl/ssl.h>

#include "codec/tls_files.h"

/* Has a context make and open tickets. -1: a cipher is missing. */
int ticket_use(SSL_CTX *c);

/* The ring of keys of a context: defined by who has it. */
const struct tls_tickets *ticket_ring(const SSL_CTX *c);

#endif
