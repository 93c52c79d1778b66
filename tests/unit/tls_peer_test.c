/* tls_peer: our records and OpenSSL's: a real handshake, behind which the
 * record layer goes on in the server's place, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tls.h"

enum { RANDOM = 32, MASTER = 48, BLOCK = 2 * (32 + 12), ROUNDS = 40 };

/* One direction of the connection, as a worker would have it. */
struct way {
	uint8_t secret[TLS_SECRET_MAX];
	struct tls_key key;
	uint64_t number, nonce;
};

struct peer {
	uint8_t suite;
	SSL *server, *client;
	struct way in, out;
	uint8_t master[MASTER]; /* TLS 1.2 */
	uint8_t said[1 << 16];	/* by the server in the handshake */
	size_t said_len, last;	/* of these, where the last step begins */
};

static SSL_CTX *server_ctx, *client_ctx;

static int
digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* A line of the key log: LABEL RANDOM SECRET. */
static void
logged(const SSL *ssl, const char *line)
{
	struct peer *p = SSL_get_app_data(ssl);
	const char *secret = strrchr(line, ' ') + 1;
	uint8_t *to;

	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		to = p->in.secret;
	else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		to = p->out.secret;
	else if (strncmp(line, "CLIENT_RANDOM ", 14) == 0)
		to = p->master;
	else
		return;
	for (; secret[0] != '\0'; secret += 2)
		*to++ = (uint8_t)(digit(secret[0]) << 4 | digit(secret[1]));
}

/* The keys of TLS 1.2 (RFC 5246 6.3), as secrets. */
static void
block_cut(struct peer *p)
{
	const struct tls_suite *s = tls_suite(p->suite);
	const size_t iv = s->explicit_nonce ? 4 : 12;
	uint8_t seed[2 * RANDOM], block[BLOCK];
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
		(char *)(p->suite == TLS_OLD_AES_256 ? "SHA384" : "SHA256"), 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SECRET, p->master, MASTER),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SEED, (void *)"key expansion", 13),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
	    OSSL_PARAM_construct_end()};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);

	SSL_get_server_random(p->server, seed, RANDOM);
	SSL_get_client_random(p->server, seed + RANDOM, RANDOM);
	assert_int_equal(
	    EVP_KDF_derive(c, block, 2 * (s->key + iv), params), 1);
	memcpy(p->in.secret, block, s->key);
	memcpy(p->out.secret, block + s->key, s->key);
	memcpy(p->in.secret + 32, block + 2 * s->key, iv);
	memcpy(p->out.secret + 32, block + 2 * s->key + iv, iv);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

/* Whole records of n bytes; *finished: the first behind a ChangeCipherSpec. */
static uint64_t
records_count(const uint8_t *bytes, size_t n, const uint8_t **finished)
{
	uint64_t count = 0;

	for (size_t at = 0; at < n; count++) {
		const size_t len = (size_t)bytes[at + 3] << 8 | bytes[at + 4];

		at += TLS_HEAD + len;
		if (finished != NULL && at < n &&
		    bytes[at - TLS_HEAD - len] == 20)
			*finished = bytes + at;
	}
	return count;
}

/* Moves what a has written to b; keeps it if asked for. */
static void
pump(SSL *a, SSL *b, struct peer *keep)
{
	uint8_t bytes[1 << 14];
	int n;

	if (keep != NULL)
		keep->last = keep->said_len;
	while ((n = BIO_read(SSL_get_wbio(a), bytes, sizeof(bytes))) > 0) {
		assert_int_equal(BIO_write(SSL_get_rbio(b), bytes, n), n);
		if (keep == NULL)
			continue;
		assert_true(keep->said_len + (size_t)n <= sizeof(keep->said));
		memcpy(keep->said + keep->said_len, bytes, (size_t)n);
		keep->said_len += (size_t)n;
	}
}

/* Takes over: secrets, numbers, and TLS 1.2's explicit nonce. */
static void
take(struct peer *p)
{
	const struct tls_suite *s = tls_suite(p->suite);
	const uint8_t *finished = NULL;

	if (s->old) {
		block_cut(p);
		p->in.number = p->out.number = 1; /* both Finished */
		records_count(p->said, p->said_len, &finished);
		assert_non_null(finished);
		for (int k = 0; s->explicit_nonce && k < 8; k++)
			p->out.nonce =
			    p->out.nonce << 8 | finished[TLS_HEAD + k];
		p->out.nonce++;
	} else /* the tickets */
		p->out.number = records_count(
		    p->said + p->last, p->said_len - p->last, NULL);
	assert_int_equal(tls_key_of(p->suite, p->in.secret, &p->in.key), 0);
	assert_int_equal(tls_key_of(p->suite, p->out.secret, &p->out.key), 0);
}

