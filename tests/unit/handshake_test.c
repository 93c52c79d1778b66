/* handshake: one TLS handshake, and what is handed over of it. */
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

static void
warn_cb(const char *line)
{
	strlcpy(warned, line, sizeof(warned));
}

static struct contexts *
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
static struct contexts *
contexts_usual(const struct tls_tickets *ring)
{
	const struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0};

	fixture_pair(&f, "EC", "one", "DNS:one.example");
	return contexts_made(&b, &f, ring);
}

/* What the client has to send goes to the server, as it asks for it; what that
 * does not want stays in rest. Returns the server's state. */
static enum handshake_state
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
static enum handshake_state
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
static void
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
static bool
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

static void
test_new(void **state)
{
	static const struct {
		const char *name;
		uint8_t suite;
	} suites[] = {{"TLS_AES_128_GCM_SHA256", TLS_AES_128},
	    {"TLS_AES_256_GCM_SHA384", TLS_AES_256},
	    {"TLS_CHACHA20_POLY1305_SHA256", TLS_CHACHA20}};
	struct contexts *all = contexts_usual(NULL);
	SSL_CTX *c = fixture_client();

	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(
		    SSL_CTX_set_ciphersuites(c, suites[k].name), 1);
		assert_false(
		    good(all, fixture_connect(c, NULL), suites[k].suite));
	}
	SSL_CTX_free(c);
	contexts_free(all);
}

/* TLS 1.2: a client of that version and cipher. */
static SSL_CTX *
client_old(const char *cipher)
{
	SSL_CTX *c = fixture_client();

	assert_int_equal(SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION), 1);
	if (cipher != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(c, cipher), 1);
	return c;
}

static void
test_old(void **state)
{
	static const struct {
		const char *name;
		uint8_t suite;
	} suites[] = {{"ECDHE-ECDSA-AES128-GCM-SHA256", TLS_OLD_AES_128},
	    {"ECDHE-ECDSA-AES256-GCM-SHA384", TLS_OLD_AES_256},
	    {"ECDHE-ECDSA-CHACHA20-POLY1305", TLS_OLD_CHACHA20}};
	struct contexts *all = contexts_usual(NULL);
	SSL_CTX *c;

	for (size_t k = 0; k < 3; k++) {
		c = client_old(suites[k].name);
		assert_false(
		    good(all, fixture_connect(c, NULL), suites[k].suite));
		SSL_CTX_free(c);
	}
	contexts_free(all);
}

/* A handshake that fails, with that alert at the client and that word in the
 * reason. */
static void
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

