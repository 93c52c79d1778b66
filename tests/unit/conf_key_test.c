/* conf_key: what the sample configuration and the manual say of a key is what
 * the table of keys says. */
#include "conf_files.h"

#include "../../src/conf/parse.h"
#include "../../src/conf/units.h"
#include "conf/show.h"
#include "man_fixture.h"

/* Whether a text has these words, not as a part of longer ones. */
static bool
has_words(const char *text, const char *words)
{
	const size_t len = strlen(words);
	const char *at;

	for (at = text; (at = strstr(at, words)) != NULL; at++)
		if ((at == text || strchr(" (", at[-1]) != NULL) &&
		    !isalnum((unsigned char)at[len]) && at[len] != '-')
			return true;
	return false;
}

/* Sizes and times are written as they are read. */
static void
test_units(void **state)
{
	static const struct {
		uint64_t value;
		const char *size, *time;
	} cases[] = {{0, "0", "0"}, {1, "1", "1ms"}, {1000, "1000", "1s"},
	    {1023, "1023", "1023ms"}, {1024, "1K", "1024ms"},
	    {60000, "60000", "60s"}, {90000, "90000", "90s"},
	    {120000, "120000", "2m"}, {3600000, "3600000", "1h"},
	    {5 * G, "5G", "5368709120ms"},
	    {2048 * G, "2048G", "2199023255552ms"},
	    {UINT64_MAX, "18446744073709551615", "18446744073709551615ms"}};
	char text[UNITS_TEXT];
	uint64_t value;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		value = cases[i].value;
		assert_string_equal(units_size(value, text), cases[i].size);
		assert_int_equal(conf_parse_size(text, &value), 0);
		assert_true(value == cases[i].value);
		if (strcmp(units_time(value, text), cases[i].time) != 0 &&
		    i < 9)
			fail_msg("%s is not %s", text, cases[i].time);
		assert_int_equal(conf_parse_time(text, &value), 0);
		assert_true(value == cases[i].value);
	}
}

/* Each row makes sense by itself. */
static void
test_rows(void **state)
{
	struct conf *c = conf_new();
	const struct conf_key *key;

	assert_non_null(c);
	for (key = conf_keys; key->name != NULL; key++) {
		print_message("%s\n", key->name);
		assert_true(key->words[0] >= 'a' && key->words[0] <= 'z');
		assert_null(strchr(key->words, '.'));
		if (key->kind == CONF_KIND_INSECURE)
			assert_null(key->usual);
		else if (conf_key_is_number(key)) {
			assert_non_null(key->usual);
			assert_true(key->min < key->max);
			assert_true(conf_key_allows(key,
			    conf_number_load(
				(char *)c + key->offset, key->size)));
		}
		/* What cannot change in a running worker, nor by other
		 * processes, needs a restart. */
		if (strcmp(key->name, "workers") != 0)
			assert_int_equal(key->reloads,
			    conf_key_is_live(key) || conf_key_is_tls(key));
	}
	conf_free(c);
}

/* Checks that the words of a key's value are those of a text. */
static void
words_check(const struct conf *c, int number, const char *wanted)
{
	char copy[512], *rest = copy, *word, text[CONF_WORD_TEXT];
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", wanted);
	while ((word = strsep(&rest, " ")) != NULL) {
		assert_true(conf_show_word(c, &c->live, number, n++, text));
		assert_string_equal(text, word);
	}
	assert_false(conf_show_word(c, &c->live, number, n, text));
}

/* A key that is set nowhere has its default, written as it would be in a file.
 */
static void
test_show_defaults(void **state)
{
	struct conf *c = conf_new();
	struct conf_shown key;
	char text[CONF_WORD_TEXT];
	int n = 0;

	for (; conf_show_key(c, n, &key); n++) {
		print_message("%s\n", key.name);
		assert_string_equal(key.name, conf_keys[n].name);
		assert_null(key.where);
		if (key.usual != NULL)
			words_check(c, n, key.usual);
		else if (strcmp(key.name, "insecure") != 0)
			assert_false(conf_show_word(c, &c->live, n, 0, text));
	}
	assert_null(conf_keys[n].name);
	conf_free(c);
}

