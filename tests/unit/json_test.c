/*
 * json: what is accepted and what is read from it. See json_write_test.c for
 * what is written.
 */
#include "json_texts.h"

/* A string's text. */
static const char *
text_of(struct json_value v)
{
	static char out[256];
	ssize_t len = json_string(v, out, sizeof(out) - 1);

	assert_true(len >= 0 && (size_t)len <= v.len - 2);
	out[len] = '\0';
	return out;
}

/* A value's bytes are these. */
static void
assert_span(struct json_value v, const char *text)
{
	assert_int_equal(v.len, strlen(text));
	assert_memory_equal(v.p, text, v.len);
}

/* Texts that JSON.parse accepts. */
static void
test_accepted(void **state)
{
	static const char *const good[] = {"{}", "[]", "0", "-0", "1", "-1",
	    "10", "0.5", "-0.0", "1e5", "1E5", "1e+5", "1e-5", "0e0", "0.0e00",
	    "1e999", "-1e-999", "123456789012345678901234567890", "true",
	    "false", "null", "\"\"", "\"a\"", " 1 ", "\t\r\n 1\t\r\n ", "[1,2]",
	    "[ 1 , 2 ]", "[[],{}]", "{\"a\":1}",
	    " { \"a\" : 1 , \"b\" : [ ] } ", "{\"\":\"\"}", "{\"a\":1,\"a\":2}",
	    "{\"a\":{\"b\":{\"c\":[[{}]]}}}",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABCD\\uabcd\"",
	    "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\x7f\"",
	    "\"\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9\"",
	    "\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"", "\"/\""};
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!accepts(good[i], strlen(good[i])))
			fail_msg("refused: %s", good[i]);
}