/* What is not spoken is refused, with the alert that says why. */
static void
test_refused(void **state)
{
	struct contexts *all = contexts_usual(NULL);
	SSL_CTX *c = client_old(NULL);

	SSL_CTX_set_options(c, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	refused(
	    all, fixture_connect(c, NULL), SSL_AD_HANDSHAKE_FAILURE, "extms");
	SSL_CTX_free(c);
	c = client_old("ECDHE-ECDSA-AES128-SHA256");
	refused(all, fixture_connect(c, NULL), SSL_AD_HANDSHAKE_FAILURE,
	    "no shared cipher");
	SSL_CTX_free(c);
	c = fixture_client();
	SSL_CTX_set_security_level(c, 0);
	SSL_CTX_set_min_proto_version(c, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(c, TLS1_1_VERSION);
	SSL_CTX_set_cipher_list(c, "ALL:@SECLEVEL=0");
	refused(all, fixture_connect(c, NULL), SSL_AD_PROTOCOL_VERSION,
	    "unsupported protocol");
	SSL_CTX_free(c);
	contexts_free(all);
}

/* One byte at a time, and what is no TLS at all. */
static void
test_noise(void **state)
{
	struct contexts *all = contexts_usual(NULL);
	static const struct {
		const char *bytes;
		size_t len;
	} noise[] = {{"GET / HTTP/1.1\r\n\r\n", 18},
	    {"\x16\x03\x01\xff\xff", 5}, {"\x17\x03\x03\x00\x02..", 7},
	    {"\x80\x2e\x01\x00\x02", 5}, {"\x15\x03\x01\x00\x02\x02\x28", 7},
	    {"\x16\x03\x01", 3}};
	static const uint8_t empty[] = {22, 3, 1, 0, 0};
	struct handshake *h;
	enum handshake_state s;

	for (size_t k = 0; k < sizeof(noise) / sizeof(noise[0]); k++) {
		h = handshake_new(all);
		s = HANDSHAKE_GOES_ON;
		for (size_t j = 0; s == HANDSHAKE_GOES_ON && j < noise[k].len;
		     j++)
			s = handshake_take(
			    h, (const uint8_t *)noise[k].bytes + j, 1);
		assert_int_equal(
		    s, k == 5 ? HANDSHAKE_GOES_ON : HANDSHAKE_FAILED);
		handshake_free(h);
	}
	h = handshake_new(all);
	s = handshake_take(h, empty, sizeof(empty));
	assert_int_equal(s, HANDSHAKE_FAILED);
	handshake_free(h);
	contexts_free(all);
}

/* The name that the server's certificate is for, as the client has it. */
static void
served(const struct contexts *all, const char *said, const char *cn, int type)
{
	SSL_CTX *c = fixture_client();
	SSL *client = fixture_connect(c, said);
	struct handshake *h = handshake_new(all);
	static uint8_t rest[FLIGHT_MAX];
	size_t rest_len;
	char name[64];
	X509 *x;

	if (type == EVP_PKEY_RSA)
		assert_int_equal(
		    SSL_set1_sigalgs_list(client, "rsa_pss_rsae_sha256"), 1);
	assert_int_equal(shake(h, client, rest, &rest_len), HANDSHAKE_DONE);
	x = SSL_get0_peer_certificate(client);
	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(x), NID_commonName, name, sizeof(name));
	assert_string_equal(name, cn);
	assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(x)), type);
	talk(handshake_birth(h), client, rest, rest_len);
	handshake_free(h);
	SSL_free(client);
	SSL_CTX_free(c);
}

/* Certificates are chosen by name, and those of one name by what the client
 * knows. */
static void
test_names(void **state)
{
	struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0};
	struct contexts *all;
	SSL_CTX *c;

	fixture_pair(&f, "EC", "one", "DNS:one.example,DNS:ONE.test");
	fixture_pair(&f, "RSA", "two", "DNS:two.example,DNS:one.example");
	fixture_pair(&f, "EC", "wild", "DNS:*.example");
	fixture_pair(&f, "EC", "never", "DNS:one.example");
	all = contexts_made(&b, &f, NULL);
	served(all, "one.example", "one", EVP_PKEY_EC);
	served(all, "One.Test", "one", EVP_PKEY_EC);
	served(all, "one.example", "two", EVP_PKEY_RSA);
	served(all, "two.example", "two", EVP_PKEY_RSA);
	served(all, "two.example", "wild", EVP_PKEY_EC);
	served(all, "other.example", "wild", EVP_PKEY_EC);
	served(all, "a.b.example", "one", EVP_PKEY_EC); /* a star is a label */
	served(all, "unknown", "one", EVP_PKEY_EC);
	served(all, NULL, "one", EVP_PKEY_EC);
	served(all, NULL, "two", EVP_PKEY_RSA);
	contexts_free(all);

	b.strict = 1;
	fixture_pair(&f, "EC", "one", "DNS:one.example");
	all = contexts_made(&b, &f, NULL);
	served(all, "one.example", "one", EVP_PKEY_EC);
	c = fixture_client();
	refused(all, fixture_connect(c, "unknown"), SSL_AD_UNRECOGNIZED_NAME,
	    "unrecognized name");
	refused(all, fixture_connect(c, NULL), SSL_AD_UNRECOGNIZED_NAME,
	    "unrecognized name");
	SSL_CTX_free(c);
	contexts_free(all);
}

