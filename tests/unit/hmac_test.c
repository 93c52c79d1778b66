/* hmac: the vectors of RFC 4231, and OpenSSL's answers for other lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "codec/hmac.h"

enum { LONG_KEY = 131, LENGTHS = 300 };

struct vector {
	const char *key, *data, *want;
};

/* RFC 4231, 4.3; 4.7 and 4.8, whose keys are LONG_KEY bytes of 0xaa. */
static const struct vector vectors[] = {
    {"Jefe", "what do ya want for nothing?",
	"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
	"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {NULL,
	"This is a test using a larger than block-size key and a larger than "
	"block-size data. The key needs to be hashed before being used by the "
	"HMAC algorithm.",
	"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"}};

/* The vectors. */
static void
test_vectors(void **state)
{
	uint8_t long_key[LONG_KEY], out[HMAC_SHA256_LEN];
	char hex[2 * HMAC_SHA256_LEN + 1];

	memset(long_key, 0xaa, sizeof(long_key));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		const bool own = v->key != NULL;

		hmac_sha256(own ? v->key : (const char *)long_key,
		    own ? strlen(v->key) : sizeof(long_key), v->data,
		    strlen(v->data), out);
		for (size_t k = 0; k < sizeof(out); k++)
			sprintf(hex + 2 * k, "%02x", out[k]);
		assert_string_equal(hex, v->want);
	}
}

/* Keys and data of all lengths around those of a block. */
static void
test_lengths(void **state)
{
	uint8_t bytes[LENGTHS], out[HMAC_SHA256_LEN], want[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + i / 256);
	for (size_t key = 1; key < LENGTHS; key += 7)
		for (size_t data = 0; data < LENGTHS; data++) {
			hmac_sha256(bytes, key, bytes + 1,
			    data == 0 ? 0 : data - 1, out);
			assert_non_null(HMAC(EVP_sha256(), bytes, (int)key,
			    bytes + 1, data == 0 ? 0 : data - 1, want, &len));
			assert_int_equal(len, sizeof(out));
			assert_memory_equal(out, want, sizeof(out));
		}
}

/* Each bit counts. */
static void
test_equals(void **state)
{
	uint8_t a[HMAC_SHA256_LEN] = {1, 2, 3}, b[sizeof(a)];

	memcpy(b, a, sizeof(a));
	assert_true(secret_equals(a, b, sizeof(a)));
	assert_true(secret_equals(a, b, 0));
	for (size_t i = 0; i < 8 * sizeof(a); i++) {
		b[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(secret_equals(a, b, sizeof(a)));
		b[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_lengths), cmocka_unit_test(test_equals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
