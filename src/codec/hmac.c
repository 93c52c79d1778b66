#include "codec/hmac.h"

#include <sha2.h>
#include <string.h>

enum { HMAC_BLOCK = SHA256_BLOCK_LENGTH, HMAC_INNER = 0x36, HMAC_OUTER = 0x5c };

/* A hash over the key, each byte of it changed, and the data. */
static void
hmac_hash(const uint8_t key[HMAC_BLOCK], uint8_t change, const void *data,
    size_t len, uint8_t out[HMAC_SHA256_LEN])
{
	uint8_t block[HMAC_BLOCK];
	SHA2_CTX ctx;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ change;
	SHA256Init(&ctx);
	SHA256Update(&ctx, block, sizeof(block));
	SHA256Update(&ctx, data, len);
	SHA256Final(out, &ctx);
}

void
hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
    uint8_t out[HMAC_SHA256_LEN])
{
	uint8_t block[HMAC_BLOCK] = {0}, inner[HMAC_SHA256_LEN];
	SHA2_CTX ctx;

	if (key_len > sizeof(block)) {
		SHA256Init(&ctx);
		SHA256Update(&ctx, key, key_len);
		SHA256Final(block, &ctx);
	} else
		memcpy(block, key, key_len);
	hmac_hash(block, HMAC_INNER, data, len, inner);
	hmac_hash(block, HMAC_OUTER, inner, sizeof(inner), out);
	explicit_bzero(block, sizeof(block));
}

bool
secret_equals(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}
