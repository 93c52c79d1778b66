/*
 * tls_forge_fixture: records that no honest peer makes, by libcrypto's AEADs
 * alone and by the letter of RFC 8446 5.2 and RFC 5246 6.2.3.3: what is in a
 * record, its padding, type and version are the caller's.
 */
#ifndef CHATD_TESTS_TLS_FORGE_H
#define CHATD_TESTS_TLS_FORGE_H

#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tls.h"

struct forge {
	uint8_t suite;
	struct tls_key key;
	uint64_t number, nonce;
	uint8_t head[3]; /* type and version */
};

/* Seals inner, as it is, into out; in TLS 1.3 its type and padding are in it.
 * Returns the record's length. */
static size_t
forge_seal(
    const struct forge *f, const uint8_t *inner, size_t len, uint8_t *out)
{
	const struct tls_suite *s = tls_suite(f->suite);
	const size_t shown = s->explicit_nonce ? 8 : 0;
	const size_t all = shown + len + TLS_TAG;
	const uint64_t shown_number = s->explicit_nonce ? f->nonce : f->number;
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->cipher, NULL);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t iv[12], aad[13], *at = out + TLS_HEAD + shown;
	int n = 0, aad_len = s->old ? 13 : TLS_HEAD;

	memcpy(out, f->head, 3);
	out[3] = (uint8_t)(all >> 8);
	out[4] = (uint8_t)all;
	memcpy(iv, f->key.iv, sizeof(iv));
	for (int k = 0; k < 8; k++) {
		const uint8_t byte = (uint8_t)(shown_number >> (56 - 8 * k));

		if (s->explicit_nonce)
			out[TLS_HEAD + k] = iv[4 + k] = byte;
		else
			iv[4 + k] ^= byte;
		aad[k] = (uint8_t)(f->number >> (56 - 8 * k));
	}
	if (s->old) {
		memcpy(aad + 8, f->head, 3);
		aad[11] = (uint8_t)(len >> 8);
		aad[12] = (uint8_t)len;
	} else
		memcpy(aad, out, TLS_HEAD);
	if (EVP_EncryptInit_ex2(c, cipher, f->key.key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &n, aad, aad_len) != 1 ||
	    (len > 0 && EVP_EncryptUpdate(c, at, &n, inner, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(c, at + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TLS_TAG, at + len) !=
		1)
		abort();
	EVP_CIPHER_CTX_free(c);
	EVP_CIPHER_free(cipher);
	return TLS_HEAD + all;
}

#endif
