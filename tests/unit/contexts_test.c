/* contexts: what the configuration says of TLS, and files that are no good. */
#include "handshake_talk.h"

#include <errno.h>
#include <time.h>

#include "codec/message.h"

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

/* Until when files are good is told, and an end that is near warned of; a
 * staple that is none keeps nobody from being served. */
static void
test_until(void **state)
{
	static const struct {
		long days;
		const char *warning;
	} cases[] = {{60, NULL}, {15, NULL}, {13, "it expires on "},
	    {-2, "it has expired on "}};
	const struct birth_handshaker b = {.files = -1};
	struct message_until until;
	struct tls_files f = {0};
	struct contexts *all;
	size_t len;
	char *pem;
	X509 *x;

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		x = fixture_cert(fixture_key("EC"), "a", NULL,
		    cases[k].days * TLS_DAY_S + 60);
		pem = fixture_pem(x, NULL, &len);
		X509_free(x);
		tls_files_put(&f, TLS_FILE_CHAIN, "/c.pem", 0, pem, len);
		free(pem);
		pem = fixture_pem(NULL, fixture_key("EC"), &len);
		tls_files_put(&f, TLS_FILE_KEY, "/k.pem", 0, pem, len);
		free(pem);
		warned[0] = '\0';
		all = contexts_made(&b, &f, NULL);
		if (cases[k].warning == NULL)
			assert_string_equal(warned, "");
		else
			assert_non_null(strstr(warned, cases[k].warning));
		contexts_until(all, &until);
		assert_int_equal(until.n, 1);
		assert_int_equal(until.staple[0], 0);
		assert_in_range(until.certificate[0] - (int64_t)time(NULL) -
			cases[k].days * TLS_DAY_S + 1000,
		    1050, 1061);
		contexts_free(all);
	}
	fixture_pair(&f, "EC", "one", NULL);
	put(&f, TLS_FILE_STAPLE, "/etc/o.der", "nothing");
	warned[0] = '\0';
	all = contexts_made(&b, &f, NULL);
	assert_non_null(strstr(warned, "/etc/o.der is not sent: it is no"));
	contexts_free(all);
	fixture_pair(&f, "EC", "one", NULL);
	tls_files_put(&f, TLS_FILE_STAPLE, "/etc/o.der", ENOENT, "", 0);
	all = contexts_made(&b, &f, NULL);
	assert_non_null(strstr(warned, "not sent: No such file"));
	contexts_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_expired),
	    cmocka_unit_test(test_until),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