static void
test_alpn(void **state)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	static const unsigned char h2[] = "\x02h2";
	struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0};
	struct contexts *all;
	SSL_CTX *c = fixture_client();
	struct handshake *h;
	uint8_t rest[FLIGHT_MAX];
	const unsigned char *got;
	unsigned got_len;
	size_t rest_len;
	SSL *client;

	fixture_pair(&f, "EC", "one", "DNS:one.example");
	fixture_pair(&f, "EC", "two", "DNS:two.example");
	all = contexts_made(&b, &f, NULL);
	for (int k = 0; k < 2; k++) {
		h = handshake_new(all);
		client =
		    fixture_connect(c, k == 0 ? "one.example" : "two.example");
		SSL_set_alpn_protos(client, both, sizeof(both) - 1);
		assert_int_equal(
		    shake(h, client, rest, &rest_len), HANDSHAKE_DONE);
		SSL_get0_alpn_selected(client, &got, &got_len);
		assert_int_equal(got_len, 8);
		assert_memory_equal(got, "http/1.1", 8);
		handshake_free(h);
		SSL_free(client);
		client =
		    fixture_connect(c, k == 0 ? "one.example" : "two.example");
		SSL_set_alpn_protos(client, h2, sizeof(h2) - 1);
		refused(all, client, SSL_AD_NO_APPLICATION_PROTOCOL,
		    "no application protocol");
	}
	SSL_CTX_free(c);
	contexts_free(all);
}

/* A key by chance. */
static void
ring_turn(struct tls_tickets *t)
{
	struct tls_ticket_key key;

	arc4random_buf(&key, sizeof(key));
	tls_tickets_turn(t, &key);
}

/* Contexts that share a ring resume each other's sessions, and renew tickets,
 * until their key has been turned twice. */
static void
resume(struct tls_tickets *ring, SSL_CTX *c, uint8_t suite)
{
	struct contexts *a = contexts_usual(ring), *b = contexts_usual(ring);
	SSL_SESSION *old;
	SSL *client;

	assert_false(good(a, fixture_connect(c, "one.example"), suite));
	for (int k = 0; k < 3; k++) {
		assert_non_null(old = fixture_session);
		SSL_SESSION_up_ref(old);
		client = fixture_connect(c, "one.example");
		SSL_set_session(client, old);
		assert_true(good(k == 1 ? a : b, client, suite));
		assert_ptr_not_equal(fixture_session, old); /* renewed */
		SSL_SESSION_free(old);
	}
	ring_turn(ring);
	SSL_SESSION_up_ref(old = fixture_session);
	client = fixture_connect(c, "one.example");
	SSL_set_session(client, old);
	assert_true(good(a, client, suite));
	ring_turn(ring);
	client = fixture_connect(c, "one.example");
	SSL_set_session(client, old);
	assert_false(good(a, client, suite));
	SSL_SESSION_free(old);
	SSL_SESSION_free(fixture_session);
	fixture_session = NULL;
	contexts_free(a);
	contexts_free(b);
}

static void
test_resume(void **state)
{
	struct tls_tickets ring = {0};
	SSL_CTX *c = fixture_client();

	ring_turn(&ring);
	resume(&ring, c, 0);
	SSL_CTX_free(c);
	c = client_old(NULL);
	resume(&ring, c, TLS_OLD_AES_128);
	SSL_CTX_free(c);
	c = client_old("ECDHE-ECDSA-CHACHA20-POLY1305");
	resume(&ring, c, TLS_OLD_CHACHA20);
	SSL_CTX_free(c);
}

