/* name: who may be called what, and that a name in a line is taken for nothing
 * else: what is shown is taken back, whatever it is. */
#include "hub_fixture.h"

#include "../../src/door/plain/plain.h"
#include "base/utf8.h"
#include "codec/name.h"

/* A name that a client may choose, or (why) not. */
struct name_case {
	const char *name, *why;
};

static void
test_unproved(void **state)
{
	static const char unseen[] = "not seen", form[] = "normal form";
	static const struct name_case cases[] = {{"alice", NULL}, {"a b", NULL},
	    {"[ops] boss", NULL}, {"a,b", NULL}, {"a\\b", NULL},
	    {"\u00e4rger", NULL}, {"\u03ba\u03cc\u03c3\u03bc\u03b5", NULL},
	    {"\u6f22\u5b57", NULL}, {"\U0001f600", NULL},
	    {"a\u0306\u0323", form}, {"a\u0323\u0306", form},
	    {"\u1eb7", NULL}, /* those two, composed */
	    {"a\u0308", form}, {"\u212b", form}, {"\u1100\u1161", form},
	    {"\u0958", form}, /* is never composed */
	    {"q\u0323\u0307", NULL}, {"q\u0307\u0323", form},
	    /* format, private use, unassigned, surrogates, no characters */
	    {"victim\u200b", unseen}, {"\u202ebob", unseen},
	    {"bo\u00adb", unseen},
	    {"\ufeff"
	     "bob",
		unseen},
	    {"bob\u2060", unseen}, {"\u0600", unseen}, {"\U000e0041x", unseen},
	    {"\ue000", unseen}, {"\U000f0000", unseen}, {"\u0378", unseen},
	    {"\uffff", unseen}, {"\U0010ffff", unseen},
	    {"a\xed\xa0\x80", "UTF-8"}, {"a\xff", "UTF-8"},
	    {"a\x01", "control"}, {"a\nb", "control"}, {"a\x7f", "control"},
	    {"a\xc2\x85", "control"}, {"a\"b", "quote"},
	    /* spaces, and what is as good as one */
	    {"a\u00a0b", unseen}, {"a\u3000b", unseen}, {"a\u2003b", unseen},
	    {"a\u2028b", unseen}, {"a\u2029b", unseen}, {"\u3164", unseen},
	    {"a\u034f", unseen}, {"a\u115f", unseen}, {"\u180e", unseen},
	    {"\u2800", unseen}, {"a\u2800b", unseen}, {"\u2801", NULL},
	    /* joiners: RFC 5892 A.1 and A.2 */
	    {"\u0915\u094d\u200d\u0937", NULL},
	    {"\u0915\u094d\u200c\u0937", NULL}, {"\u0915\u200d\u0937", unseen},
	    {"\u0915\u200c\u0937", unseen},
	    {"\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", NULL},
	    {"\u0628\u064e\u200c\u064e\u06cc", NULL},
	    {"\u0627\u200c\u06cc", unseen}, /* alef joins nothing after it */
	    {"\u0647\u200c", unseen}, {"\u200c\u0627", unseen},
	    {"\u0647\u200d\u0627", unseen}, {"a\u200cb", unseen},
	    {"a\u200db", unseen}, {"\u200d", unseen},
	    {"\u094d\u200d\u200d", unseen},
	    /* emoji */
	    {"\U0001f469\u200d\U0001f4bb", NULL},
	    {"\U0001f469\U0001f3fd\u200d\U0001f4bb", NULL},
	    {"\u2764\ufe0f\u200d\U0001f525", NULL}, {"\u2764\ufe0f", NULL},
	    {"1\ufe0f\u20e3", NULL}, {"1\ufe0f", unseen}, {"a\ufe0f", unseen},
	    {"\ufe0f", unseen}, {"\u2764\ufe0f\ufe0f", unseen},
	    {"\U0001f469\u200d", unseen},
	    {"\U0001f469\u200d"
	     "a",
		unseen},
	    {"\U0001f469\u200d\u200d\U0001f4bb", unseen},
	    {"\U0001f1e9\U0001f1ea", NULL},
	    /* forms of ideographs and Mongolian letters */
	    {"\u845b\U000e0100", NULL}, {"a\U000e0100", unseen},
	    {"\u1820\u180b", NULL}, {"\u180b", unseen},
	    /* what it begins and ends with */
	    {"", "missing"}, {" a", "space"}, {"a ", "space"}, {"#a", "begins"},
	    {"@a", "begins"}, {"/a", "begins"}, {"*a", "begins"},
	    {"\u0301", "begins"}, {"\u0301a", "begins"}, {"\u20e3", "begins"},
	    {"\u093e", "begins"}, {"\u0915\u093e", NULL}};
	char longest[66];
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		why = name_check_unproved(cases[i].name, strlen(cases[i].name));
		if ((why == NULL) != (cases[i].why == NULL) ||
		    (why != NULL && strstr(why, cases[i].why) == NULL))
			fail_msg("%zu, %s: %s", i, cases[i].name,
			    why != NULL ? why : "good");
	}
	memset(longest, 'x', sizeof(longest));
	assert_null(name_check_unproved(longest, 64));
	assert_non_null(name_check_unproved(longest, 65));
	assert_non_null(name_check_unproved("a\0b", 3));
	assert_string_equal(name_check_unproved("a\u202e", 4),
	    "user has U+202E, which is not seen, is no character yet or is an "
	    "unusual space");
}

