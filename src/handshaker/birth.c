#include "birth.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "secret.h"

enum {
	RANDOM = 32,
	MASTER = 48,
	FIXED = 4, /* of AES-GCM's nonce in TLS 1.2, bytes */
	IV = 12,   /* of ChaCha20's */
	EXPLICIT = 8,
	NEW_SESSION_TICKET = 4, /* types of handshake messages */
	FINISHED = 20
};

/* Opens a record of ours, and says whether a message of that type is in it. */
static bool
birth_record_is(const struct tls_birth *b, uint64_t number,
    const uint8_t *record, size_t len, int message)
{
	static uint8_t plain[TLS_RECORD_MAX];
	struct tls_key key;
	size_t n;
	bool good;

	good = tls_record_length(b->suite, record, len) == (ssize_t)len &&
	    tls_key_of(b->suite, b->write_secret, &key) == 0 &&
	    tls_open(b->suite, &key, number, record, len, plain, &n) ==
		TLS_HANDSHAKE &&
	    plain[0] == message;
	OPENSSL_cleanse(&key, sizeof(key));
	return good;
}

/* TLS 1.3. No number is computed: records of ours are counted, and opened. */
static const char *
birth_fill_new(struct tls_birth *b, const struct secrets *s,
    const uint8_t *last, size_t len)
{
	ssize_t n;

	if (s->seen != SECRET_BOTH)
		return "OpenSSL did not tell the secrets";
	memcpy(b->read_secret, s->read, sizeof(b->read_secret));
	memcpy(b->write_secret, s->write, sizeof(b->write_secret));
	for (; len > 0; len -= (size_t)n, last += n) {
		n = tls_record_length(b->suite, last, len);
		if (n <= 0 || (size_t)n > len ||
		    !birth_record_is(b, b->write_number, last, (size_t)n,
			NEW_SESSION_TICKET))
			return "its secret does not open our own records";
		b->write_number++;
	}
	return NULL;
}

/* Bytes of a TLS 1.2 connection's keys (RFC 5246 6.3). */
static bool
birth_key_block(SSL *ssl, uint8_t *out, size_t len)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(cipher);
	uint8_t master[MASTER], server[RANDOM], client[RANDOM];
	static const char label[] = "key expansion";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
	EVP_KDF_CTX *c = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(
		OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(md), 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SECRET, master, sizeof(master)),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SEED, (char *)label, sizeof(label) - 1),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SEED, server, sizeof(server)),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_SEED, client, sizeof(client)),
	    OSSL_PARAM_construct_end()};
	bool good;

	good = c != NULL &&
	    SSL_SESSION_get_master_key(
		SSL_get_session(ssl), master, sizeof(master)) == MASTER &&
	    SSL_get_server_random(ssl, server, RANDOM) == RANDOM &&
	    SSL_get_client_random(ssl, client, RANDOM) == RANDOM &&
	    EVP_KDF_derive(c, out, len, params) == 1;
	OPENSSL_cleanse(master, sizeof(master));
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return good;
}

/* The explicit nonce of a record. */
static uint64_t
birth_nonce(const uint8_t *record)
{
	uint64_t n = 0;

	for (int k = 0; k < EXPLICIT; k++)
		n = n << 8 | record[TLS_HEAD + k];
	return n;
}

/* TLS 1.2: one record each way was sealed, Finished. OpenSSL's explicit nonces
 * begin by chance: to go on from there uses none twice. */
static const char *
birth_fill_old(struct tls_birth *b, SSL *ssl, const struct secrets *s)
{
	const struct tls_suite *suite = tls_suite(b->suite);
	const size_t key = suite->key;
	const size_t iv = suite->explicit_nonce ? FIXED : IV;
	const size_t at = offsetof(struct tls_key, iv);
	uint8_t block[2 * (sizeof(struct tls_key))];

	if (SSL_get_extms_support(ssl) != 1)
		return "no extended master secret";
	if (s->finished_len == 0)
		return "our Finished was not seen";
	if (!birth_key_block(ssl, block, 2 * (key + iv)))
		return "its keys cannot be derived";
	memcpy(b->read_secret, block, key);
	memcpy(b->write_secret, block + key, key);
	memcpy(b->read_secret + at, block + 2 * key, iv);
	memcpy(b->write_secret + at, block + 2 * key + iv, iv);
	OPENSSL_cleanse(block, sizeof(block));
	if (!birth_record_is(b, 0, s->finished, s->finished_len, FINISHED))
		return "its keys do not open our own record";
	b->read_number = b->write_number = 1;
	if (suite->explicit_nonce)
		b->nonce = birth_nonce(s->finished) + 1;
	return NULL;
}

const char *
birth_fill(struct tls_birth *out, SSL *ssl, const struct secrets *secrets,
    const uint8_t *last, size_t len)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const uint8_t mode =
	    SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
	const struct tls_suite *suite;

	_Static_assert(sizeof(struct tls_key) <= TLS_SECRET_MAX,
	    "a secret of TLS 1.2 is its key");
	*out = (struct tls_birth){.version = TLS_BIRTH_VERSION,
	    .suite = tls_suite_find(SSL_CIPHER_get_protocol_id(cipher))};
	if ((suite = tls_suite(out->suite)) == NULL)
		return "a cipher suite that is none of ours";
	if (mode != TLSEXT_max_fragment_length_DISABLED)
		out->record = UINT32_C(256) << mode;
	switch (SSL_version(ssl)) {
	case TLS1_3_VERSION:
		return suite->old ? "another version's cipher suite"
				  : birth_fill_new(out, secrets, last, len);
	case TLS1_2_VERSION:
		return suite->old ? birth_fill_old(out, ssl, secrets)
				  : "another version's cipher suite";
	default:
		return "another version of TLS";
	}
}