/* Texts that it refuses, and bytes that are not UTF-8. */
static void
test_refused(void **state)
{
	static const char *const bad[] = {"", " ", "{", "}", "[", "]", "[}",
	    "{]", ",", ":", "[,]", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]",
	    "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,\"a\":1}",
	    "{\"a\" 1}", "{\"a\",1}", "{\"a\"::1}", "{a:1}", "{'a':1}", "{1:1}",
	    "{\"a\":1 \"b\":2}", "{\"a\":1}}", "[]]", "{}{}", "{} x", "1 2",
	    "00", "01", "-", "-a", "-01", "+1", "1.", ".5", "1.e5", "1e", "1e+",
	    "1e-", "1ee5", "1.5.5", "0x10", "1a", "--1", "Infinity",
	    "-Infinity", "NaN", "tru", "truee", "True", "TRUE", "fals", "nul",
	    "nulL", "undefined", "\"", "\"a", "'a'", "\"\\\"", "\"\\x\"",
	    "\"\\u\"", "\"\\u12\"", "\"\\u123\"", "\"\\u123g\"", "\"\\u 123\"",
	    "\"\\U0041\"", "\"\\\n\"", "\"\\0\"", "\"\n\"", "\"\t\"",
	    "\"\x1f\"", "\"a\"b\"", "//\n1", "/**/1", "1/**/", "\xef\xbb\xbf{}",
	    "\v1", "\f1",
	    "\xc2\xa0"
	    "1",
	    "\xe2\x80\xa8"
	    "1",
	    "\"\xff\"", "\"\xc0\x80\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
	    "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\"\x80\"", "\"\xc3",
	    "\xc3\xa9", "{\"\xff\":1}", "[\"\\", "[\"\\u00", "{\"a", "{\"a\"",
	    "{\"a\":", "{\"a\":1", "{\"a\":1,", "[1", "[1,", "[\"a\""};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (accepts(bad[i], strlen(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	assert_false(accepts("1\0", 2));
	assert_false(accepts("\0", 1));
	assert_false(accepts("\"a\0b\"", 5));
	assert_false(accepts("[1,\0]", 5));
}

/* Each byte at each place of a string is judged alike, whether it is looked
 * at with seven others or alone. */
static void
test_bytes(void **state)
{
	char text[28];
	bool plain;
	int c;
	size_t at, len;

	for (len = 3; len < sizeof(text); len++)
		for (at = 1; at < len - 1; at++)
			for (c = 0; c < 256; c++) {
				memset(text, 'x', len);
				text[0] = text[len - 1] = '"';
				text[at] = (char)c;
				plain = c >= 0x20 && c < 0x80 && c != '"' &&
				    c != '\\';
				/* \" at the end leaves it open, \x is none */
				assert_true(accepts(text, len) == plain);
			}
}

/* What is cut off anywhere is refused. */
static void
test_cut(void **state)
{
	static const char text[] =
	    "{\"id\":12,\"publish\":{\"channel\":\"l\\u00f6bby\",\"data\":"
	    "[1.5e3,true,null,\"\xe2\x82\xac\\n\",{}]}}";
	size_t len;

	for (len = 0; len < sizeof(text) - 1; len++)
		assert_false(accepts(text, len));
	assert_true(accepts(text, sizeof(text) - 1));
}

/* So many levels of a container, with its inner value. */
static bool
accepts_depth(int depth, const char *open, const char *inner, const char *close)
{
	char text[1024] = "";
	int i;

	for (i = 0; i < depth; i++)
		strcat(text, open);
	strcat(text, inner);
	for (i = 0; i < depth; i++)
		strcat(text, close);
	return accepts(text, strlen(text));
}

/* The depth is bounded, the kinds of all levels are known. */
static void
test_depth(void **state)
{
	assert_true(accepts_depth(JSON_DEPTH_MAX, "[", "", "]"));
	assert_true(accepts_depth(JSON_DEPTH_MAX, "[", "1", "]"));
	assert_false(accepts_depth(JSON_DEPTH_MAX + 1, "[", "", "]"));
	assert_true(accepts_depth(JSON_DEPTH_MAX, "{\"a\":", "1", "}"));
	assert_false(accepts_depth(JSON_DEPTH_MAX + 1, "{\"a\":", "1", "}"));
	assert_true(accepts_depth(JSON_DEPTH_MAX / 2, "[{\"a\":", "1", "}]"));
	assert_false(accepts_depth(JSON_DEPTH_MAX / 2, "[{\"a\":", "1", "]}"));
	assert_false(accepts_depth(JSON_DEPTH_MAX / 2, "[{\"a\":", "[]", "}]"));
	/* levels that were closed do not count */
	assert_true(accepts_depth(150, "[],", "[]", "") == false);
	assert_true(accepts_depth(1, "[[],[],[],", "[[]]", ",[]]"));
}

/* Types, and the span without white space around it. */
static void
test_value(void **state)
{
	assert_int_equal(value(" {\"a\": 1} ").type, JSON_OBJECT);
	assert_span(value(" {\"a\": 1} \n"), "{\"a\": 1}");
	assert_int_equal(value("[]").type, JSON_ARRAY);
	assert_int_equal(value("\"x\"").type, JSON_STRING);
	assert_span(value("\t\"x\""), "\"x\"");
	assert_int_equal(value("-1").type, JSON_NUMBER);
	assert_span(value(" -1.5e7 "), "-1.5e7");
	assert_int_equal(value("true").type, JSON_BOOL);
	assert_int_equal(value("false").type, JSON_BOOL);
	assert_int_equal(value("null").type, JSON_NULL);
	assert_true(json_absent(value("null")));
	assert_true(json_absent((struct json_value){0}));
	assert_false(json_absent(value("false")));
}

/* A command is read as a door reads it. */
static void
test_members(void **state)
{
	static const char *const names[] = {
	    "publish", "id", "connect", "channel"};
	static const char *const inner[] = {"data", "channel"};
	struct json_value top[4], in[2], text, v;
	uint32_t id;

	v = value("{\"id\":12,\"other\":[{\"id\":1},\"}\",\"\\\"\"], "
		  "\"publish\" : {\"channel\":\"lobby\",\"data\":"
		  "{\"text\":\"hello there\"}}}");
	json_members(v, names, 4, top);
	assert_int_equal(top[0].type, JSON_OBJECT);
	assert_true(json_uint32(top[1], &id));
	assert_int_equal(id, 12);
	assert_int_equal(top[2].type, JSON_NONE);
	assert_null(top[2].p);
	assert_int_equal(top[3].type, JSON_NONE); /* not in the inner ones */
	json_members(top[0], inner, 2, in);
	assert_span(in[0], "{\"text\":\"hello there\"}");
	assert_string_equal(text_of(in[1]), "lobby");
	assert_true(json_member(in[0], "text", &text));
	assert_string_equal(text_of(text), "hello there");
	assert_false(json_member(in[0], "tex", &text));
	assert_int_equal(text.type, JSON_NONE);
	assert_false(json_member(in[0], "texts", &text));
	assert_false(json_member(in[1], "text", &text));  /* a string */
	assert_false(json_member(top[2], "text", &text)); /* nothing */
	assert_false(json_member(value("[\"text\",1]"), "text", &text));
}

/* Exact names, escapes in them, the last of equal ones. */
static void
test_names(void **state)
{
	struct json_value v, o;

	o = value("{\"a\":1,\"A\":2,\"\\u0062\":3,\"\":4,\"a\":5,\"c\\n\":6,"
		  "\"\\ud83d\\ude00\":7,\"a\\u0000\":8}");
	assert_true(json_member(o, "a", &v));
	assert_span(v, "5");
	assert_true(json_member(o, "A", &v));
	assert_span(v, "2");
	assert_true(json_member(o, "b", &v));
	assert_span(v, "3");
	assert_true(json_member(o, "", &v));
	assert_span(v, "4");
	assert_true(json_member(o, "c\n", &v));
	assert_span(v, "6");
	assert_true(json_member(o, "\xf0\x9f\x98\x80", &v));
	assert_span(v, "7");
	assert_false(json_member(o, "\\u0062", &v));
	assert_false(json_member(o, "c\\n", &v));
	assert_true(json_member(
	    value("{\"\\u0061\":1,\"a\":2,\"\\u0061\":null}"), "a", &v));
	assert_int_equal(v.type, JSON_NULL);
}

/* Walking over members and elements. */
static void
test_iter(void **state)
{
	struct json_value o, name, v;
	struct json_iter iter;
	char seen[256] = "";

	o = value("{ \"a\" : [1, \"]\"] , \"b\":{ \"}\" : 2 } ,\"a\": -3 }");
	iter = json_iter(o, JSON_OBJECT);
	while (json_next_member(&iter, &name, &v)) {
		strncat(seen, name.p, name.len);
		strcat(seen, "=");
		strncat(seen, v.p, v.len);
		strcat(seen, ";");
	}
	assert_string_equal(
	    seen, "\"a\"=[1, \"]\"];\"b\"={ \"}\" : 2 };\"a\"=-3;");
	assert_false(json_next_member(&iter, &name, &v));

	seen[0] = '\0';
	iter =
	    json_iter(value("[ 1 , [2,3],{} ,\"a,b\",true, null]"), JSON_ARRAY);
	while (json_next_element(&iter, &v)) {
		strncat(seen, v.p, v.len);
		strcat(seen, ";");
	}
	assert_string_equal(seen, "1;[2,3];{};\"a,b\";true;null;");

	iter = json_iter(value("[ ]"), JSON_ARRAY);
	assert_false(json_next_element(&iter, &v));
	iter = json_iter(value("{}"), JSON_ARRAY);
	assert_false(json_next_element(&iter, &v));
	iter = json_iter((struct json_value){0}, JSON_OBJECT);
	assert_false(json_next_member(&iter, &name, &v));
}

/* What a string decodes to. */
static void
test_string(void **state)
{
	static const char *const cases[][2] = {{"\"\"", ""}, {"\"abc\"", "abc"},
	    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
	    {"\"\\u0041\\u00e9\\u20AC\\uffff\"",
		"A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"},
	    {"\"x\\ud83d\\ude00y\"", "x\xf0\x9f\x98\x80y"},
	    {"\"\\uD800\\uDC00\\udbff\\udfff\"",
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
	    {"\"\\ud83d\"", "\xef\xbf\xbd"}, {"\"\\ude00\"", "\xef\xbf\xbd"},
	    {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
	    {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
	    {"\"\\ud83d\\u0041\"",
		"\xef\xbf\xbd"
		"A"},
	    {"\"\\ude00\\ude00\"", "\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
	    {"\"a\\u2028b\"",
		"a\xe2\x80\xa8"
		"b"}};
	struct json_value v;
	char out[8], *copy;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		v = value(cases[i][0]);
		assert_string_equal(text_of(v), cases[i][1]);
		assert_true(json_string_equals(v, cases[i][1]));
	}
	assert_int_equal(json_string(value("\"a\\u0000b\""), out, 8), 3);
	assert_memory_equal(out, "a\0b", 3);
	assert_false(json_string_equals(value("\"a\\u0000b\""), "a"));
	assert_false(json_string_equals(value("\"a\""), "a\\"));
	assert_false(json_string_equals(value("\"abc\""), "ab"));
	assert_false(json_string_equals(value("\"ab\""), "abc"));
	assert_false(json_string_equals(value("\"a\\nb\""), "a\\nb"));
	assert_false(json_string_equals(value("\"a\\n\""), "a\nb"));
	assert_false(json_string_equals(value("1"), "1"));
	assert_false(json_string_equals((struct json_value){0}, ""));

	/* bounds */
	assert_int_equal(json_string(value("\"abc\""), out, 3), 3);
	assert_int_equal(json_string(value("\"abc\""), out, 2), -1);
	assert_int_equal(json_string(value("\"ab\\u20ac\""), out, 5), 5);
	assert_int_equal(json_string(value("\"ab\\u20ac\""), out, 4), -1);
	assert_int_equal(json_string(value("\"\""), out, 0), 0);
	assert_int_equal(json_string(value("12"), out, 8), -1);
	assert_int_equal(json_string((struct json_value){0}, out, 8), -1);

	/* in place */
	copy = exact("\"\\u0041\\ud83d\\ude00b\\nc\"", 24);
	assert_true(json_validate(copy, 24, &v));
	assert_int_equal(json_string(v, copy, 22), 8);
	assert_memory_equal(copy,
	    "A\xf0\x9f\x98\x80"
	    "b\nc",
	    8);
}

/* Integers as Go's decoder takes them. */
static void
test_integers(void **state)
{
	static const char *const none[] = {"1.0", "1e3", "1E0", "-1.5", "\"1\"",
	    "true", "null", "[1]", "9223372036854775808",
	    "-9223372036854775809", "99999999999999999999"};
	uint64_t u64 = 7;
	uint32_t u32 = 7;
	int64_t i64 = 7;
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(json_int64(value(none[i]), &i64));
	assert_int_equal(i64, 7);
	assert_true(json_int64(value("9223372036854775807"), &i64));
	assert_true(i64 == INT64_MAX);
	assert_true(json_int64(value("-9223372036854775808"), &i64));
	assert_true(i64 == INT64_MIN);
	assert_true(json_int64(value("-0"), &i64));
	assert_true(i64 == 0);

	assert_false(json_uint32(value("4294967296"), &u32));
	assert_false(json_uint32(value("-1"), &u32));
	assert_false(json_uint32(value("-0"), &u32));
	assert_false(json_uint32(value("1.0"), &u32));
	assert_int_equal(u32, 7);
	assert_true(json_uint32(value("4294967295"), &u32));
	assert_true(u32 == UINT32_MAX);
	assert_true(json_uint32(value("0"), &u32));
	assert_int_equal(u32, 0);

	assert_false(json_uint64(value("18446744073709551616"), &u64));
	assert_false(json_uint64(value("184467440737095516150"), &u64));
	assert_false(json_uint64((struct json_value){0}, &u64));
	assert_int_equal(u64, 7);
	assert_true(json_uint64(value("18446744073709551615"), &u64));
	assert_true(u64 == UINT64_MAX);
}

/* Doubles and booleans. */
static void
test_others(void **state)
{
	char text[80];
	double d = 7;
	bool b = true;

	assert_true(json_double(value("1300819380.25"), &d));
	assert_true(d == 1300819380.25);
	assert_true(json_double(value("-1e3"), &d));
	assert_true(d == -1000);
	assert_false(json_double(value("1e999"), &d));
	assert_false(json_double(value("\"1\""), &d));
	memset(text, '1', sizeof(text));
	text[64] = '\0';
	assert_false(json_double(value(text), &d));
	assert_true(d == -1000);
	text[63] = '\0';
	assert_true(json_double(value(text), &d));

	assert_false(json_bool(value("null"), &b));
	assert_false(json_bool(value("1"), &b));
	assert_true(b);
	assert_true(json_bool(value("false"), &b));
	assert_false(b);
	assert_true(json_bool(value("true"), &b));
	assert_true(b);
}

/* Walks over everything in a value that may be none. */
static size_t
walk(struct json_value v, int depth)
{
	struct json_value name, inner;
	struct json_iter iter;
	char out[64];
	size_t n = 1;

	assert_true(json_string(v, out, sizeof(out)) <= (ssize_t)sizeof(out));
	if (depth == 0)
		return n;
	iter = json_iter(v, JSON_OBJECT);
	while (json_next_member(&iter, &name, &inner)) {
		json_string(name, out, sizeof(out));
		json_string_equals(name, "publish");
		n += walk(inner, depth - 1);
	}
	iter = json_iter(v, JSON_ARRAY);
	while (json_next_element(&iter, &inner))
		n += walk(inner, depth - 1);
	return n;
}

/* Bytes that change after they were validated lead nowhere else. */
static void
test_scribbled(void **state)
{
	static const char text[] = "{\"a\\n\":{\"b\":[1,\"\\u20ac\",true]},"
				   "\"cd\":\"\\ud83d\\ude00\",\"e\":12}";
	static const char bytes[] = "\"\\{}[],: u0\xff";
	size_t at, i, len = sizeof(text) - 1;
	struct json_value v;
	char *copy;

	/* an escape that is cut off where the memory ends */
	for (at = 1; at < 18; at++) {
		copy = exact("\"xxxxxxxxxxxxxxxxxx\"", 20);
		assert_true(json_validate(copy, 20, &v));
		memcpy(copy + at, "\\ud83d\\ude00", at < 8 ? 12 : 2);
		copy[19] = 'a';
		walk(v, 0);
		memcpy(copy + at, "\\\\", at < 8 ? 1 : 2);
		walk(v, 0);
	}
	for (at = 0; at < len; at++)
		for (i = 0; i < sizeof(bytes); i++) {
			copy = exact(text, len);
			assert_true(json_validate(copy, len, &v));
			memset(
			    copy + at, bytes[i], i % 2 || at + 5 > len ? 1 : 5);
			assert_true(walk(v, 10) < 100);
		}
}

/* What is no valid object has an outline if its brackets end. */
static void
test_outline(void **state)
{
	static const char *const good[][2] = {{"{}", "{}"}, {" {} x", "{}"},
	    {"{\"a\":\"b\nc\"}\n", "{\"a\":\"b\nc\"}"},
	    {"{\"a\":\"\\x}\"}", "{\"a\":\"\\x}\"}"},
	    {"{\"a\":[}}", "{\"a\":[}}"}, {"{a}}", "{a}"},
	    {"{\"\\\"}\"}{", "{\"\\\"}\"}"}};
	static const char *const bad[] = {"", " ", "x", "[]", "\"{}\"", "{",
	    "{\"}", "{\"a\":[}", "{\"\\\"}", "{\"\\"};
	static const char *const names[] = {"id", "publish"};
	char deep[5000], *p = deep;
	struct json_value v, m[2];
	uint32_t id;
	size_t k;

	for (k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
		assert_true(json_outline(good[k][0], strlen(good[k][0]), &v));
		assert_span(v, good[k][1]);
		assert_int_equal(v.type, JSON_OBJECT);
	}
	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_false(json_outline(bad[k], strlen(bad[k]), &v));
	p = stpcpy(p, "{\"publish\":{\"data\":");
	memset(p, '[', 2000);
	memset(p + 2000, ']', 2000);
	strcpy(p + 4000, "},\"id\":7}");
	assert_false(json_validate(deep, strlen(deep), &v));
	assert_true(json_outline(deep, strlen(deep), &v));
	json_members(v, names, 2, m);
	assert_true(json_uint32(m[0], &id) && id == 7);
	assert_int_equal(m[1].type, JSON_OBJECT);
}

/* Half of a pair of surrogates is no character. */
static void
test_whole(void **state)
{
	static const char *const whole[] = {"\"\"", "\"a\"",
	    "\"\\ud83d\\ude00\"", "\"\\ufffd\"", "\"\\\\ud800\"",
	    "\"\\ud7ff\\ue000\"", "\"\\ud83d\\ude00\\ud83d\\ude00\"",
	    "\"\\n\\\"\""};
	static const char *const cut[] = {"\"\\ud800\"", "\"\\uDFFF\"",
	    "\"\\ud800a\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"",
	    "\"\\ude00\\ud83d\"", "\"\\ud83d\\ude00\\ude00\"",
	    "\"\\ud83d\\u0041\"", "7", "null", "[]"};
	struct json_value v;
	size_t i;

	for (i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		assert_true(json_validate(
		    exact(whole[i], strlen(whole[i])), strlen(whole[i]), &v));
		if (!json_string_is_whole(v))
			fail_msg("%s", whole[i]);
	}
	for (i = 0; i < sizeof(cut) / sizeof(*cut); i++) {
		assert_true(json_validate(
		    exact(cut[i], strlen(cut[i])), strlen(cut[i]), &v));
		if (json_string_is_whole(v))
			fail_msg("%s", cut[i]);
	}
	assert_false(json_string_is_whole((struct json_value){0}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_value),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_iter),
	    cmocka_unit_test(test_string),
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_scribbled),
	    cmocka_unit_test(test_outline),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	exact_free();
	return failed;
}
