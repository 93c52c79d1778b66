/*
 * handshake: one TLS handshake (RFC 8446, 5246), by OpenSSL over memory, and
 * what a worker needs to go on behind it. The socket is the caller's: it reads
 * no more than handshake_wants() says, so that nothing which the client sends
 * behind its Finished is ever read here; it stays in the kernel.
 */
#ifndef CHATD_HANDSHAKER_HANDSHAKE_H
#define CHATD_HANDSHAKER_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "codec/tls.h"

struct contexts;
struct handshake;

enum handshake_state {
	HANDSHAKE_GOES_ON,
	HANDSHAKE_DONE,	 /* once its output is sent */
	HANDSHAKE_FAILED /* its output is an alert, or nothing */
};

/* Of a server. NULL: no memory. */
struct handshake *handshake_new(const struct contexts *all);
/* Overwrites its secrets. */
void handshake_free(struct handshake *h);

/* How many bytes may be read from the socket for it now, at most; 0: it is
 * over. */
size_t handshake_wants(const struct handshake *h);

/* Takes up to that many bytes. All output is to be sent before the next ones
 * are read. */
enum handshake_state
handshake_take(struct handshake *h, const uint8_t *bytes, size_t n);

/* What is to be sent; NULL: nothing. Good until the next call. */
const uint8_t *handshake_output(const struct handshake *h, size_t *len);
/* So much of it was sent. */
void handshake_sent(struct handshake *h, size_t n);

/* Of one that is done. */
const struct tls_birth *handshake_birth(const struct handshake *h);

/* Why it has failed, for people. */
const char *handshake_why(const struct handshake *h);

/* "TLSv1.3 TLS_AES_128_GCM_SHA256", for people. */
void handshake_describe(const struct handshake *h, char *out, size_t len);

#endif
