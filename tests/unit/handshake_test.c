/* handshake: one TLS handshake, and what is handed over of it. */
#include "handshake_talk.h"

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

/* A ClientHello that is long, and does not come whole, is not waited for. */
static void
test_long(void **state)
{
	static const uint8_t begin[] = {22, 3, 1, 0x40, 0, 1, 1, 0xff, 0};
	static uint8_t record[5 + 0x4000];
	struct contexts *all = contexts_usual(NULL);
	struct handshake *h = handshake_new(all);
	enum handshake_state s = HANDSHAKE_GOES_ON;
	size_t sent = 0, n;

	memcpy(record, begin, sizeof(begin));
	while (s == HANDSHAKE_GOES_ON && sent < 8 * sizeof(record)) {
		for (size_t at = 0;
		     s == HANDSHAKE_GOES_ON && at < sizeof(record); at += n) {
			n = handshake_wants(h);
			s = handshake_take(h, record + at, n);
			sent += n;
		}
		memset(record + 5, 0, sizeof(record) - 5);
	}
	assert_int_equal(s, HANDSHAKE_FAILED);
	assert_true(sent <= 32 * 1024);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new),
	    cmocka_unit_test(test_old),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_noise),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_resume),
	    cmocka_unit_test(test_no_ticket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
