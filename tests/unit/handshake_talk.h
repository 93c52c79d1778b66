/* handshake_talk: clients of OpenSSL's that shake hands with this end. */
#ifndef CHATD_TESTS_HANDSHAKE_TALK_H
#define CHATD_TESTS_HANDSHAKE_TALK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "../../src/handshaker/contexts.h"
#include "../../src/handshaker/handshake.h"
#include "codec/tls.h"
#include "handshake_fixture.h"

enum { FLIGHT_MAX = 64 * 1024 };

static char warned[1024];

static inline void
warn_cb(const char *line)
{
	strlcpy(warned, line, sizeof(warned));
}

static inline struct contexts *
contexts_made(const struct birth_handshaker *b, struct tls_files *f,
    const struct tls_tickets *ring)
{
	char error[1024] = "";
	struct contexts *all =
	    contexts_new(b, f, ring, warn_cb, error, sizeof(error));

	assert_string_equal(error, "");
	assert_non_null(all);
	tls_files_free(f);
	return all;
}

/* A server of one pair. */
static inline struct contexts *
contexts_usual(const struct tls_tickets *ring)
{
	const struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0};

	fixture_pair(&f, "EC", "one", "DNS:one.example");
	return contexts_made(&b, &f, ring);
}

/* What the client has to send goes to the server, as it asks for it; what that
 * does not want stays in rest. Returns the server's state. */
static inline enum handshake_state
carry(struct handshake *h, SSL *client, uint8_t *rest, size_t *rest_len)
{
	static uint8_t bytes[FLIGHT_MAX];
	enum handshake_state state = HANDSHAKE_GOES_ON;
	const uint8_t *out;
	size_t at = 0, len, n;
	int got = BIO_read(SSL_get_wbio(client), bytes, sizeof(bytes));

	len = got > 0 ? (size_t)got : 0;
	while (at < len && (n = handshake_wants(h)) > 0) {
		if (n > len - at)
			n = len - at;
		state = handshake_take(h, bytes + at, n);
		at += n;
		while ((out = handshake_output(h, &n)) != NULL) {
			/* in two pieces, as a socket may take it */
			n = n > 7 ? n - 7 : n;
			assert_int_equal(
			    BIO_write(SSL_get_rbio(client), out, (int)n), n);
			handshake_sent(h, n);
		}
	}
	memcpy(rest, bytes + at, len - at);
	*rest_len = len - at;
	return state;
}

/* A handshake; the client says "early" with its Finished. */
static inline enum handshake_state
shake(struct handshake *h, SSL *client, uint8_t *rest, size_t *rest_len)
{
	enum handshake_state state = HANDSHAKE_GOES_ON;
	bool said = false;

	*rest_len = 0;
	for (int k = 0; k < 6 && state == HANDSHAKE_GOES_ON; k++) {
		SSL_do_handshake(client);
		if (SSL_is_init_finished(client) && !said)
			said = SSL_write(client, "early", 5) == 5;
		state = carry(h, client, rest, rest_len);
	}
	SSL_do_handshake(client);
	return state;
}

/* Proves that what was handed over is what the client has: a record each way,
 * and a second one. */
static inline void
talk(const struct tls_birth *b, SSL *client, const uint8_t *rest, size_t len)
{
	uint8_t text[TLS_RECORD_MAX], out[200], more[400];
	struct tls_key read, write;
	size_t n;
	ssize_t r;
	int got;

	assert_int_equal(tls_key_of(b->suite, b->read_secret, &read), 0);
	assert_int_equal(tls_key_of(b->suite, b->write_secret, &write), 0);
	if (len == 0) { /* resumed in TLS 1.2: the client waited for nothing */
		assert_int_equal(SSL_write(client, "early", 5), 5);
		len =
		    (size_t)BIO_read(SSL_get_wbio(client), more, sizeof(more));
		rest = more;
	}
	assert_int_equal(tls_record_length(b->suite, rest, len), len);
	assert_int_equal(
	    tls_open(b->suite, &read, b->read_number, rest, len, text, &n),
	    TLS_DATA);
	assert_int_equal(n, 5);
	assert_memory_equal(text, "early", 5);
	for (uint64_t k = 0; k < 2; k++) {
		r = tls_seal(b->suite, &write, b->write_number + k,
		    b->nonce + k, TLS_DATA, (const uint8_t *)"hello", 5, out);
		assert_true(r > 0);
		assert_int_equal(
		    BIO_write(SSL_get_rbio(client), out, (int)r), r);
		assert_int_equal(SSL_read(client, text, sizeof(text)), 5);
		assert_memory_equal(text, "hello", 5);
	}
	assert_int_equal(SSL_write(client, "later", 5), 5);
	got = BIO_read(SSL_get_wbio(client), more, sizeof(more));
	assert_true(got > 0);
	assert_int_equal(tls_open(b->suite, &read, b->read_number + 1, more,
			     (size_t)got, text, &n),
	    TLS_DATA);
	assert_memory_equal(text, "later", 5);
}

/* One good handshake with that client, which is freed. Returns whether it was
 * resumed. */
static inline bool
good(const struct contexts *all, SSL *client, uint8_t suite)
{
	struct handshake *h = handshake_new(all);
	static uint8_t rest[FLIGHT_MAX];
	size_t rest_len;
	bool resumed;

	assert_non_null(h);
	if (shake(h, client, rest, &rest_len) != HANDSHAKE_DONE)
		fail_msg("%s", handshake_why(h));
	assert_int_equal(handshake_wants(h), 0);
	if (suite != 0)
		assert_int_equal(handshake_birth(h)->suite, suite);
	talk(handshake_birth(h), client, rest, rest_len);
	resumed = SSL_session_reused(client) != 0;
	SSL_SESSION_free(fixture_session);
	fixture_session = SSL_get1_session(client);
	/* else its session is taken for a bad one */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN);
	handshake_free(h);
	SSL_free(client);
	return resumed;
}

/* TLS 1.2: a client of that version and cipher. */
static inline SSL_CTX *
client_old(const char *cipher)
{
	SSL_CTX *c = fixture_client();

	assert_int_equal(SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION), 1);
	if (cipher != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(c, cipher), 1);
	return c;
}

/* A handshake that fails, with that alert at the client and that word in the
 * reason. */
static inline void
refused(const struct contexts *all, SSL *client, int alert, const char *why)
{
	struct handshake *h = handshake_new(all);
	static uint8_t rest[FLIGHT_MAX];
	size_t rest_len;

	assert_non_null(h);
	ERR_clear_error();
	assert_int_equal(shake(h, client, rest, &rest_len), HANDSHAKE_FAILED);
	assert_int_equal(handshake_wants(h), 0);
	if (strstr(handshake_why(h), why) == NULL)
		fail_msg("%s", handshake_why(h));
	assert_int_equal(
	    ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert);
	handshake_free(h);
	SSL_free(client);
}

#endif
