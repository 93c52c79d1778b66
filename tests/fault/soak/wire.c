/*
 * The bytes of a client on its socket: as they are, or over TLS. OpenSSL works
 * in memory, so that what it makes can be cut anywhere on its way, also within
 * a record. Its end must be said: what ends without a close_notify, and any
 * other alert, is a fault.
 */
#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "soak.h"

enum {
	TLS_ONE_IN = 3,
	OLD_ONE_IN = 4,	   /* of those over TLS: TLS 1.2 */
	RENEW_ONE_IN = 20, /* of what is said: a new key before it */
	PADDED_ONE_IN = 5, /* clients who hide how long a record is */
	READ_BYTES = 16 * 1024
};

static SSL_CTX *ctx;
static SSL *wire[CLIENTS_MAX];

bool
wire_is_tls(uint32_t i)
{
	/* of each kind of client, see cast() */
	return set.tls && (i / 2) % TLS_ONE_IN == 0;
}

/* Makes what all have in common. */
static void
wire_begin(void)
{
	ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		errx(2, "no context of TLS");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void
wire_open(uint32_t i)
{
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
	    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	static const char *const old[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
	    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"};
	SSL *ssl;

	if (!wire_is_tls(i))
		return;
	if (ctx == NULL)
		wire_begin();
	wire[i] = ssl = SSL_new(ctx);
	if (ssl == NULL)
		errx(2, "no memory for TLS");
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	if (dice(OLD_ONE_IN) == 0) {
		SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
		SSL_set_cipher_list(ssl, old[dice(3)]);
	} else {
		SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
		SSL_set_ciphersuites(ssl, suites[dice(3)]);
		if (dice(PADDED_ONE_IN) == 0)
			SSL_set_block_padding(ssl, 256);
	}
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	counts.tls++;
}

void
wire_close(uint32_t i)
{
	SSL_free(wire[i]);
	wire[i] = NULL;
}

/* Says what is wrong. */
static void
wire_fault(uint32_t i, const char *what)
{
	const unsigned long e = ERR_get_error();

	fault(F_ALERT, "client %u: %s, %s: %s", i, SSL_get_version(wire[i]),
	    what, e != 0 ? ERR_reason_error_string(e) : "nothing of OpenSSL's");
	ERR_clear_error();
}

/* Notes which of the certificates that were made a client was shown. */
static void
wire_certificate(uint32_t i)
{
	X509 *shown = SSL_get1_peer_certificate(wire[i]);
	char name[32] = "";
	unsigned n;

	if (shown != NULL &&
	    X509_NAME_get_text_by_NID(X509_get_subject_name(shown),
		NID_commonName, name, sizeof(name)) > 0 &&
	    sscanf(name, "soak%u", &n) == 1 && n > counts.certificate)
		counts.certificate = n;
	X509_free(shown);
}

/* Takes bytes that came: what they say, or as recv(). */
static ssize_t
wire_plain(uint32_t i, void *bytes, size_t n)
{
	SSL *ssl = wire[i];
	const bool shaking = !SSL_is_init_finished(ssl);
	size_t got = 0;
	int r = 1;

	while (got < n &&
	    (r = SSL_read(ssl, (char *)bytes + got, (int)(n - got))) > 0)
		got += (size_t)r;
	if (shaking && SSL_is_init_finished(ssl))
		wire_certificate(i);
	if (got > 0)
		return (ssize_t)got;
	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		wire_fault(i, "cannot be read");
		errno = EPROTO;
		return -1;
	}
}

ssize_t
wire_recv(uint32_t i, void *bytes, size_t n)
{
	static char sealed[READ_BYTES];
	struct client *c = &client[i];
	ssize_t r, plain;

	if (wire[i] == NULL)
		return recv(c->fd, bytes, n, MSG_DONTWAIT);
	/* what is left over of the last time */
	plain = wire_plain(i, bytes, n);
	if (plain >= 0 || errno != EAGAIN)
		return plain;
	r = recv(c->fd, sealed, n < READ_BYTES ? n : READ_BYTES, MSG_DONTWAIT);
	if (r == 0 && c->phase != SHAKING)
		wire_fault(i, "ends without a close_notify");
	if (r <= 0)
		return r;
	if (BIO_write(SSL_get_rbio(wire[i]), sealed, (int)r) != r)
		errx(2, "no memory for TLS");
	return wire_plain(i, bytes, n);
}

bool
wire_has(uint32_t i)
{
	return wire[i] != NULL &&
	    (SSL_has_pending(wire[i]) ||
		BIO_ctrl_pending(SSL_get_rbio(wire[i])) > 0);
}

const char *
wire_state(uint32_t i)
{
	return SSL_state_string_long(wire[i]);
}

size_t
wire_waits(uint32_t i)
{
	return wire[i] != NULL ? BIO_ctrl_pending(SSL_get_wbio(wire[i])) : 0;
}

/* Seals what is to be said, all of it or a part. */
static void
wire_seal(uint32_t i)
{
	struct client *c = &client[i];
	size_t n = c->out_len;
	int r;

	if (!SSL_is_init_finished(wire[i]) || n == 0)
		return;
	if (SSL_version(wire[i]) == TLS1_3_VERSION && dice(RENEW_ONE_IN) == 0 &&
	    c->phase == OPEN) {
		SSL_key_update(wire[i],
		    dice(2) ? SSL_KEY_UPDATE_REQUESTED
			    : SSL_KEY_UPDATE_NOT_REQUESTED);
		counts.keys++;
	}
	if (dice(8) == 0)
		n = 1 + dice((uint32_t)n);
	r = SSL_write(wire[i], c->out, (int)n);
	if (r <= 0) {
		wire_fault(i, "cannot be written");
		return;
	}
	memmove(c->out, c->out + r, c->out_len - (size_t)r);
	c->out_len -= (size_t)r;
}

const void *
wire_next(uint32_t i, size_t *n)
{
	char *bytes;

	if (wire[i] == NULL) {
		*n = client[i].out_len;
		return client[i].out;
	}
	if (wire_waits(i) == 0)
		wire_seal(i);
	*n = (size_t)BIO_get_mem_data(SSL_get_wbio(wire[i]), &bytes);
	return bytes;
}

void
wire_sent(uint32_t i, size_t n)
{
	struct client *c = &client[i];
	char gone[4096];
	int r;

	if (wire[i] == NULL) {
		memmove(c->out, c->out + n, c->out_len - n);
		c->out_len -= n;
		return;
	}
	while (n > 0) {
		r = BIO_read(SSL_get_wbio(wire[i]), gone,
		    (int)(n < sizeof(gone) ? n : sizeof(gone)));
		if (r <= 0)
			errx(2, "what was sent is not there");
		n -= (size_t)r;
	}
}
