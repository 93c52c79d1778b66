/*
 * Records as RFC 8446 5.2 to 5.4 has them; in TLS 1.2 as RFC 5246 6.2.3.3, with
 * nonces of RFC 5288 3 (AES-GCM) and RFC 7905 2 (ChaCha20).
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "codec/tls.h"
#include "codec/tls_oracle.h"

enum {
	NONCE = 12,
	EXPLICIT = 8, /* bytes of it that stand in a record */
	FIXED = 4,    /* and before them, that do not */
	OLD_HEAD = 13 /* TLS 1.2: what is authenticated with a record */
};

/* One context of each suite and direction: a context for each connection misses
 * the cache as soon as its neighbours use theirs (measured: 409 against 380 to
 * 1,320 ns a record of 200 bytes). */
static struct {
	EVP_CIPHER_CTX *seal, *open;
} contexts[TLS_SUITES];

/* Makes both contexts of a suite; what has failed is not kept. */
static bool
record_contexts(uint8_t suite)
{
	EVP_CIPHER *cipher =
	    EVP_CIPHER_fetch(NULL, tls_suite(suite)->cipher, NULL);
	EVP_CIPHER_CTX *seal = EVP_CIPHER_CTX_new(),
		       *open = EVP_CIPHER_CTX_new();
	bool good = cipher != NULL && seal != NULL && open != NULL &&
	    EVP_EncryptInit_ex2(seal, cipher, NULL, NULL, NULL) == 1 &&
	    EVP_DecryptInit_ex2(open, cipher, NULL, NULL, NULL) == 1;

	EVP_CIPHER_free(cipher); /* the contexts have it */
	if (good) {
		contexts[suite].seal = seal;
		contexts[suite].open = open;
		return true;
	}
	EVP_CIPHER_CTX_free(seal);
	EVP_CIPHER_CTX_free(open);
	return false;
}

int
tls_init(void)
{
	bool good = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1;

	for (uint8_t k = 1; k < TLS_SUITES && good; k++)
		good = contexts[k].seal != NULL || record_contexts(k);
	return good ? 0 : -1;
}

/* Writes a number of n bytes, the highest first. */
static void
record_put(uint8_t *out, uint64_t number, size_t n)
{
	for (size_t k = 0; k < n; k++)
		out[n - 1 - k] = (uint8_t)(number >> 8 * k);
}

/* The nonce of a record: the iv, changed by its number (RFC 8446 5.3), or the
 * part of the iv that is fixed with the explicit part behind it. */
static void
nonce_of(const struct tls_suite *s, const struct tls_key *key, uint64_t number,
    const uint8_t *explicit, uint8_t nonce[NONCE])
{
	memcpy(nonce, key->iv, NONCE);
	if (s->explicit_nonce) {
		memcpy(nonce + FIXED, explicit, EXPLICIT);
		return;
	}
	for (int k = 0; k < 8; k++)
		nonce[NONCE - 1 - k] ^= (uint8_t)(number >> 8 * k);
}

/* What is authenticated with a record: its head, or in TLS 1.2 its number,
 * type, version and the plaintext's length. Returns its length. */
static int
aad_of(const struct tls_suite *s, const uint8_t *record, uint64_t number,
    size_t plain, uint8_t aad[OLD_HEAD])
{
	if (!s->old) {
		memcpy(aad, record, TLS_HEAD);
		return TLS_HEAD;
	}
	record_put(aad, number, 8);
	memcpy(aad + 8, record, 3);
	record_put(aad + 11, plain, 2);
	return OLD_HEAD;
}