/* The number of a key. */
static int
key_number(const char *name)
{
	int n = 0;

	while (strcmp(conf_keys[n].name, name) != 0)
		n++;
	return n;
}

/* What a file sets, and where. */
static void
test_show_set(void **state)
{
	static const struct {
		const char *key, *words;
		int line;
	} set[] = {{"listen", "[::1]:1 *:2", 1}, {"user", "u", 3},
	    {"log", "verbose", 4}, {"message-size", "1025", 5},
	    {"message-rate", "8/s burst 20", 0}, {"idle-timeout", "2m", 7},
	    {"limit-exempt", "192.0.2.7 10.0.0.0/8 fe80::/10 2001:db8::1 ::/0",
		8},
	    {"origin", "* https://a.example", 9}, {"insecure", "public", 10},
	    {"token-key", "set", 11}, {"token-issuer", "i", 12},
	    {"who", "none", 13}, {"channel", "a* b", 14}};
	struct conf *c = good("listen \"[::1]:1\"\nlisten *:2\nuser u\n"
			      "log verbose\nmessage-size 1025\n"
			      "message-rate 8/s burst 20\nidle-timeout 120s\n"
			      "limit-exempt 192.0.2.7 10.0.0.0/8 fe80::/10 "
			      "2001:db8::1 ::/0\n"
			      "origin * https://a.example\ninsecure public\n"
			      "token-key 0123456789abcdef0123456789abcdef\n"
			      "token-issuer i\nwho none\n"
			      "channel a* {\n}\nchannel b {\n}\n");
	struct conf_shown key;
	char where[300], text[CONF_WORD_TEXT];
	int n;

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		print_message("%s\n", set[i].key);
		n = key_number(set[i].key);
		assert_true(conf_show_key(c, n, &key));
		if (set[i].line == 0) {
			assert_true(conf_show_word(c, &c->live, n, 0, text));
			assert_string_equal(text, set[i].words);
			continue;
		}
		words_check(c, n, set[i].words);
		snprintf(
		    where, sizeof(where), "%s:%d", path("t.conf"), set[i].line);
		assert_string_equal(key.where, where);
	}
	conf_free(c);
}

/* An address is shown with the words behind it. */
static void
test_show_listen(void **state)
{
	struct conf *c = good("listen 127.0.0.1:1 plain echo\nlisten *:2\n");
	const int n = key_number("listen");
	char text[CONF_WORD_TEXT];

	assert_true(conf_show_word(c, &c->live, n, 0, text));
	assert_string_equal(text, "127.0.0.1:1 plain echo");
	assert_true(conf_show_word(c, &c->live, n, 1, text));
	assert_string_equal(text, "*:2");
	assert_false(conf_show_word(c, &c->live, n, 2, text));
	conf_free(c);
}

/* The paragraph of the sample that shows a key, from its first line on: those
 * before it begin with "# ". NULL: there is none, or more than one. */
static char *
sample_paragraph(char *sample, const struct conf_key *key)
{
	char line[64], *at, *from, *end;
	size_t n = (size_t)snprintf(line, sizeof(line), "\n#%s ", key->name);

	if ((at = strstr(sample, line)) == NULL || strstr(at + n, line) != NULL)
		return NULL;
	for (from = at; from > sample && strncmp(from, "\n\n", 2) != 0;)
		from--;
	end = strstr(at, "\n\n");
	return strndup(from, (size_t)(end - from));
}

/* etc/chatd.conf shows each key once, with its default, and says which a
 * reload applies. */
static void
test_sample(void **state)
{
	char *sample = man_read("etc/chatd.conf"), *paragraph, line[256];
	const struct conf_key *key;

	if (sample == NULL)
		skip();
	for (key = conf_keys; key->name != NULL; key++) {
		paragraph = sample_paragraph(sample, key);
		if (paragraph == NULL)
			fail_msg("%s is not there once", key->name);
		if (key->usual != NULL && !conf_key_is_list(key)) {
			snprintf(line, sizeof(line), "\n#%s %s\n", key->name,
			    key->usual);
			if (strstr(sample, line) == NULL)
				fail_msg("%s: the default is %s", key->name,
				    key->usual);
		}
		if ((strstr(paragraph, "(reload)") != NULL) != key->reloads)
			fail_msg("%s: whether a reload applies it", key->name);
		free(paragraph);
	}
	free(sample);
}