/* A connection of that suite, behind its handshake. */
static struct peer *
peer_new(const char *name, uint8_t suite)
{
	struct peer *p = calloc(1, sizeof(*p));
	uint8_t byte;
	bool done = false;

	p->suite = suite;
	p->server = SSL_new(server_ctx);
	p->client = SSL_new(client_ctx);
	SSL_set_app_data(p->server, p);
	SSL_set_bio(p->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (tls_suite(suite)->old) {
		assert_int_equal(
		    SSL_set_max_proto_version(p->client, TLS1_2_VERSION), 1);
		assert_int_equal(SSL_set_cipher_list(p->client, name), 1);
	} else
		assert_int_equal(SSL_set_ciphersuites(p->client, name), 1);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
	for (int k = 0; k < 8 && !done; k++) {
		SSL_do_handshake(p->client);
		pump(p->client, p->server, NULL);
		done = SSL_do_handshake(p->server) == 1;
		pump(p->server, p->client, p);
	}
	assert_true(done);
	assert_int_equal(SSL_do_handshake(p->client), 1);
	/* takes the tickets in; there is nothing else */
	assert_int_equal(SSL_read(p->client, &byte, 1), -1);
	assert_int_equal(tls_suite_find(SSL_CIPHER_get_protocol_id(
			     SSL_get_current_cipher(p->server))),
	    suite);
	take(p);
	return p;
}

static void
peer_free(struct peer *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
	free(p);
}

/* Opens the client's next record. Returns its type, or minus an alert. */
static int
hear(struct peer *p, uint8_t *text, size_t *len)
{
	static uint8_t record[TLS_RECORD_MAX];
	ssize_t n;

	assert_int_equal(
	    BIO_read(SSL_get_wbio(p->client), record, TLS_HEAD), TLS_HEAD);
	n = tls_record_length(p->suite, record, TLS_HEAD);
	assert_true(n > 0);
	assert_int_equal(BIO_read(SSL_get_wbio(p->client), record + TLS_HEAD,
			     (int)n - TLS_HEAD),
	    n - TLS_HEAD);
	return tls_open(
	    p->suite, &p->in.key, p->in.number++, record, (size_t)n, text, len);
}

/* Seals a record for the client. */
static void
say(struct peer *p, uint8_t type, const uint8_t *text, size_t len)
{
	static uint8_t record[TLS_RECORD_MAX];
	const ssize_t n = tls_seal(p->suite, &p->out.key, p->out.number++,
	    p->out.nonce++, type, text, len, record);

	assert_int_equal(n, len + tls_suite(p->suite)->overhead);
	assert_int_equal(BIO_write(SSL_get_rbio(p->client), record, (int)n), n);
}

/* The next secret of a direction. */
static void
turn(struct peer *p, struct way *w)
{
	uint8_t next[TLS_SECRET_MAX];

	assert_int_equal(tls_secret_next(p->suite, w->secret, next), 0);
	memcpy(w->secret, next, sizeof(next));
	assert_int_equal(tls_key_of(p->suite, w->secret, &w->key), 0);
	w->number = 0;
}

/* Bytes of all lengths, each way. */
static void
talk(struct peer *p)
{
	static const size_t lens[] = {1, 15, 16, 17, 200, 4096, TLS_PLAIN_MAX};
	static uint8_t text[TLS_PLAIN_MAX], got[TLS_RECORD_MAX];
	size_t len;

	for (size_t k = 0; k < ROUNDS; k++) {
		const size_t n = lens[k % (sizeof(lens) / sizeof(lens[0]))];

		memset(text, (int)k + 1, n);
		assert_int_equal(SSL_write(p->client, text, (int)n), n);
		assert_int_equal(hear(p, got, &len), TLS_DATA);
		assert_int_equal(len, n);
		assert_memory_equal(got, text, n);
		if (k % 3 == 0)
			say(p, TLS_DATA, text, 0); /* is passed over */
		say(p, TLS_DATA, text, n);
		memset(got, 0, n);
		assert_int_equal(SSL_read(p->client, got, sizeof(got)), n);
		assert_memory_equal(got, text, n);
	}
}

/* What OpenSSL would have sent in our place, nonces and all, is what we seal.
 */
static void
compare(struct peer *p)
{
	uint8_t text[200], want[256], got[256];
	const size_t len = sizeof(text) + tls_suite(p->suite)->overhead;

	for (uint8_t k = 0; k < 3; k++) {
		memset(text, k, sizeof(text));
		assert_int_equal(
		    SSL_write(p->server, text, sizeof(text)), sizeof(text));
		assert_int_equal(
		    BIO_read(SSL_get_wbio(p->server), want, sizeof(want)), len);
		assert_int_equal(
		    tls_seal(p->suite, &p->out.key, p->out.number + k,
			p->out.nonce + k, TLS_DATA, text, sizeof(text), got),
		    len);
		assert_memory_equal(got, want, len);
	}
}

/* KeyUpdates of both sides, one of which asks for ours. */
static void
update(struct peer *p)
{
	uint8_t text[TLS_RECORD_MAX], ours[TLS_KEY_UPDATE_BYTES];
	size_t len;

	for (int asks = 0; asks < 2; asks++) {
		assert_int_equal(SSL_key_update(p->client,
				     asks ? SSL_KEY_UPDATE_REQUESTED
					  : SSL_KEY_UPDATE_NOT_REQUESTED),
		    1);
		assert_int_equal(SSL_do_handshake(p->client), 1);
		assert_int_equal(hear(p, text, &len), TLS_HANDSHAKE);
		assert_int_equal(
		    tls_key_update_read(p->suite, text, len), asks);
		turn(p, &p->in);
		tls_key_update_write(ours);
		say(p, TLS_HANDSHAKE, ours, sizeof(ours));
		turn(p, &p->out);
		talk(p);
	}
}

/* TLS 1.2: a wish to renegotiate, and what is answered. */
static void
renegotiate(struct peer *p)
{
	static const uint8_t no[] = {1, TLS_NO_RENEGOTIATION};
	uint8_t text[TLS_RECORD_MAX];
	size_t len;

	assert_int_equal(SSL_renegotiate(p->client), 1);
	assert_int_equal(SSL_do_handshake(p->client), -1);
	assert_int_equal(hear(p, text, &len), TLS_HANDSHAKE);
	assert_int_equal(
	    tls_key_update_read(p->suite, text, len), -TLS_NO_RENEGOTIATION);
	say(p, TLS_ALERT, no, sizeof(no));
	assert_int_equal(SSL_do_handshake(p->client), -1); /* and gives up */
}

/* close_notify from both. */
static void
finish(struct peer *p)
{
	static const uint8_t close_notify[] = {1, TLS_CLOSE_NOTIFY};
	uint8_t text[TLS_RECORD_MAX];
	size_t len;

	assert_int_equal(SSL_shutdown(p->client), 0);
	assert_int_equal(hear(p, text, &len), TLS_ALERT);
	assert_int_equal(len, sizeof(close_notify));
	assert_memory_equal(text, close_notify, len);
	say(p, TLS_ALERT, close_notify, sizeof(close_notify));
	assert_int_equal(SSL_shutdown(p->client), 1);
}

static void
test_suites(void **state)
{
	static const struct {
		const char *name;
		uint8_t suite;
	} suites[] = {{"TLS_AES_128_GCM_SHA256", TLS_AES_128},
	    {"TLS_AES_256_GCM_SHA384", TLS_AES_256},
	    {"TLS_CHACHA20_POLY1305_SHA256", TLS_CHACHA20},
	    {"ECDHE-ECDSA-AES128-GCM-SHA256", TLS_OLD_AES_128},
	    {"ECDHE-ECDSA-AES256-GCM-SHA384", TLS_OLD_AES_256},
	    {"ECDHE-ECDSA-CHACHA20-POLY1305", TLS_OLD_CHACHA20}};

	for (size_t k = 0; k < sizeof(suites) / sizeof(suites[0]); k++)
		for (int more = 0; more < 2; more++) {
			/* no tickets, or some; padding, or none */
			SSL_CTX_set_num_tickets(server_ctx, 3 * (size_t)more);
			SSL_CTX_set_block_padding(client_ctx, more ? 512 : 1);
			struct peer *p =
			    peer_new(suites[k].name, suites[k].suite);

			compare(p);
			talk(p);
			if (!tls_suite(p->suite)->old)
				update(p);
			if (tls_suite(p->suite)->old && more)
				renegotiate(p);
			else
				finish(p);
			peer_free(p);
		}
}

/* A nonce once more, or a number too far: the client hears a bad record. */
static void
test_wrong(void **state)
{
	uint8_t byte = 'x';

	for (uint8_t old = 0; old < 2; old++) {
		struct peer *p = peer_new(old ? "ECDHE-ECDSA-AES128-GCM-SHA256"
					      : "TLS_AES_128_GCM_SHA256",
		    old ? TLS_OLD_AES_128 : TLS_AES_128);

		p->out.number++;
		say(p, TLS_DATA, &byte, 1);
		assert_int_equal(SSL_read(p->client, &byte, 1), -1);
		assert_int_equal(SSL_get_error(p->client, -1), SSL_ERROR_SSL);
		peer_free(p);
	}
}

/* A certificate of this minute. */
static int
begin(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	int good;

	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	good = tls_init() == 0 && X509_set_pubkey(cert, key) == 1 &&
	    X509_sign(cert, key, EVP_sha256()) > 0 &&
	    SSL_CTX_use_certificate(server_ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(server_ctx, key) == 1;
	SSL_CTX_set_keylog_callback(server_ctx, logged);
	X509_free(cert);
	EVP_PKEY_free(key);
	return !good;
}

static int
end(void **state)
{
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_suites),
	    cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
