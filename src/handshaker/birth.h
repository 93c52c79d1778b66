/*
 * birth: what a worker needs of a handshake that is over, proved on our own
 * records before it is handed over.
 */
#ifndef CHATD_HANDSHAKER_BIRTH_H
#define CHATD_HANDSHAKER_BIRTH_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/tls.h"

struct secrets;

/*
 * Fills it in. last: all output of the step that ended the handshake: in TLS
 * 1.3 our session tickets, records under the keys that are handed over, which
 * count; in TLS 1.2 there is our Finished among it, or there was in a step
 * before. Returns NULL, or what is wrong with that connection: it cannot be
 * handed over.
 */
const char *birth_fill(struct tls_birth *out, SSL *ssl,
    const struct secrets *secrets, const uint8_t *last, size_t len);

#endif
