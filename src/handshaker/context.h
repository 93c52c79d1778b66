/* context: one of OpenSSL's contexts, as all of them are: what this server
 * speaks, and nothing besides. */
#ifndef CHATD_HANDSHAKER_CONTEXT_H
#define CHATD_HANDSHAKER_CONTEXT_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "codec/tls_files.h"

struct contexts;

/* Of what the configuration says; certificates are not in it yet, nor is a name
 * looked for. SSL_CTX_get_app_data() is arg. NULL, with one line in error. */
SSL_CTX *context_new(
    const struct birth_handshaker *b, void *arg, char *error, size_t error_len);

#endif
