#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "codec/tls.h"

/* HKDF-Expand-Label without a context (RFC 8446 7.1) of n bytes, for which one
 * block is always enough. */
static int
tls_expand(const struct tls_suite *s, const uint8_t *secret, const char *label,
    uint8_t *out, size_t n)
{
	const size_t len = strlen(label);
	uint8_t in[64], md[EVP_MAX_MD_SIZE];
	size_t k = 0;
	bool good;

	in[k++] = 0;
	in[k++] = (uint8_t)n;
	in[k++] = (uint8_t)(sizeof("tls13 ") - 1 + len);
	memcpy(in + k, "tls13 ", sizeof("tls13 ") - 1);
	k += sizeof("tls13 ") - 1;
	memcpy(in + k, label, len);
	k += len;
	in[k++] = 0; /* no context */
	in[k++] = 1; /* the first block */
	good = HMAC(s->hash == 48 ? EVP_sha384() : EVP_sha256(), secret,
		   s->hash, in, k, md, NULL) != NULL;
	if (good)
		memcpy(out, md, n);
	OPENSSL_cleanse(md, sizeof(md));
	return good ? 0 : -1;
}

int
tls_key_of(
    uint8_t suite, const uint8_t secret[TLS_SECRET_MAX], struct tls_key *out)
{
	const struct tls_suite *s = tls_suite(suite);

	if (s == NULL)
		return -1;
	memset(out, 0, sizeof(*out));
	if (s->old) {
		memcpy(out->key, secret, s->key);
		memcpy(out->iv, secret + sizeof(out->key), sizeof(out->iv));
		return 0;
	}
	if (tls_expand(s, secret, "key", out->key, s->key) == -1)
		return -1;
	return tls_expand(s, secret, "iv", out->iv, sizeof(out->iv));
}

int
tls_secret_next(uint8_t suite, const uint8_t secret[TLS_SECRET_MAX],
    uint8_t next[TLS_SECRET_MAX])
{
	const struct tls_suite *s = tls_suite(suite);

	if (s == NULL || s->old)
		return -1;
	memset(next, 0, TLS_SECRET_MAX);
	return tls_expand(s, secret, "traffic upd", next, s->hash);
}