/* Without a key of tickets there are none. */
static void
test_no_ticket(void **state)
{
	struct tls_tickets ring = {0};
	struct contexts *all = contexts_usual(&ring);
	SSL_CTX *c = fixture_client();
	struct handshake *h = handshake_new(all);
	SSL *client = fixture_connect(c, NULL);
	static uint8_t rest[FLIGHT_MAX];
	size_t rest_len;

	assert_int_equal(shake(h, client, rest, &rest_len), HANDSHAKE_DONE);
	assert_int_equal(handshake_birth(h)->write_number, 0);
	talk(handshake_birth(h), client, rest, rest_len);
	handshake_free(h);
	SSL_free(client);
	ring_turn(&ring);
	h = handshake_new(all);
	client = fixture_connect(c, NULL);
	assert_int_equal(shake(h, client, rest, &rest_len), HANDSHAKE_DONE);
	assert_int_equal(handshake_birth(h)->write_number, 2);
	handshake_free(h);
	SSL_free(client);
	SSL_CTX_free(c);
	contexts_free(all);
}

/* What the configuration says: versions, ciphers, groups (a ClientHello that
 * has to come again), and the size of records that a client asks for. */
static void
test_settings(void **state)
{
	struct birth_handshaker b = {.files = -1,
	    .protocols = TLS_FILES_13,
	    .ciphers = "TLS_CHACHA20_POLY1305_SHA256",
	    .groups = "P-384"};
	struct tls_files f = {0};
	struct contexts *all;
	struct handshake *h;
	static uint8_t rest[FLIGHT_MAX];
	size_t rest_len;
	SSL_CTX *c = client_old(NULL);
	SSL *client;

	fixture_pair(&f, "EC", "one", NULL);
	all = contexts_made(&b, &f, NULL);
	refused(all, fixture_connect(c, NULL), SSL_AD_PROTOCOL_VERSION,
	    "unsupported protocol");
	SSL_CTX_free(c);
	c = fixture_client();
	SSL_CTX_set1_groups_list(c, "X25519:P-384");
	assert_false(good(all, fixture_connect(c, NULL), TLS_CHACHA20));
	h = handshake_new(all);
	client = fixture_connect(c, NULL);
	SSL_set_tlsext_max_fragment_length(
	    client, TLSEXT_max_fragment_length_1024);
	assert_int_equal(shake(h, client, rest, &rest_len), HANDSHAKE_DONE);
	assert_int_equal(handshake_birth(h)->record, 1024);
	handshake_free(h);
	SSL_free(client);
	SSL_CTX_free(c);
	contexts_free(all);
	b = (struct birth_handshaker){.files = -1,
	    .protocols = TLS_FILES_12,
	    .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"};
	fixture_pair(&f, "EC", "one", NULL);
	all = contexts_made(&b, &f, NULL);
	c = fixture_client();
	assert_false(good(all, fixture_connect(c, NULL), TLS_OLD_AES_256));
	SSL_CTX_free(c);
	contexts_free(all);
}

/* What is refused, in one line. */
static void
bad(const struct birth_handshaker *b, struct tls_files *f, const char *why)
{
	char error[1024] = "";

	assert_null(contexts_new(b, f, NULL, warn_cb, error, sizeof(error)));
	if (strstr(error, why) == NULL)
		fail_msg("%s", error);
	tls_files_free(f);
}

/* Bytes of a file of one pair. */
static void
put(struct tls_files *f, enum tls_file_what what, const char *path,
    const char *text)
{
	assert_int_equal(
	    tls_files_put(f, what, path, 0, text, strlen(text)), 0);
}

static void
test_bad(void **state)
{
	struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0}, other = {0};
	struct tls_file file;
	size_t at = 0;
	X509 *x;
	char *pem;
	size_t len;

	bad(&b, &f, "certificate: there is none");
	put(&f, TLS_FILE_CHAIN, "/etc/a.pem", "nothing");
	bad(&b, &f, "certificate /etc/a.pem: there is no certificate in it");
	put(&f, TLS_FILE_CHAIN, "/etc/a.pem",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	bad(&b, &f, "certificate /etc/a.pem: ");
	assert_int_equal(
	    tls_files_put(&f, TLS_FILE_CHAIN, "/etc/b.pem", EACCES, NULL, 0),
	    0);
	bad(&b, &f, "certificate /etc/b.pem: Permission denied");
	/* no key, another one's, an encrypted one, none */
	x = fixture_cert(fixture_key("EC"), "one", NULL, 60);
	pem = fixture_pem(x, NULL, &len);
	X509_free(x);
	tls_files_put(&f, TLS_FILE_CHAIN, "/etc/c.pem", 0, pem, len);
	bad(&b, &f, "certificate /etc/c.pem: there is no key");
	tls_files_put(&f, TLS_FILE_CHAIN, "/etc/c.pem", 0, pem, len);
	fixture_pair(&other, "RSA", "other", NULL);
	while (tls_files_next(&other, &at, &file) == 1)
		if (file.what == TLS_FILE_KEY)
			tls_files_put(&f, TLS_FILE_KEY, "/etc/k.pem", 0,
			    file.bytes, file.len);
	tls_files_free(&other);
	bad(&b, &f, "certificate /etc/c.pem: the key is another");
	tls_files_put(&f, TLS_FILE_CHAIN, "/etc/c.pem", 0, pem, len);
	put(&f, TLS_FILE_KEY, "/etc/k.pem",
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi0\n"
	    "-----END ENCRYPTED PRIVATE KEY-----\n");
	bad(&b, &f, "key /etc/k.pem: ");
	tls_files_put(&f, TLS_FILE_CHAIN, "/etc/c.pem", 0, pem, len);
	put(&f, TLS_FILE_KEY, "/etc/k.pem", "");
	bad(&b, &f, "key /etc/k.pem: there is no private key");
	fixture_pair(&f, "small", "small", NULL);
	bad(&b, &f, "certificate /etc/small.pem: ee key too small");
	fixture_pair(&f, "EC", "one", NULL);
	put(&f, TLS_FILE_STAPLE, "/etc/o.der", "nothing");
	bad(&b, &f, "ocsp /etc/o.der: it is no OCSP response");
	/* words */
	strlcpy(b.ciphers, "TLS_AES_128_GCM_SHA256:RC4-SHA", sizeof(b.ciphers));
	fixture_pair(&f, "EC", "one", NULL);
	bad(&b, &f, "tls-ciphers: RC4-SHA is none of TLS_AES_128_GCM");
	b.ciphers[0] = '\0';
	strlcpy(b.groups, "X25519 nonsense", sizeof(b.groups));
	fixture_pair(&f, "EC", "one", NULL);
	bad(&b, &f, "tls-groups: X25519:nonsense");
	free(pem);
}

/* One that has expired is served, with a warning. */
static void
test_expired(void **state)
{
	const struct birth_handshaker b = {.files = -1};
	struct tls_files f = {0};
	X509 *x = fixture_cert(fixture_key("EC"), "late", NULL, -60);
	size_t len;
	char *pem = fixture_pem(x, NULL, &len);
	SSL_CTX *c = fixture_client();
	struct contexts *all;

	X509_free(x);
	tls_files_put(&f, TLS_FILE_CHAIN, "/etc/late.pem", 0, pem, len);
	free(pem);
	pem = fixture_pem(NULL, fixture_key("EC"), &len);
	tls_files_put(&f, TLS_FILE_KEY, "/etc/k.pem", 0, pem, len);
	free(pem);
	warned[0] = '\0';
	all = contexts_made(&b, &f, NULL);
	assert_non_null(
	    strstr(warned, "certificate /etc/late.pem: it has expired on "));
	assert_false(good(all, fixture_connect(c, NULL), 0));
	SSL_CTX_free(c);
	contexts_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new),
	    cmocka_unit_test(test_old),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_noise),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_resume),
	    cmocka_unit_test(test_no_ticket),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