static void
test_signed(void **state)
{
	static const char *const good[] = {"alice", "@bob:example.org",
	    "/users/1", "*server*", "[ops] boss", " a ", "a\"b", "\u202ebob",
	    "a\u0308", "", "victim\u200b", "a#", "\ue000", "\u2028"};
	static const char *const bad[] = {
	    "#x", "a\nb", "\x1b[31m", "\x7f", "\xc2\x85", "a\xff"};
	char longest[256];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_null(name_check_signed(good[i], strlen(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (name_check_signed(bad[i], strlen(bad[i])) == NULL)
			fail_msg("%s", bad[i]);
	memset(longest, 'x', sizeof(longest));
	assert_null(name_check_signed(longest, 255));
	assert_non_null(name_check_signed(longest, 256));
	assert_non_null(name_check_signed("a\0b", 3));
}

/* What a name looks like. */
static void
assert_shown(const char *name, const char *line, const char *json)
{
	char out[NAME_SHOWN_MAX];
	size_t n = name_show(name, strlen(name), out);

	if (n != strlen(line) || memcmp(out, line, n) != 0)
		fail_msg("%s: %.*s", name, (int)n, out);
	n = name_show_json(name, strlen(name), out);
	if (n != strlen(json) || memcmp(out, json, n) != 0)
		fail_msg("%s: %.*s", name, (int)n, out);
}

static void
test_show(void **state)
{
	assert_shown("alice", "alice", "\"alice\"");
	assert_shown("\u00e4rger", "\u00e4rger", "\"\u00e4rger\"");
	assert_shown("a\\b", "a\\b", "\"a\\\\b\"");
	assert_shown("a[b]*", "a[b]*", "\"a[b]*\"");
	assert_shown("[ops] boss", "\"[ops] boss\"", "\"[ops] boss\"");
	assert_shown("[ops]", "\"[ops]\"", "\"[ops]\"");
	assert_shown("*server*", "\"*server*\"", "\"*server*\"");
	assert_shown("a,b", "\"a,b\"", "\"a,b\"");
	assert_shown("a \"b\"\\", "\"a \\\"b\\\"\\\\\"", "\"a \\\"b\\\"\\\\\"");
	assert_shown("\u202ebob", "\"\\u{202e}bob\"", "\"\\u202ebob\"");
	assert_shown("a\u00a0b", "\"a\\u{a0}b\"", "\"a\\u00a0b\"");
	assert_shown("a\nb", "\"a\\u{a}b\"", "\"a\\u000ab\"");
	assert_shown("\U000e0041", "\"\\u{e0041}\"", "\"\\udb40\\udc41\"");
	assert_shown("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb",
	    "\"\U0001f469\u200d\U0001f4bb\"");
	assert_shown("", "\"\"", "\"\"");
	assert_shown("a\xff", "\"a\ufffd\"", "\"a\ufffd\"");
}

/* A character that matters to somebody, or any. */
static uint32_t
random_code(void)
{
	static const uint32_t odd[] = {' ', ',', '"', '\\', '[', ']', '*', '{',
	    '}', 'u', '2', '\n', '\r', 0, 0x85, 0xa0, 0x200b, 0x200c, 0x200d,
	    0x202e, 0x2028, 0x1f469, 0x1f4bb, 0xfe0f, 0x94d, 0x915, 0x301,
	    0xe0001, 0x10ffff, ':', '/', '#'};
	uint32_t code;

	switch (fixture_random(4)) {
	case 0:
		return 'a' + fixture_random(26);
	case 1:
		do
			code = fixture_random(0x110000);
		while (code >= 0xd800 && code <= 0xdfff);
		return code;
	default:
		return odd[fixture_random(sizeof(odd) / sizeof(*odd))];
	}
}

/* A random name of 1 to `max` bytes. */
static size_t
random_name(char *out, size_t max)
{
	size_t n = 0, want = 1 + fixture_random((uint32_t)max);
	char piece[4];
	size_t k;

	while (n < want) {
		k = utf8_encode(random_code(), piece);
		if (n + k > max)
			break;
		memcpy(out + n, piece, k);
		n += k;
	}
	if (n == 0)
		out[n++] = 'x';
	return n;
}

/* Whether a span has one of these bytes. */
static bool
has(const char *p, size_t len, const char *bytes)
{
	for (; len > 0; p++, len--)
		if (*p != '\0' && strchr(bytes, *p) != NULL)
			return true;
	return false;
}

/* Any name is one word of a line; the rest of the line is as it was. */
static void
test_shown_is_taken(void **state)
{
	char name[256], line[2 * NAME_SHOWN_MAX], word[NAME_WORD_MAX];
	const char *rest;
	size_t n, shown, len, word_len;
	uint32_t i;

	for (i = 0; i < fixture_rounds(10000); i++) {
		n = random_name(name, sizeof(name));
		shown = name_show(name, n, line);
		assert_true(shown <= NAME_SHOWN_MAX);
		assert_true(utf8_valid(line, shown));
		assert_false(has(line, shown, "\n\r\f\v\x1b"));
		assert_false(line[0] == '[' || line[0] == '*');
		if (line[0] != '"')
			assert_false(has(line, shown, " ,\""));
		memcpy(line + shown, " says: \" x", 10);
		rest = line;
		len = shown + 10;
		assert_true(name_take(&rest, &len, word, &word_len));
		assert_int_equal(word_len, n);
		assert_memory_equal(word, name, n);
		assert_int_equal(len, 9);
		assert_memory_equal(rest, "says: \" x", 9);
	}
}

/* What is no word, and what a backslash is before other characters. */
static void
test_take(void **state)
{
	static const struct {
		const char *text, *word, *rest; /* word NULL: none */
	} cases[] = {{"", NULL, ""}, {" a", NULL, ""}, {"\"\"", NULL, ""},
	    {"\"a", NULL, ""}, {"\"a\"b", NULL, ""}, {"\"a\\\"", NULL, ""},
	    {"a", "a", ""}, {"a b c", "a", "b c"}, {"a  b", "a", " b"},
	    {"\"a b\" c", "a b", "c"}, {"\"a b\"", "a b", ""},
	    {"a\"b c", "a\"b", "c"}, {"a\\u{41} c", "a\\u{41}", "c"},
	    {"\"a\\b\"", "a\\b", ""}, {"\"\\u{41}\"", "A", ""},
	    {"\"\\u{1f600}\"", "\U0001f600", ""}, {"\"\\u{}\"", "\\u{}", ""},
	    {"\"\\u{41\"", "\\u{41", ""}, {"\"\\u{d800}\"", "\\u{d800}", ""},
	    {"\"\\u{110000}\"", "\\u{110000}", ""},
	    {"\"\\u{0000041}\"", "\\u{0000041}", ""},
	    {"\"\\u{4G}\"", "\\u{4G}", ""}};
	char word[NAME_WORD_MAX], text[400];
	const char *p;
	size_t i, len, n;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		p = cases[i].text;
		len = strlen(p);
		if (name_take(&p, &len, word, &n) != (cases[i].word != NULL))
			fail_msg("%s", cases[i].text);
		if (cases[i].word == NULL) {
			assert_ptr_equal(p, cases[i].text);
			continue;
		}
		assert_int_equal(n, strlen(cases[i].word));
		assert_memory_equal(word, cases[i].word, n);
		assert_int_equal(len, strlen(cases[i].rest));
		assert_memory_equal(p, cases[i].rest, len);
	}
	memset(text, 'x', sizeof(text));
	text[300] = ' ';
	p = text;
	len = sizeof(text);
	assert_true(name_take(&p, &len, word, &n));
	assert_int_equal(n, NAME_WORD_MAX); /* more than any name has */
	assert_int_equal(len, 99);
}

/* Where the line ends that a text begins with. */
static size_t
line_end(const char *text, size_t len)
{
	static const char *const breaks[] = {"\r\n", "\n", "\v", "\f", "\r",
	    "\x1c", "\x1d", "\x1e", "\xc2\x85", "\u2028", "\u2029"};
	size_t at, k, n;

	for (at = 0; at < len; at++)
		for (k = 0; k < sizeof(breaks) / sizeof(*breaks); k++) {
			n = strlen(breaks[k]);
			if (n <= len - at &&
			    memcmp(text + at, breaks[k], n) == 0)
				return at + n;
		}
	return len;
}

/* Takes the indents out again, which each line but the first must have. */
static size_t
unindent(const char *text, size_t len, char *out)
{
	size_t at = 0, n, used = 0;

	while (at < len) {
		if (at > 0) {
			assert_true(len - at >= 4);
			assert_memory_equal(text + at, "    ", 4);
			at += 4;
		}
		n = line_end(text + at, len - at);
		memcpy(out + used, text + at, n);
		used += n;
		at += n;
	}
	return used;
}

/* Any text that becomes part of lines is taken back. */
static void
test_texts_are_indented(void **state)
{
	static char written[8192], back[8192];
	struct json_writer w;
	char text[256];
	size_t n;
	uint32_t i;

	for (i = 0; i < fixture_rounds(5000); i++) {
		n = random_name(text, sizeof(text));
		json_writer_init(&w, written, sizeof(written));
		plain_put_text(&w, text, n);
		assert_false(json_writer_failed(&w));
		/* a break at the end is followed by the indent of nothing */
		assert_int_equal(unindent(w.buf, w.len, back), n);
		assert_memory_equal(back, text, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unproved),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_show),
	    cmocka_unit_test(test_shown_is_taken),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_texts_are_indented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