ssize_t
tls_seal(uint8_t suite, const struct tls_key *key, uint64_t number,
    uint64_t nonce, uint8_t type, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	const struct tls_suite *s = tls_suite(suite);
	EVP_CIPHER_CTX *c;
	uint8_t iv[NONCE], aad[OLD_HEAD], *at = out + TLS_HEAD;
	size_t inner = len;
	int n, aad_len;

	if (s == NULL || len > TLS_PLAIN_MAX ||
	    (c = contexts[suite].seal) == NULL)
		return -1;
	out[0] = s->old ? type : TLS_DATA;
	out[1] = out[2] = TLS_VERSION;
	record_put(out + 3, len + s->overhead - TLS_HEAD, 2);
	if (s->explicit_nonce) {
		record_put(at, nonce, EXPLICIT);
		at += EXPLICIT;
	}
	nonce_of(s, key, number, out + TLS_HEAD, iv);
	aad_len = aad_of(s, out, number, len, aad);
	TLS_ORACLE(.key = key->key, .nonce = iv, .aad = aad, .plain = plain,
	    .aad_len = (size_t)aad_len, .len = len, .suite = suite,
	    .type = s->old ? 0 : type);
	/* in place, with the type behind it: a call of libcrypto's for one byte
	 * takes as long as for hundreds */
	memcpy(at, plain, len);
	if (!s->old)
		at[inner++] = type;
	if (EVP_EncryptInit_ex2(c, NULL, key->key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &n, aad, aad_len) != 1 ||
	    (inner > 0 && EVP_EncryptUpdate(c, at, &n, at, (int)inner) != 1))
		return -1;
	at += inner;
	if (EVP_EncryptFinal_ex(c, at, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TLS_TAG, at) != 1)
		return -1;
	return (ssize_t)(len + s->overhead);
}

/* The type behind the plaintext of TLS 1.3, and the zeros that pad it (RFC 8446
 * 5.4). */
static int
inner_type(const uint8_t *bytes, size_t *len)
{
	size_t n = *len;

	while (n > 0 && bytes[n - 1] == 0)
		n--;
	if (n == 0)
		return -TLS_UNEXPECTED_MESSAGE;
	*len = n - 1;
	return bytes[n - 1];
}

/* Whether a record may have that in it. */
static int
type_judge(int type, size_t len)
{
	if (type < 0)
		return type;
	if (type != TLS_DATA && type != TLS_HANDSHAKE && type != TLS_ALERT)
		return -TLS_UNEXPECTED_MESSAGE;
	/* only of data may there be none (RFC 8446 5.4, RFC 5246 6.2.1) */
	return type != TLS_DATA && len == 0 ? -TLS_UNEXPECTED_MESSAGE : type;
}

int
tls_open(uint8_t suite, const struct tls_key *key, uint64_t number,
    const uint8_t *record, size_t length, uint8_t *out, size_t *len)
{
	const struct tls_suite *s = tls_suite(suite);
	const uint8_t *in = record + TLS_HEAD;
	EVP_CIPHER_CTX *c;
	uint8_t iv[NONCE], aad[OLD_HEAD];
	int n, aad_len, type;

	if (s == NULL || length < s->overhead || length > TLS_RECORD_MAX ||
	    (c = contexts[suite].open) == NULL)
		return -TLS_INTERNAL_ERROR;
	nonce_of(s, key, number, in, iv);
	in += s->explicit_nonce ? EXPLICIT : 0;
	*len = (size_t)(record + length - TLS_TAG - in);
	aad_len = aad_of(s, record, number, *len, aad);
	if (EVP_DecryptInit_ex2(c, NULL, key->key, iv, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TLS_TAG,
		(void *)(record + length - TLS_TAG)) != 1 ||
	    EVP_DecryptUpdate(c, NULL, &n, aad, aad_len) != 1 ||
	    (*len > 0 && EVP_DecryptUpdate(c, out, &n, in, (int)*len) != 1))
		return -TLS_INTERNAL_ERROR;
	if (EVP_DecryptFinal_ex(c, out + *len, &n) != 1)
		return -TLS_BAD_RECORD_MAC;
	if (*len > (size_t)TLS_PLAIN_MAX + !s->old)
		return -TLS_RECORD_OVERFLOW;
	type = s->old ? record[0] : inner_type(out, len);
	return type_judge(type, *len);
}
