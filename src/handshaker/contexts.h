/*
 * contexts: what handshakes are made with: OpenSSL's contexts, one for each set
 * of certificates that serve one name, and which of them a name gets.
 */
#ifndef CHATD_HANDSHAKER_CONTEXTS_H
#define CHATD_HANDSHAKER_CONTEXTS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "codec/tls_files.h"

struct contexts;

/*
 * Of what the configuration says, of files, and of a ring of ticket keys, which
 * may be NULL and is used as long as the contexts are. *f may be freed behind
 * it. NULL: it cannot be, with one line in error that names the file or key. A
 * certificate that is out of date, say, is told by warn() alone.
 */
struct contexts *contexts_new(const struct birth_handshaker *b,
    const struct tls_files *f, const struct tls_tickets *ring,
    void (*warn)(const char *line), char *error, size_t error_len);
void contexts_free(struct contexts *all);

/* Until when certificates, and OCSP responses about them, are good, in the
 * order of the files. */
struct message_until;
void contexts_until(const struct contexts *all, struct message_until *out);

/* One that a handshake begins with, before its client has said a name. NULL:
 * there is no memory. */
SSL *contexts_begin(const struct contexts *all);

#endif
