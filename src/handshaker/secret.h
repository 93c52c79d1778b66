/*
 * secret: what has to be noted of a handshake while it goes on: the secrets of
 * TLS 1.3, which OpenSSL tells to who logs keys, and to nobody else, and our
 * Finished of TLS 1.2.
 */
#ifndef CHATD_HANDSHAKER_SECRET_H
#define CHATD_HANDSHAKER_SECRET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/tls.h"

enum { SECRET_READ = 1, SECRET_WRITE = 2, SECRET_BOTH = 3 };
enum { SECRET_FINISHED_MAX = 64 }; /* bytes; TLS 1.2 with AES-GCM: 45 */

/* Stands in SSL_get_app_data(). */
struct secrets {
	unsigned seen; /* bits */
	uint8_t read[TLS_SECRET_MAX], write[TLS_SECRET_MAX];
	bool changed; /* our ChangeCipherSpec is out */
	/* the first record of ours behind it, if it is one of a handshake */
	size_t finished_len;
	uint8_t finished[SECRET_FINISHED_MAX];
};

/*
 * For SSL_CTX_set_keylog_callback(), of every context: when a handshake changes
 * to another context for its client's name, that one's is called.
 */
void secret_log_cb(const SSL *ssl, const char *line);

/* Looks at whole records that are to be sent. */
void secret_watch(struct secrets *s, const uint8_t *records, size_t len);

#endif
