/* http_chunked: the chunked transfer coding, whole, and at every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "codec/http_chunked.h"

static char data[20000]; /* what was decoded */
static size_t data_len, taken;

/* Decodes a text that comes in two pieces, the first of `cut` bytes. */
static enum http_chunked_result
decode(const char *text, size_t len, size_t cut)
{
	struct http_chunked c = {0};
	enum http_chunked_result r = HTTP_CHUNKED_MORE;
	const size_t part[2] = {cut, len - cut};
	char piece[20000];
	size_t n, used;

	data_len = taken = 0;
	for (int k = 0; k < 2 && r == HTTP_CHUNKED_MORE; k++) {
		memcpy(piece, text + (k == 0 ? 0 : cut), part[k]);
		r = http_chunked_take(&c, piece, part[k], &used, &n);
		assert_true(used <= part[k] && n <= used);
		if (r == HTTP_CHUNKED_MORE)
			assert_int_equal(used, part[k]);
		memcpy(data + data_len, piece, n);
		data_len += n;
		taken += used;
	}
	return r;
}

/* What is good says the same at every cut, and what follows is left. */
static void
test_good(void **state)
{
	static const char *const good[][2] = {{"0\r\n\r\n", ""},
	    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
	    {"1\r\na\r\n1\r\nb\r\n00\r\n\r\n", "ab"},
	    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
	    {"0a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
	    {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
	    {"2;a=b\r\nhi\r\n0;x\r\n\r\n", "hi"},
	    {"2 \t; a=\"b\"\r\nhi\r\n0\r\n\r\n", "hi"},
	    {"2\r\nhi\r\n0\r\nA: b\r\nC-d:\te\xff\r\n\r\n", "hi"}};
	char text[200];
	size_t len, whole;

	for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
		whole = strlen(good[k][0]);
		len = (size_t)snprintf(
		    text, sizeof(text), "%sPOST /", good[k][0]);
		for (size_t cut = 0; cut <= len; cut++) {
			assert_int_equal(
			    decode(text, len, cut), HTTP_CHUNKED_DONE);
			assert_int_equal(taken, whole);
			assert_int_equal(data_len, strlen(good[k][1]));
			assert_memory_equal(data, good[k][1], data_len);
		}
		for (size_t end = 0; end < whole; end++)
			assert_int_equal(
			    decode(text, end, end / 2), HTTP_CHUNKED_MORE);
	}
}

/* What is malformed is refused at every cut: another program may have read
 * another body out of it. */
static void
test_bad(void **state)
{
	static const char *const bad[] = {"\r\n", " 5\r\nhello\r\n", "-1\r\n",
	    "+5\r\nhello\r\n", "0x5\r\nhello\r\n", "g\r\n", "5\nhello\r\n",
	    "5\rhello", "5 \r\nhello\r\n", "5 5\r\nhello\r\n", "5\r\nhelloX",
	    "5\r\nhello\n0\r\n\r\n", "5\r\nhello\rX", "5;a\nhello\r\n",
	    "5;\x01\r\n", "5;\x7f\r\n", "5;a\rb\r\n", "100000000\r\n",
	    "ffffffffffffffff\r\n", "10000000000000005\r\n",
	    "0\r\n A: b\r\n\r\n", "0\r\nA: b\n\r\n", "0\r\nA: \x01\r\n\r\n",
	    "0\r\nA: b\rc\r\n\r\n", "0\r\n\rX", "0\r\n: b\r\n\r\n"};

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		for (size_t cut = 0; cut <= strlen(bad[k]); cut++)
			if (decode(bad[k], strlen(bad[k]), cut) !=
			    HTTP_CHUNKED_BAD)
				fail_msg("%s at %zu: not refused", bad[k], cut);
}

/* Lines and trailers have a limit. */
static void
test_limits(void **state)
{
	char text[10000];
	size_t n;

	memset(text, 'x', sizeof(text));
	memcpy(text, "0;", 2);
	n = HTTP_CHUNK_LINE_MAX - 1;
	memcpy(text + n, "\r\n\r\n", 4);
	assert_int_equal(decode(text, n + 4, 9), HTTP_CHUNKED_DONE);
	memset(text + n, 'x', 4);
	assert_int_equal(decode(text, n + 2, 9), HTTP_CHUNKED_BAD);

	memset(text, 'x', sizeof(text));
	memcpy(text, "0\r\n", 3);
	n = 3 + HTTP_TRAILER_MAX - 3;
	memcpy(text + n, "\r\n\r\n", 4);
	assert_int_equal(decode(text, n + 4, 9), HTTP_CHUNKED_DONE);
	memset(text + n, 'x', 4);
	assert_int_equal(decode(text, n + 4, 9), HTTP_CHUNKED_BAD);
	/* and many short ones together */
	n = 3;
	while (n < HTTP_TRAILER_MAX + 100)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "a:b\r\n");
	assert_int_equal(decode(text, n, 9), HTTP_CHUNKED_BAD);
}

/* How much a chunk will have is known before it comes. */
static void
test_left(void **state)
{
	struct http_chunked c = {0};
	char text[] = "ffffffff\r\n";
	size_t used, n;

	assert_int_equal(http_chunked_take(&c, text, strlen(text), &used, &n),
	    HTTP_CHUNKED_MORE);
	assert_true(c.left == UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad), cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_left)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
