#include "handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "birth.h"
#include "contexts.h"
#include "secret.h"

enum {
	/* Records of one handshake. Larger: a client that sends empty or tiny
	 * ones costs more; smaller: one whose ClientHello comes in many is
	 * refused. */
	RECORDS_MAX = 64,
	/* Bytes of them in all: a ClientHello has 0.3 to 4 K, with a retry
	 * twice that. Larger: clients that send a part of a long one, and wait,
	 * cost more memory, OpenSSL's own limit being 128 K; smaller: one with
	 * large keys or tickets is refused. */
	BYTES_MAX = 32 * 1024
};

struct handshake {
	SSL *ssl;
	BIO *in, *out; /* ssl's */
	uint8_t head[TLS_HEAD];
	size_t have; /* bytes of the head of the record that is being read */
	size_t left; /* bytes of the record behind its head, to come */
	unsigned records;
	size_t bytes; /* of them */
	enum handshake_state state;
	struct secrets secrets;
	struct tls_birth birth;
	const char *why;
};

struct handshake *
handshake_new(const struct contexts *all)
{
	struct handshake *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->ssl = contexts_begin(all);
	h->in = BIO_new(BIO_s_mem());
	h->out = BIO_new(BIO_s_mem());
	if (h->ssl == NULL || h->in == NULL || h->out == NULL) {
		BIO_free(h->in);
		BIO_free(h->out);
		SSL_free(h->ssl);
		free(h);
		return NULL;
	}
	BIO_set_mem_eof_return(h->in, -1);
	SSL_set_bio(h->ssl, h->in, h->out);
	SSL_set_accept_state(h->ssl);
	SSL_set_app_data(h->ssl, &h->secrets);
	return h;
}

void
handshake_free(struct handshake *h)
{
	if (h == NULL)
		return;
	SSL_free(h->ssl);
	OPENSSL_cleanse(h, sizeof(*h));
	free(h);
}

size_t
handshake_wants(const struct handshake *h)
{
	if (h->state != HANDSHAKE_GOES_ON)
		return 0;
	return h->have < TLS_HEAD ? TLS_HEAD - h->have : h->left;
}

/* It cannot go on. */
static enum handshake_state
handshake_fail(struct handshake *h, const char *why)
{
	h->why = why;
	return h->state = HANDSHAKE_FAILED;
}

/* Why OpenSSL does not go on: the first thing that it has found. */
static const char *
handshake_reason(void)
{
	const unsigned long e = ERR_get_error();
	const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;

	return why != NULL ? why : "unknown";
}

/* OpenSSL has had its last record; its output in that step. */
static enum handshake_state
handshake_end(struct handshake *h, const uint8_t *last, size_t len)
{
	const char *why;

	if (BIO_ctrl_pending(h->in) != 0 || SSL_has_pending(h->ssl))
		return handshake_fail(h, "bytes behind the handshake");
	why = birth_fill(&h->birth, h->ssl, &h->secrets, last, len);
	if (why != NULL) {
		BIO_reset(h->out);
		return handshake_fail(h, why);
	}
	return h->state = HANDSHAKE_DONE;
}

/* Has OpenSSL go on with what has been read. */
static enum handshake_state
handshake_step(struct handshake *h)
{
	const size_t before = BIO_ctrl_pending(h->out);
	const uint8_t *bytes;
	size_t len;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(h->ssl);
	if ((bytes = handshake_output(h, &len)) != NULL) {
		bytes += before;
		len -= before;
		secret_watch(&h->secrets, bytes, len);
	}
	if (r == 1)
		return handshake_end(h, bytes, len);
	if (SSL_get_error(h->ssl, r) != SSL_ERROR_WANT_READ)
		return handshake_fail(h, handshake_reason());
	return HANDSHAKE_GOES_ON;
}

/* The head of a record is there. */
static enum handshake_state
handshake_head(struct handshake *h)
{
	h->left = (size_t)h->head[3] << 8 | h->head[4];
	h->bytes += TLS_HEAD + h->left;
	if (++h->records > RECORDS_MAX || h->bytes > BYTES_MAX)
		return handshake_fail(h, "too many records");
	/* OpenSSL finds what is wrong with it, and answers */
	if (h->head[0] < 20 || h->head[0] > 23 || h->head[1] != 3 ||
	    h->left > TLS_CIPHER_MAX || h->left == 0) {
		if (handshake_step(h) == HANDSHAKE_GOES_ON)
			return handshake_fail(h, "no record of TLS");
		return h->state;
	}
	return HANDSHAKE_GOES_ON;
}

enum handshake_state
handshake_take(struct handshake *h, const uint8_t *bytes, size_t n)
{
	if (n > handshake_wants(h) || BIO_write(h->in, bytes, (int)n) != (int)n)
		return handshake_fail(h, "no memory");
	if (h->have < TLS_HEAD) {
		memcpy(h->head + h->have, bytes, n);
		h->have += n;
		return h->have == TLS_HEAD ? handshake_head(h) : h->state;
	}
	h->left -= n;
	if (h->left > 0)
		return h->state;
	h->have = 0;
	return handshake_step(h);
}

const uint8_t *
handshake_output(const struct handshake *h, size_t *len)
{
	char *bytes;
	const long n = BIO_get_mem_data(h->out, &bytes);

	*len = n > 0 ? (size_t)n : 0;
	return n > 0 ? (uint8_t *)bytes : NULL;
}

void
handshake_sent(struct handshake *h, size_t n)
{
	uint8_t gone[4096];
	size_t k;

	if (n == BIO_ctrl_pending(h->out)) {
		BIO_reset(h->out);
		return;
	}
	for (; n > 0; n -= k) {
		k = n < sizeof(gone) ? n : sizeof(gone);
		if (BIO_read(h->out, gone, (int)k) != (int)k)
			return;
	}
}

const struct tls_birth *
handshake_birth(const struct handshake *h)
{
	return &h->birth;
}

const char *
handshake_why(const struct handshake *h)
{
	return h->why;
}

void
handshake_describe(const struct handshake *h, char *out, size_t len)
{
	const char *name =
	    SSL_get_servername(h->ssl, TLSEXT_NAMETYPE_host_name);

	snprintf(out, len, "%s %s%s%s", SSL_get_version(h->ssl),
	    SSL_get_cipher_name(h->ssl),
	    SSL_session_reused(h->ssl) ? ", resumed" : "",
	    name != NULL ? ", with a name" : "");
}
