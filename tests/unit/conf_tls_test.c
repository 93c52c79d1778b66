/* conf/tls: certificates, and the names of what TLS is to speak. */
#include "conf_files.h"

#define PAIR "certificate /c.pem key /k.pem\n"

/* The names of a key in a configuration. */
static const char *
names(const struct conf *c, const char *key)
{
	static char text[512];

	return conf_names_text(c, key, ':', text, sizeof(text));
}

/* Certificates in their order, with what belongs to each. */
static void
test_certificates(void **state)
{
	struct conf *c = good("listen *:1 clients tls\n" PAIR
			      "certificate \"/d.pem\" ocsp /o key '/l'\n");

	assert_int_equal(c->tls.n_certificates, 2);
	assert_string_equal(c->tls.certificate[0].chain, "/c.pem");
	assert_string_equal(c->tls.certificate[0].key, "/k.pem");
	assert_null(c->tls.certificate[0].staple);
	assert_string_equal(c->tls.certificate[1].chain, "/d.pem");
	assert_string_equal(c->tls.certificate[1].key, "/l");
	assert_string_equal(c->tls.certificate[1].staple, "/o");
	assert_true(conf_listen_has(c, "tls"));
	assert_true(conf_listen_has(c, "clients"));
	assert_false(conf_listen_has(c, "client"));
	assert_null(conf_tls_judge(c, c));
	conf_free(c);
	wrong("certificate /c\n", 1, "private key is missing");
	wrong("certificate c key /k\n", 1, "its file \"c\" does not begin");
	wrong("certificate /c key k\n", 1, "key \"k\" does not begin");
	wrong("certificate /c key /k key /k\n", 1, "key is there twice");
	wrong("certificate /c kye /k\n", 1, "\"kye\" is neither key nor ocsp");
	wrong("certificate /c key\n", 1, "value is missing");
	wrong("certificat /c key /k\n", 1, "did you mean certificate");
}

/* There are so many at most. */
static void
test_many(void **state)
{
	char text[CONF_CERTIFICATES_MAX * sizeof(PAIR) + 64] = "";

	for (int i = 0; i < CONF_CERTIFICATES_MAX; i++)
		strlcat(text, PAIR, sizeof(text));
	conf_free(good(text));
	strlcat(text, PAIR, sizeof(text));
	wrong(text, CONF_CERTIFICATES_MAX + 1, "more than 32");
}

/* An address with TLS needs a certificate, whichever file names it. */
static void
test_judge(void **state)
{
	struct conf *with = good("listen a:1\nlisten b:2 tls\n" PAIR);
	struct conf *without = good("listen b:2 tls\n"), *plain = good("");

	assert_non_null(strstr(conf_tls_judge(without, without),
	    "listen b:2 tls: there is no certificate"));
	assert_non_null(conf_tls_judge(plain, with));
	assert_null(conf_tls_judge(plain, plain));
	assert_null(conf_tls_judge(with, without));
	conf_free(with);
	conf_free(without);
	conf_free(plain);
}

/* Names of sets: defaults, their order, and what is none. */
static void
test_names(void **state)
{
	struct conf *c = good("");

	assert_string_equal(names(c, "tls-protocols"), "1.2:1.3");
	assert_string_equal(names(c, "tls-groups"), "X25519:P-256:P-384");
	assert_string_equal(names(c, "listen"), "");
	conf_free(c);
	c = good("tls-protocols 1.3\ntls-groups { p-384\nX448 }\n"
		 "tls-ciphers TLS_CHACHA20_POLY1305_SHA256\n"
		 "tls-ciphers ECDHE-RSA-AES128-GCM-SHA256\n"
		 "tls-handshakers 8\ntls-strict-sni yes\n");
	assert_string_equal(names(c, "tls-protocols"), "1.3");
	assert_string_equal(names(c, "tls-groups"), "P-384:X448");
	assert_string_equal(names(c, "tls-ciphers"),
	    "TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256");
	assert_int_equal(c->tls.handshakers, 8);
	assert_int_equal(c->tls.strict_sni, 1);
	conf_free(c);
	c = good("acme-challenge /a/b\ntls-redirect-port 8443\nhsts 8760h\n");
	assert_string_equal(c->tls.challenge, "/a/b");
	assert_int_equal(c->live.redirect_port, 8443);
	assert_int_equal(c->live.hsts_ms / 1000, 31536000);
	conf_free(c);
	wrong("acme-challenge a\n", 1, "does not begin with a slash");
	wrong("tls-redirect-port 65536\n", 1, "from 0 to 65535");
	wrong("tls-protocols 1.1\n", 1, "\"1.1\" is unknown; did you mean 1.2");
	wrong("tls-protocols SSL\n", 1, "1.2 1.3 are known");
	wrong("tls-groups P256\n", 1, "did you mean P-256");
	wrong("tls-ciphers TLS_AES_256_GCM_SHA348\n", 1,
	    "did you mean TLS_AES_256_GCM_SHA384");
	wrong("tls-ciphers AES128-SHA\n", 1, "those in chatd.conf(5)");
	wrong("tls-groups X25519 x25519\n", 1, "there twice");
	wrong("tls-handshakers 9\n", 1, "from 0 to 8");
}

/* What a reload changes by other processes, and that nothing of it takes a
 * restart. */
static void
test_differences(void **state)
{
	struct conf *a = good("");
	struct conf *b = good(PAIR "tls-protocols 1.3\ntls-strict-sni yes\n"
				   "tls-groups X25519 P-256 P-384\n");
	char out[256];

	assert_int_equal(conf_differences(a, b, out, sizeof(out)), 0);
	assert_int_equal(conf_tls_differences(a, b, out, sizeof(out)), 3);
	assert_string_equal(out, "certificate, tls-protocols, tls-strict-sni");
	conf_tls_swap(a, b);
	assert_int_equal(a->tls.n_certificates, 1);
	assert_int_equal(b->tls.n_certificates, 0);
	conf_free(b);
	b = good("certificate /c.pem key /k.pem ocsp /o\ntls-protocols 1.3\n"
		 "tls-strict-sni yes\n");
	assert_int_equal(conf_tls_differences(a, b, out, sizeof(out)), 1);
	assert_string_equal(out, "certificate");
	conf_free(a);
	conf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_many), cmocka_unit_test(test_judge),
	    cmocka_unit_test(test_names), cmocka_unit_test(test_differences)};

	return cmocka_run_group_tests_name("conf_tls", tests, begin, end);
}
