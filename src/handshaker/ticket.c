#include "ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

enum { IV = 16 };

/* Fetched once: to look for it for each ticket takes longer than to use it. */
static EVP_CIPHER *ticket_cipher;

/* Sets up encryption or decryption of one with a key. */
static bool
ticket_set(const struct tls_ticket_key *key, const unsigned char iv[IV],
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(
		OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
	    OSSL_PARAM_construct_utf8_string(
		OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
	    OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, params) == 1 &&
	    EVP_CipherInit_ex2(
		cipher, ticket_cipher, key->aes, iv, enc, NULL) == 1;
}

/*
 * SSL_CTX_set_tlsext_ticket_key_evp_cb(3). 2 for one that was opened: the
 * client gets another one, since each is to be used once. (With 1 OpenSSL sends
 * none in TLS 1.3.)
 */
static int
ticket_cb(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	const struct tls_tickets *ring = ticket_ring(SSL_get_SSL_CTX(ssl));
	struct tls_ticket_key key;
	int result = 0;

	if (ring == NULL)
		return 0;
	if (enc) {
		if (tls_tickets_newest(ring, &key) && RAND_bytes(iv, IV) == 1) {
			memcpy(name, key.name, sizeof(key.name));
			result = 1;
		}
	} else if (tls_tickets_find(ring, name, &key))
		result = 2;
	if (result != 0 && !ticket_set(&key, iv, cipher, mac, enc))
		result = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return result;
}

int
ticket_use(SSL_CTX *c)
{
	if (ticket_cipher == NULL)
		ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (ticket_cipher == NULL ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, ticket_cb) != 1)
		return -1;
	return 0;
}
