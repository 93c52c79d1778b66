/* json: what is written, and where it ends. */
#include "json_texts.h"

/* Writes a reply; the caller checks for failure. */
static void
write_reply(struct json_writer *w)
{
	json_open(w, '{');
	json_put_name(w, "id");
	json_put_uint(w, 12);
	json_put_name(w, "list");
	json_open(w, '[');
	json_put_int(w, INT64_MIN);
	json_put_string(w, "{", 1);
	json_put_string(w, "a\"\\\n\x01\x1f/\x7f\xe2\x82\xac", 11);
	json_put_raw(w, "{\"x\": 1}", 8);
	json_open(w, '{');
	json_close(w, '}');
	json_open(w, '[');
	json_close(w, ']');
	json_put_bool(w, true);
	json_put_bool(w, false);
	json_close(w, ']');
	json_put_name(w, "max");
	json_put_uint(w, UINT64_MAX);
	json_close(w, '}');
	json_put(w, "\n", 1);
	json_open(w, '{');
	json_close(w, '}');
}

static const char reply[] =
    "{\"id\":12,\"list\":[-9223372036854775808,\"{\","
    "\"a\\\"\\\\\\n\\u0001\\u001f/\x7f\xe2\x82\xac\",{\"x\": 1},{},[],true,"
    "false],\"max\":18446744073709551615}\n{}";

/* Commas come by themselves; the caller's buffer is never left, and what
 * does not fit is told. */
static void
test_writer(void **state)
{
	size_t cap, len = sizeof(reply) - 1;
	struct json_writer w;

	for (cap = 0; cap <= len + 1; cap++) {
		json_writer_init(&w, exact(reply, cap), cap);
		write_reply(&w);
		assert_true(w.len <= cap);
		assert_true(json_writer_failed(&w) == (cap < len));
		if (cap >= len) {
			assert_int_equal(w.len, len);
			assert_memory_equal(w.buf, reply, len);
		}
		json_writer_deinit(&w);
	}
}

/* A buffer that grows does so up to its limit; failure is sticky. */
static void
test_growing(void **state)
{
	size_t limit, i, len = sizeof(reply) - 1;
	struct json_writer w;

	for (limit = 1; limit <= len + 1; limit++) {
		json_writer_init_growing(&w, limit);
		write_reply(&w);
		assert_true(json_writer_failed(&w) == (limit < len));
		json_writer_deinit(&w);
	}
	json_writer_init_growing(&w, 10000);
	for (i = 0; i < 1000; i++)
		json_put(&w, "0123456789", 10);
	assert_false(json_writer_failed(&w));
	assert_int_equal(w.len, 10000);
	assert_memory_equal(w.buf + 9990, "0123456789", 10);
	json_put(&w, "0", 1);
	assert_true(json_writer_failed(&w));
	json_put(&w, "", 0);
	json_put_string(&w, "x", 1);
	assert_true(json_writer_failed(&w));
	assert_int_equal(w.len, 10000);
	json_writer_reset(&w);
	write_reply(&w);
	assert_false(json_writer_failed(&w));
	assert_memory_equal(w.buf, reply, len);
	json_writer_deinit(&w);
	assert_null(w.buf);
}

/* Each byte and pair of bytes comes back as it was, or as U+FFFD. */
static void
test_escape(void **state)
{
	char in[3], buf[64], out[64];
	struct json_writer w;
	struct json_value v;
	ssize_t len;
	int a, b;

	for (a = 0; a < 256; a++)
		for (b = 0; b < 256; b++) {
			in[0] = 'x';
			in[1] = (char)a;
			in[2] = (char)b;
			json_writer_init(&w, buf, sizeof(buf));
			json_put_string(&w, exact(in, 3), 3);
			assert_false(json_writer_failed(&w));
			assert_true(json_validate(buf, w.len, &v));
			len = json_string(v, out, sizeof(out));
			if ((a < 0x80 && b < 0x80) ||
			    (a >= 0xc2 && a <= 0xdf && b >= 0x80 &&
				b <= 0xbf)) {
				assert_int_equal(len, 3);
				assert_memory_equal(out, in, 3);
			} else {
				assert_non_null(memmem(
				    out, (size_t)len, "\xef\xbf\xbd", 3));
				assert_int_equal(
				    len, a < 0x80 || b < 0x80 ? 5 : 7);
			}
		}
}

/* Compact text of a value. */
static void
test_compact(void **state)
{
	static const char *const cases[][2] = {
	    {" { \"a b\" : [ 1 , \" \\\" , \" ,\n\t{ } ] }\r\n",
		"{\"a b\":[1,\" \\\" , \",{}]}"},
	    {"12", "12"}, {" \" x \" ", "\" x \""}, {"[\n]", "[]"},
	    {"[true,\tnull]", "[true,null]"}};
	struct json_writer w;
	char buf[64];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_writer_init(&w, buf, sizeof(buf));
		json_put_compact(&w, value(cases[i][0]));
		assert_int_equal(w.len, strlen(cases[i][1]));
		assert_memory_equal(buf, cases[i][1], w.len);
	}
	json_writer_init(&w, buf, sizeof(buf));
	json_open(&w, '[');
	json_put_compact(&w, value("[ 1 ]"));
	json_put_compact(&w, (struct json_value){0});
	json_close(&w, ']');
	assert_int_equal(w.len, 10);
	assert_memory_equal(buf, "[[1],null]", 10);
}

/* A line of the plain door as the others' data. */
static void
test_text(void **state)
{
	static const char *const cases[][2] = {{"", "{\"text\":\"\"}"},
	    {"hello there", "{\"text\":\"hello there\"}"},
	    {"\"\\\b\f\n\r\t\x01\x1b",
		"{\"text\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001b\"}"},
	    {"\xe2\x82\xac \xf0\x9f\x98\x80 </script>",
		"{\"text\":\"\xe2\x82\xac \xf0\x9f\x98\x80 </script>\"}"},
	    {"\xff", "{\"text\":\"\xef\xbf\xbd\"}"}};
	struct json_writer w;
	char buf[128];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_writer_init(&w, buf, sizeof(buf));
		json_open(&w, '{');
		json_put_name(&w, "text");
		json_put_string(&w, cases[i][0], strlen(cases[i][0]));
		json_close(&w, '}');
		assert_false(json_writer_failed(&w));
		assert_int_equal(w.len, strlen(cases[i][1]));
		assert_memory_equal(buf, cases[i][1], w.len);
		assert_true(accepts(buf, w.len));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_writer),
	    cmocka_unit_test(test_growing),
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_compact),
	    cmocka_unit_test(test_text),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	exact_free();
	return failed;
}
