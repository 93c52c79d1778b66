#include "context.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "codec/tls.h"
#include "secret.h"

enum {
	/* Bits of security that keys and hashes have at least; 2: 112 bits, as
	 * RSA of 2,048 bits has. */
	SECURITY_LEVEL = 2,
	TICKETS = 2 /* of a full handshake; each is good once */
};

static const char usual_groups[] = "X25519:P-256:P-384";

/* The cipher suites that there are, in the server's order: the cheapest first
 * (measured: a record of 200 bytes takes 385 ns with AES-128, 526 with AES-256,
 * 677 with ChaCha20, which clients without AES in their processor get). */
static const struct context_cipher {
	const char *name;
	bool old; /* of TLS 1.2 */
} ciphers[] = {{"TLS_AES_128_GCM_SHA256", false},
    {"TLS_AES_256_GCM_SHA384", false}, {"TLS_CHACHA20_POLY1305_SHA256", false},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", true},
    {"ECDHE-RSA-AES128-GCM-SHA256", true},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", true},
    {"ECDHE-RSA-AES256-GCM-SHA384", true},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", true},
    {"ECDHE-RSA-CHACHA20-POLY1305", true}};

enum { CIPHERS = sizeof(ciphers) / sizeof(ciphers[0]) };

static const char separators[] = " \t,:";

/* The next word at *at, which is moved behind it; false: there is none. */
static bool
context_word(const char **at, const char **word, size_t *len)
{
	*word = *at + strspn(*at, separators);
	*len = strcspn(*word, separators);
	*at = *word + *len;
	return *len > 0;
}

/* Appends a word to a list of OpenSSL's. */
static void
context_append(char list[TLS_FILES_WORDS], const char *word, size_t len)
{
	const size_t at = strlen(list);

	snprintf(list + at, TLS_FILES_WORDS - at, "%s%.*s", at > 0 ? ":" : "",
	    (int)len, word);
}

/* All cipher suites of a version. */
static void
context_ciphers_all(char list[TLS_FILES_WORDS], bool old)
{
	for (int k = 0; k < CIPHERS; k++)
		if (ciphers[k].old == old)
			context_append(
			    list, ciphers[k].name, strlen(ciphers[k].name));
}

/* The words of tls-ciphers, those of each version; a version of which there are
 * none has all. Returns 0, or -1 with a word that is none. */
static int
context_ciphers_read(const char *text, char new[TLS_FILES_WORDS],
    char old[TLS_FILES_WORDS], const char **word, size_t *len)
{
	int k;

	new[0] = old[0] = '\0';
	while (context_word(&text, word, len)) {
		for (k = 0; k < CIPHERS; k++)
			if (strlen(ciphers[k].name) == *len &&
			    strncmp(ciphers[k].name, *word, *len) == 0)
				break;
		if (k == CIPHERS)
			return -1;
		context_append(ciphers[k].old ? old : new, *word, *len);
	}
	if (new[0] == '\0')
		context_ciphers_all(new, false);
	if (old[0] == '\0')
		context_ciphers_all(old, true);
	return 0;
}

static int
context_ciphers(SSL_CTX *c, const char *text, char *error, size_t error_len)
{
	char new[TLS_FILES_WORDS], old[TLS_FILES_WORDS];
	const char *word;
	size_t len;

	if (context_ciphers_read(text, new, old, &word, &len) == -1) {
		new[0] = '\0';
		context_ciphers_all(new, false);
		context_ciphers_all(new, true);
		snprintf(error, error_len, "tls-ciphers: %.*s is none of %s",
		    (int)len, word, new);
		return -1;
	}
	if (SSL_CTX_set_ciphersuites(c, new) == 1 &&
	    SSL_CTX_set_cipher_list(c, old) == 1)
		return 0;
	snprintf(error, error_len, "tls-ciphers: OpenSSL does not have them");
	return -1;
}

