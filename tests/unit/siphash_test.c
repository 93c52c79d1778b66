/* siphash: against values that OpenSSL's SIPHASH gives with c-rounds 1 and
 * d-rounds 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/siphash.h"

/* The hash as bytes in order, read as one big-endian number. */
static uint64_t
hash_of(const uint8_t key[16], const void *bytes, size_t len)
{
	return __builtin_bswap64(siphash(key, bytes, len));
}

/* Known answers around every word boundary. */
static void
test_known_answers(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} table[] = {
	    {0, 0xdcc40f055801acab},
	    {1, 0x93ca577df39bf4c9},
	    {7, 0x4011b19b987d92d3},
	    {8, 0x8e9a298d11959036},
	    {9, 0xe43d066cb38ea425},
	    {15, 0x5699512a6dd820d3},
	    {16, 0x668b907d1add4fcc},
	    {17, 0x0cd8db639068f29c},
	    {63, 0xa8b3bbb76290199d},
	};
	uint8_t key[16], bytes[64];
	size_t i;

	for (i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(
		    hash_of(key, bytes, table[i].len), table[i].hash);
}

/* The hash does not depend on where the bytes lie, but on the key. */
static void
test_alignment_and_key(void **state)
{
	uint8_t key[16] = {0}, bytes[40] = {0};
	uint64_t hash;
	size_t at, i;

	hash = siphash(key, "twenty-one bytes long", 21);
	for (at = 0; at < 16; at++) {
		for (i = 0; i < 21; i++)
			bytes[at + i] = (uint8_t) "twenty-one bytes long"[i];
		assert_int_equal(siphash(key, bytes + at, 21), hash);
	}
	for (i = 0; i < 16; i++) {
		key[i] = 1;
		assert_int_not_equal(siphash(key, bytes + at - 1, 21), hash);
		key[i] = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_answers),
	    cmocka_unit_test(test_alignment_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