/* Whether the manual's item says what may be written. */
static bool
man_tells_range(const struct conf_key *key, const char *body)
{
	char range[CONF_RANGE_TEXT], *words = range, *off;

	if (!conf_key_is_number(key) || conf_key_words(key) != NULL)
		return true;
	conf_key_range(key, range);
	if ((off = strstr(range, ", or off")) != NULL)
		*off = '\0';
	if (strncmp(words, "from ", 5) == 0)
		words += 5;
	if (key->kind == CONF_KIND_RATE) {
		snprintf(range, sizeof(range), "%llu to %llu",
		    (unsigned long long)key->min, (unsigned long long)key->max);
		words = range;
	}
	return has_words(body, words);
}

/* Whether the manual's item tells the default: soon after the word, which may
 * stand there more than once. */
static bool
man_tells_default(const struct conf_key *key, const char *body)
{
	const size_t near = strlen(" is, ") + strlen(key->usual) + 1;
	char text[64];
	const char *at;

	for (at = body; (at = strstr(at, "efault")) != NULL; at++) {
		snprintf(text, sizeof(text), "%.*s", (int)near,
		    at + strlen("efault"));
		if (has_words(text, key->usual))
			return true;
	}
	return false;
}

/* Whether the manual's item tells each prefix of a list. */
static bool
man_tells_list(const struct conf_key *key, const char *body)
{
	char *copy = strdup(key->usual), *rest = copy, *word;
	bool good = true;

	while ((word = strsep(&rest, " ")) != NULL)
		good = good && has_words(body, word);
	free(copy);
	return good;
}

/* chatd.conf(5) has an item for each key, with its range, its default and
 * whether a reload applies it. */
static void
test_manual(void **state)
{
	char *page = man_read("man/chatd.conf.5"), *head, *body, it[64];
	const struct conf_key *key;
	bool good;

	if (page == NULL)
		skip();
	for (key = conf_keys; key->name != NULL; key++) {
		snprintf(it, sizeof(it), ".It Ic %s", key->name);
		if (!man_item(page, it, &head, &body))
			fail_msg("%s is missing", key->name);
		if ((strncmp(body, "reload ", 7) == 0) != key->reloads)
			fail_msg("%s: whether a reload applies it", key->name);
		if (!man_tells_range(key, body))
			fail_msg("%s: its range: %s", key->name, body);
		snprintf(it, sizeof(it), "%s off", key->name);
		if (has_words(head, it) != ((key->flags & CONF_KEY_OFF) != 0))
			fail_msg("%s: whether it can be off", key->name);
		good = key->usual == NULL ||
		    (conf_key_is_list(key) ? man_tells_list(key, body)
					   : man_tells_default(key, body));
		if (!good)
			fail_msg("%s: its default: %s", key->name, body);
		free(head);
		free(body);
	}
	free(page);
}

/* The manual's table of keys has no key that there is not. */
static void
test_manual_only(void **state)
{
	static const char *const rules[] = {"subscribe", "publish", "history",
	    "history-age", "recovery", "presence", "join-leave", "store",
	    "offline"};
	char *page = man_read("man/chatd.conf.5"), name[64];
	const char *at;
	bool known;

	if (page == NULL)
		skip();
	for (at = page; (at = strstr(at, "\n.It Ic ")) != NULL; at++) {
		assert_int_equal(sscanf(at, "\n.It Ic %63s", name), 1);
		known = false;
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
			known = known || strcmp(name, rules[i]) == 0;
		for (const struct conf_key *key = conf_keys; key->name != NULL;
		     key++)
			known = known || strcmp(name, key->name) == 0;
		if (!known)
			fail_msg("there is no key %s", name);
	}
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_units),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_show_defaults),
	    cmocka_unit_test(test_show_set),
	    cmocka_unit_test(test_show_listen),
	    cmocka_unit_test(test_sample),
	    cmocka_unit_test(test_manual),
	    cmocka_unit_test(test_manual_only),
	};

	return cmocka_run_group_tests_name("conf_key", tests, begin, end);
}