static int
context_groups(SSL_CTX *c, const char *text, char *error, size_t error_len)
{
	char list[TLS_FILES_WORDS] = "";
	const char *word;
	size_t len;

	while (context_word(&text, &word, &len))
		context_append(list, word, len);
	if (list[0] == '\0')
		strlcpy(list, usual_groups, sizeof(list));
	if (SSL_CTX_set1_groups_list(c, list) == 1)
		return 0;
	snprintf(error, error_len,
	    "tls-groups: %s: OpenSSL does not have all of them, or one is "
	    "named "
	    "twice",
	    list);
	return -1;
}

/* Whether a client offers TLS 1.3. */
static bool
context_offers_new(SSL *ssl)
{
	const unsigned char *p;
	size_t n;

	if (SSL_CTX_get_max_proto_version(SSL_get_SSL_CTX(ssl)) <
		TLS1_3_VERSION ||
	    SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_supported_versions, &p, &n) != 1)
		return false;
	for (size_t k = 1; k + 1 < n; k += 2)
		if ((p[k] << 8 | p[k + 1]) == TLS1_3_VERSION)
			return true;
	return false;
}

/* A client of TLS 1.2 has to offer the extended master secret (RFC 7627 5.2),
 * for which OpenSSL 3.0 has no option. */
static int
context_hello_cb(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *p;
	size_t n;

	if (SSL_client_hello_get0_legacy_version(ssl) < TLS1_2_VERSION ||
	    context_offers_new(ssl) ||
	    SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_extended_master_secret, &p, &n) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	ERR_raise(ERR_LIB_SSL, SSL_R_INCONSISTENT_EXTMS);
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_CLIENT_HELLO_ERROR;
}

/* Of the protocols that a client offers, HTTP/1.1 (RFC 7301 3.2). */
static int
context_alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const char http[] = "http/1.1";
	const unsigned char n = sizeof(http) - 1;

	for (unsigned at = 0; at < in_len; at += 1u + in[at])
		if (in[at] == n && in_len - at > n &&
		    memcmp(in + at + 1, http, n) == 0) {
			*out = in + at + 1;
			*out_len = n;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* What needs no configuration. */
static void
context_settle(SSL_CTX *c, void *arg)
{
	static const unsigned char name[] = "chatd";

	SSL_CTX_set_app_data(c, arg);
	SSL_CTX_set_security_level(c, SECURITY_LEVEL);
	SSL_CTX_set_options(c,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_max_early_data(c, 0);
	SSL_CTX_set_recv_max_early_data(c, 0);
	SSL_CTX_set_num_tickets(c, TICKETS);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(c, TLS_TICKET_S);
	(void)SSL_CTX_set_session_id_context(c, name, sizeof(name) - 1);
	SSL_CTX_set_keylog_callback(c, secret_log_cb);
	SSL_CTX_set_client_hello_cb(c, context_hello_cb, NULL);
	SSL_CTX_set_alpn_select_cb(c, context_alpn_cb, NULL);
}

SSL_CTX *
context_new(
    const struct birth_handshaker *b, void *arg, char *error, size_t error_len)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	const uint32_t all = TLS_FILES_12 | TLS_FILES_13;
	const uint32_t protocols =
	    (b->protocols & all) != 0 ? b->protocols & all : all;
	const int min =
	    protocols == TLS_FILES_13 ? TLS1_3_VERSION : TLS1_2_VERSION;
	const int max =
	    protocols == TLS_FILES_12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if (c == NULL || SSL_CTX_set_min_proto_version(c, min) != 1 ||
	    SSL_CTX_set_max_proto_version(c, max) != 1) {
		snprintf(error, error_len, "TLS: no memory");
		SSL_CTX_free(c);
		return NULL;
	}
	context_settle(c, arg);
	if (context_ciphers(c, b->ciphers, error, error_len) == 0 &&
	    context_groups(c, b->groups, error, error_len) == 0)
		return c;
	SSL_CTX_free(c);
	return NULL;
}
