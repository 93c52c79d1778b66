/* handshake_fixture: certificates that are made on the spot, and a client of
 * OpenSSL's that shakes hands with src/handshaker over memory. */
#ifndef CHATD_TESTS_HANDSHAKE_FIXTURE_H
#define CHATD_TESTS_HANDSHAKE_FIXTURE_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tls_files.h"

/* Keys, each made once. */
static inline EVP_PKEY *
fixture_key(const char *type)
{
	static EVP_PKEY *ec, *rsa, *small;

	if (strcmp(type, "EC") == 0)
		return ec != NULL ? ec : (ec = EVP_EC_gen("P-256"));
	if (strcmp(type, "small") == 0)
		return small != NULL ? small : (small = EVP_RSA_gen(1024));
	return rsa != NULL ? rsa : (rsa = EVP_RSA_gen(2048));
}

/* Both as PEM; free() it. */
static inline char *
fixture_pem(X509 *cert, EVP_PKEY *key, size_t *len)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *bytes, *copy;

	assert_int_equal(cert != NULL
		? PEM_write_bio_X509(b, cert)
		: PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL),
	    1);
	*len = (size_t)BIO_get_mem_data(b, &bytes);
	copy = malloc(*len);
	assert_non_null(copy);
	memcpy(copy, bytes, *len);
	BIO_free(b);
	return copy;
}

/* A certificate of that subject, names ("DNS:a,DNS:b"; NULL: none) and key,
 * that ends in so many seconds. */
static inline X509 *
fixture_cert(EVP_PKEY *key, const char *cn, const char *names, long seconds)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);
	X509_EXTENSION *e;

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_set_version(x, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), seconds);
	X509_NAME_add_entry_by_txt(
	    n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, n);
	X509_set_pubkey(x, key);
	if (names != NULL) {
		e = X509V3_EXT_conf_nid(
		    NULL, NULL, NID_subject_alt_name, (char *)names);
		assert_non_null(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

/* Adds a pair to what a handshaker is told. */
static inline void
fixture_pair(
    struct tls_files *f, const char *type, const char *cn, const char *names)
{
	EVP_PKEY *key = fixture_key(type);
	X509 *cert = fixture_cert(key, cn, names, 86400);
	char *pem, path[64];
	size_t len;

	pem = fixture_pem(cert, NULL, &len);
	snprintf(path, sizeof(path), "/etc/%s.pem", cn);
	assert_int_equal(
	    tls_files_put(f, TLS_FILE_CHAIN, path, 0, pem, len), 0);
	free(pem);
	pem = fixture_pem(NULL, key, &len);
	assert_int_equal(
	    tls_files_put(f, TLS_FILE_KEY, "/etc/key.pem", 0, pem, len), 0);
	free(pem);
	X509_free(cert);
}

static SSL_SESSION *fixture_session; /* the client's last one */

/* A client's context. */
static inline SSL_CTX *
fixture_client(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	assert_non_null(c);
	return c;
}

/* A client that has bytes in memory. */
static inline SSL *
fixture_connect(SSL_CTX *c, const char *name)
{
	SSL *ssl = SSL_new(c);

	assert_non_null(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	if (name != NULL)
		SSL_set_tlsext_host_name(ssl, name);
	return ssl;
}

#endif
