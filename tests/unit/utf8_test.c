/* utf8: every code point, every two-byte start, boundaries, splits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/utf8.h"

/* Encodes any number up to 0x1fffff in n bytes, valid or not. */
static void
encode(uint32_t c, size_t n, uint8_t *out)
{
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t i;

	for (i = n; i-- > 1; c >>= 6)
		out[i] = 0x80 | (c & 0x3f);
	out[0] = (uint8_t)(n == 1 ? c : lead[n] | c);
}

/* How many bytes a code point takes; 0 if it may not be encoded. */
static size_t
length_of(uint32_t c)
{
	if (c >= 0xd800 && c <= 0xdfff)
		return 0;
	return c < 0x80	    ? 1
	    : c < 0x800	    ? 2
	    : c < 0x10000   ? 3
	    : c <= 0x10ffff ? 4
			    : 0;
}

/*
 * Every number in every length that can hold it: just the right one passes, at
 * the end of a text and before more of it.
 */
static void
test_every_code_point(void **state)
{
	static const uint32_t most[] = {0, 0x7f, 0x7ff, 0xffff, 0x1fffff};
	uint32_t c, code;
	uint8_t b[8];
	size_t n;
	bool good;

	for (n = 1; n <= 4; n++) {
		for (c = 0; c <= most[n]; c++) {
			encode(c, n, b);
			good = length_of(c) == n;
			memcpy(b + n, "more", 4);
			if (utf8_valid(b, n) != good ||
			    utf8_valid(b, n + 4) != good)
				fail_msg("U+%04X in %zu bytes", c, n);
			code = UINT32_MAX;
			if (utf8_decode(b, n, &code) != (good ? n : 0))
				fail_msg("decode U+%04X in %zu bytes", c, n);
			if (!good)
				continue;
			assert_int_equal(code, c);
			assert_int_equal(utf8_encode(c, (char *)b + n), n);
			assert_memory_equal(b, b + n, n);
		}
	}
}

/* Any two bytes: a text is refused at its first bad byte, not later. */
static void
test_fails_at_once(void **state)
{
	uint8_t b[4] = {0};
	unsigned int lead, second;
	utf8_state s;

	for (lead = 0x80; lead < 0x100; lead++) {
		b[0] = (uint8_t)lead;
		s = 0;
		assert_int_equal(
		    utf8_feed(&s, b, 1), lead >= 0xc2 && lead <= 0xf4);
	}
	for (lead = 0xe0; lead <= 0xf4; lead++) {
		for (second = 0; second < 0x100; second++) {
			bool good = second >= 0x80 && second <= 0xbf &&
			    !(lead == 0xe0 && second < 0xa0) &&
			    !(lead == 0xed && second > 0x9f) &&
			    !(lead == 0xf0 && second < 0x90) &&
			    !(lead == 0xf4 && second > 0x8f);

			b[0] = (uint8_t)lead;
			b[1] = (uint8_t)second;
			s = 0;
			assert_int_equal(utf8_feed(&s, b, 2), good);
		}
	}
}

static const char mixed[] =
    "plain ASCII of some length, then \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80, "
    "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"
    " and again more than sixteen ASCII characters";

/* A text in two pieces, split anywhere, is as good as whole. */
static void
test_every_split(void **state)
{
	const size_t len = sizeof(mixed) - 1;
	utf8_state s;
	size_t i;

	assert_true(utf8_valid(mixed, len));
	for (i = 0; i <= len; i++) {
		s = 0;
		assert_true(utf8_feed(&s, mixed, i));
		assert_int_equal(s == 0, (mixed[i] & 0xc0) != 0x80);
		assert_int_equal(utf8_valid(mixed, i), s == 0);
		assert_true(utf8_feed(&s, mixed + i, len - i));
		assert_int_equal(s, 0);
	}
}

/* One bad byte anywhere in a long ASCII text is found, at any alignment. */
static void
test_bad_byte_anywhere(void **state)
{
	uint8_t text[80];
	size_t at, len, i;

	for (at = 0; at < 8; at++) {
		for (len = 1; len < 70; len++) {
			memset(text, 'a', sizeof(text));
			assert_true(utf8_valid(text + at, len));
			for (i = 0; i < len; i++) {
				text[at + i] = 0x80;
				assert_false(utf8_valid(text + at, len));
				text[at + i] = 'a';
			}
		}
	}
}

/* A character whose last byte, or any, is missing before more text. */
static void
test_missing_byte(void **state)
{
	static const char *const characters[] = {
	    "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	char text[16];
	size_t len, i, at;

	for (i = 0; i < 3; i++) {
		len = strlen(characters[i]);
		for (at = 0; at < len; at++) {
			memset(text, 'x', sizeof(text));
			memcpy(text, characters[i], len);
			assert_true(utf8_valid(text, sizeof(text)));
			text[at] = 'x';
			assert_false(utf8_valid(text, sizeof(text)));
			assert_false(utf8_valid(text, len));
			text[at] = characters[i][0];
			if (at > 0)
				assert_false(utf8_valid(text, sizeof(text)));
		}
	}
}

/* A state that is nonsense does no harm. */
static void
test_any_state_is_safe(void **state)
{
	utf8_state s;
	uint32_t i;

	for (i = 0; i < 1000000; i++) {
		s = i * 2654435761u;
		utf8_feed(&s, mixed, sizeof(mixed) - 1);
	}
}

/* Decoding needs the whole character. */
static void
test_decode_incomplete(void **state)
{
	uint32_t code;

	assert_int_equal(utf8_decode("", 0, &code), 0);
	assert_int_equal(utf8_decode("\xe2\x82\xac", 2, &code), 0);
	assert_int_equal(utf8_decode("\xf0\x9f\x98\x80z", 5, &code), 4);
	assert_int_equal(code, 0x1f600);
	assert_int_equal(utf8_decode("\xe2\x82\x41", 3, &code), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_code_point),
	    cmocka_unit_test(test_fails_at_once),
	    cmocka_unit_test(test_every_split),
	    cmocka_unit_test(test_bad_byte_anywhere),
	    cmocka_unit_test(test_missing_byte),
	    cmocka_unit_test(test_any_state_is_safe),
	    cmocka_unit_test(test_decode_incomplete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
