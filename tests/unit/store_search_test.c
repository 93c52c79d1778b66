/* store_search: which words find what, and that the index has what the table
 * has, whatever was deleted and since when there is an index. */
#include "store_rows_fixture.h"

#include "../../src/store/search.h"
#include "../../src/store/search_text.h"

/* What of JSON is searched. */
static void
test_text(void **state)
{
	static const struct {
		const char *json, *text;
	} each[] = {{"{\"text\":\"hello\"}", "hello\n"}, {"\"a\"", "a\n"},
	    {"{}", ""}, {"42", ""}, {"\"\"", ""},
	    {"[\"a\\\"b\",{\"k\" : \"v\\\\\"}]", "a\"b\nv\\\n"},
	    {"{\"a\":\"\\u00e9\\n:\",\"b\":true}", "\xc3\xa9\n:\n"},
	    {"{\"name\":{\"name\":[[\"x\"]]}}", "x\n"}};
	struct publication p = {.format = FORMAT_JSON};
	char out[64];

	for (size_t k = 0; k < sizeof(each) / sizeof(each[0]); k++) {
		p.data = each[k].json;
		p.data_len = (uint32_t)strlen(p.data);
		memset(out, '#', sizeof(out));
		assert_int_equal(search_text(&p, out), strlen(each[k].text));
		assert_memory_equal(out, each[k].text, strlen(each[k].text));
		assert_int_equal(out[p.data_len], '#');
	}
	p.format = FORMAT_TEXT;
	assert_int_equal(search_text(&p, out), p.data_len);
	p.format = FORMAT_LEAP;
	assert_int_equal(search_text(&p, out), 0);
}

/* What FTS5 is asked. */
static void
test_question(void **state)
{
	char out[128], small[80];

	assert_true(search_words("a  \"b ", 6, 0, out, sizeof(out)));
	assert_string_equal(out, "(text:\"a\" text:\"\"\"b\")");
	assert_true(search_words("a", 1, 7, out, sizeof(out)));
	assert_string_equal(out, "(text:\"a\") AND channel:\"c7\"");
	assert_false(search_words("", 0, 0, out, sizeof(out)));
	assert_false(search_words(" !? \"\" *", 8, 0, out, sizeof(out)));
	assert_false(search_words("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    40, 0, small, sizeof(small)));
	/* in any room: no byte is written behind it */
	for (size_t cap = 0; cap < sizeof(out); cap++) {
		memset(out, '#', sizeof(out));
		(void)search_words("a b\"c d", 7, 1, out, cap);
		for (size_t k = cap; k < sizeof(out); k++)
			assert_int_equal(out[k], '#');
	}
}

/* Words find what has all of them. */
static void
test_match(void **state)
{
	rows_say("talk", "alice", FORMAT_TEXT,
	    "Gr\xc3\xbc\xc3\x9f"
	    "e, World");
	rows_say("talk", "bob", FORMAT_JSON, "{\"text\":\"hello world\"}");
	rows_say("other", "bob", FORMAT_TEXT, "hello again");
	rows_say("other", "bob", FORMAT_TEXT, "c1 text foo-bar");
	rows_commit();
	assert_int_equal(rows_match("talk", "WORLD"), 2);
	assert_int_equal(rows_found[0], 2); /* the newest first */
	assert_string_equal(rows_text, "talk bob {\"text\":\"hello world\"}");
	assert_int_equal(rows_match("talk",
			     "gru\xc3\x9f"
			     "e"),
	    1);
	assert_int_equal(rows_match("talk", "hello world"), 1);
	assert_int_equal(rows_match("talk", "hello again"), 0);
	assert_int_equal(rows_match("talk", "text"), 0); /* a member's name */
	assert_int_equal(rows_match("other", "text"), 1);
	assert_int_equal(rows_match(NULL, "hello"), 2);
	assert_int_equal(rows_match(NULL, "hello ,"), 2);
	assert_int_equal(rows_match(NULL, "hel"), 0);
	assert_int_equal(rows_match(NULL, "hel*"), 0);
	assert_int_equal(rows_match("nowhere", "hello"), 0);
	assert_int_equal(rows_match(NULL, "foo-bar"), 1);
	assert_int_equal(rows_match(NULL, "bar-foo"), 0);
	assert_int_equal(rows_match(NULL, ""), 0);
	/* a channel's number is no text */
	assert_int_equal(rows_match(NULL, "c1"), 1);
	assert_int_equal(rows_match(NULL, "c2"), 0);
}

/* What is no letter parts words, and is none itself, whatever its bytes. */
static void
test_no_letters(void **state)
{
	static const char text[] = "hello \xf0\x9f\x98\x80 wide \xe2\x80\x94 "
				   "dash \xe2\x80\xa6 \xe2\x80\x9e"
				   "a\xe2\x80\x9c"
				   " \xc2\xb7";

	rows_say("talk", "alice", FORMAT_TEXT, text);
	rows_say("talk", "alice", FORMAT_TEXT, "other");
	rows_commit();
	assert_int_equal(rows_match("talk", text), 1);
	assert_int_equal(rows_match(NULL, "hello \xf0\x9f\x98\x80"), 1);
	assert_int_equal(rows_match(NULL, "\xe2\x80\x94 dash hello"), 1);
	assert_int_equal(
	    rows_match(NULL, "\xf0\x9f\x98\x80 \xe2\x80\x94 other"), 1);
	assert_int_equal(rows_match(NULL, "\xf0\x9f\x98\x80 nothing"), 0);
	/* these alone find nothing, and not all */
	assert_int_equal(rows_match("talk", "\xf0\x9f\x98\x80"), 0);
	assert_int_equal(
	    rows_match("talk", "\xf0\x9f\x98\x80 \xe2\x80\x94"), 0);
	assert_int_equal(rows_match(NULL, "\xf0\x9f\x98\x80"), 0);
}

/* Signs of FTS5's own language are signs. */
static void
test_signs(void **state)
{
	static const char *const each[] = {"a OR b", "a AND", "NOT b", "a\" b",
	    "\"", "(a", "a)", "{text}:a", "channel:\"c1\"", "a NEAR(b)", "^a",
	    "a+b", "- a", "a:b", "\x01", "'", "a;DROP TABLE publication"};

	rows_say("talk", "alice", FORMAT_TEXT, "b");
	rows_commit();
	for (size_t k = 0; k < sizeof(each) / sizeof(each[0]); k++)
		assert_int_equal(rows_match("talk", each[k]), 0);
	assert_int_equal(rows_match("talk", "b"), 1);
}

/* Bounds of the question. */
static void
test_bounds(void **state)
{
	struct store_query q = {.what = STORE_MATCHES,
	    .name = "talk",
	    .name_len = 4,
	    .text = "word",
	    .text_len = 4,
	    .limit = 3};

	for (int k = 0; k < 10; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	rows_n = 0;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 3);
	assert_int_equal(rows_found[2], 8);
	q.upto = 5;
	rows_n = 0;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_found[0], 5);
	/* another channel's are no bound */
	rows_say("other", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	q.oldest_ms = 1000004; /* that of offset 5 */
	rows_n = 0;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 1);
	q.oldest_ms = 1000005;
	rows_n = 0;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 0);
	q.oldest_ms = 0;
	q.upto = 1;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 1);
	q.name = "none";
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 1);
}

/* Questions have half of the time, and half a second in advance; who asks has a
 * third of it, so that others find some left. */
static void
test_share(void **state)
{
	struct store_share *all = &rows_store->index.share;
	struct store_share own = {0}, other = {0};

	assert_true(search_may_begin(rows_store, &own));
	assert_int_equal(all->spare_us, 500000);
	assert_int_equal(own.spare_us, 500000);
	own.spare_at -= 100000;
	search_ended(rows_store, &own);
	assert_in_range(all->spare_us, 0, 400000);
	assert_in_range(own.spare_us, 0, 400000);
	own.spare_us = -100000; /* long ones */
	assert_false(search_may_begin(rows_store, &own));
	assert_true(search_may_begin(rows_store, &other));
	own.spare_at -= 150000;
	assert_false(search_may_begin(rows_store, &own));
	own.spare_at -= 200000;
	assert_true(search_may_begin(rows_store, &own));
	all->spare_us = -100000;
	assert_false(search_may_begin(rows_store, &other));
	all->spare_at -= 150000;
	assert_false(search_may_begin(rows_store, &other));
	all->spare_at -= 100000;
	assert_true(search_may_begin(rows_store, &other));
	all->spare_at -= 10000000;
	assert_true(search_may_begin(rows_store, &other));
	assert_int_equal(all->spare_us, 500000);
}

/* Words that cost much are given up, and the store goes on. */
static void
test_limit(void **state)
{
	static char sql[2048], text[1024];
	const struct store_options o = {
	    .path = rows_path, .use = STORE_READS, .search = true};
	struct store_query q = {
	    .what = STORE_MATCHES, .text = text, .limit_ms = 20};
	struct store_mark mark;
	char error[1024];
	struct store *s;
	size_t n = 0;
	bool damaged;

	n = (size_t)sprintf(sql,
	    "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k"
	    " WHERE n < 10000) INSERT INTO search(rowid, text) SELECT n, '");
	for (int k = 0; k < 126; k++)
		n += (size_t)sprintf(sql + n, "w%d ", k);
	sprintf(sql + n, "' FROM k");
	rows_say("talk", "alice", FORMAT_TEXT, "a word");
	assert_int_equal(database_exec(rows_store, sql, "a test"), STORE_OK);
	rows_commit();
	for (int k = 0; k < 62; k++)
		q.text_len += (size_t)sprintf(
		    text + q.text_len, "w%d-w%d ", 2 * k, 2 * k + 1);
	q.text_len += (size_t)sprintf(text + q.text_len, "w3-w2");
	assert_int_equal(
	    store_open(&s, &o, &mark, &damaged, error, sizeof(error)), 0);
	assert_int_equal(store_find(s, &q, rows_note, NULL), STORE_FAILED);
	if (strstr(store_error(s), "took more than 20 ms") == NULL)
		fail_msg("%s", store_error(s));
	q.text = "word";
	q.text_len = 4;
	q.limit_ms = 10000;
	rows_n = 0;
	assert_int_equal(store_find(s, &q, rows_note, NULL), STORE_OK);
	assert_int_equal(rows_n, 1);
	store_close(s);
}

/* Fills the index by pieces until all is in it. */
static unsigned
fill(void)
{
	const struct store_bounds b = {.age_ms = 0};
	unsigned n = 0;
	bool more = true;

	for (; more; n++)
		assert_int_equal(
		    store_prune(rows_store, &b, rows_now, 10, &more), STORE_OK);
	return n;
}

/* An index that comes later takes in what was there before; one that is not
 * wanted any more goes, and comes back whole. */
static void
test_later(void **state)
{
	store_close(rows_store);
	rows_open(false);
	assert_int_equal(rows_search("talk", "word"), STORE_NONE);
	for (int k = 0; k < 25; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	store_close(rows_store);
	rows_open(true);
	assert_int_equal(rows_match("talk", "word"), 0);
	rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	assert_int_equal(rows_match("talk", "word"), 1);
	assert_true(fill() >= 3);
	assert_int_equal(rows_match("talk", "word"), 26);
	assert_int_equal(rows_number("SELECT first FROM search_state"), 0);
	/* it is not begun again */
	store_close(rows_store);
	rows_open(true);
	assert_int_equal(fill(), 1);
	assert_int_equal(rows_match("talk", "word"), 26);
	/* ids that are given again, as the newest rows have gone, are no reason
	 * to leave out what is older and not in it yet */
	store_close(rows_store);
	rows_open(false);
	assert_true(fill() >= 1);
	rows_say("other", "alice", FORMAT_TEXT, "another text");
	rows_commit();
	store_close(rows_store);
	rows_open(true);
	assert_int_equal(rows_number("SELECT first FROM search_state"), 28);
	assert_int_equal(database_begin(rows_store, false), STORE_OK);
	assert_int_equal(database_exec(rows_store,
			     "DELETE FROM publication WHERE id > 25", "a test"),
	    STORE_OK);
	rows_commit();
	for (int k = 0; k < 2; k++) {
		rows_say("talk", "alice", FORMAT_TEXT, "new");
		if (k == 0)
			database_undo(rows_store);
	}
	rows_commit();
	assert_int_equal(rows_number("SELECT first FROM search_state"), 26);
	fill();
	assert_int_equal(rows_match("talk", "word"), 25);
	assert_int_equal(rows_match("talk", "new"), 1);
	rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	/* of another version it is made anew */
	assert_int_equal(
	    sqlite3_exec(rows_store->db, "UPDATE search_state SET version = 99",
		NULL, NULL, NULL),
	    SQLITE_OK);
	store_close(rows_store);
	rows_open(true);
	assert_int_equal(rows_match("talk", "word"), 0);
	fill();
	assert_int_equal(rows_match("talk", "word"), 26);
	assert_int_equal(sqlite3_exec(rows_store->db,
			     "INSERT INTO search(search) VALUES"
			     "('integrity-check')",
			     NULL, NULL, NULL),
	    SQLITE_OK);
}

/* One that is not wanted any more is none from the start on, and its tables go
 * by pieces. */
static void
test_shed(void **state)
{
	struct store_bounds b = {.age_ms = 0};
	int64_t left, now;
	unsigned pieces = 0;
	bool more = true;

	rows_say("talk", "alice", FORMAT_TEXT, "a word");
	assert_int_equal(database_exec(rows_store,
			     "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL"
			     " SELECT n + 1 FROM k WHERE n < 5000)"
			     " INSERT INTO search(rowid, text)"
			     " SELECT n + 1, hex(randomblob(300)) FROM k",
			     "a test"),
	    STORE_OK);
	rows_commit();
	left = rows_number("SELECT count(*) FROM search_data");
	assert_true(left > 300);
	store_close(rows_store);
	rows_open(false);
	assert_int_equal(rows_search("talk", "word"), STORE_NONE);
	assert_int_equal(rows_number("SELECT count(*) FROM search_data"), left);
	/* nor is it one for who wants it again, before all has gone */
	assert_int_equal(
	    store_prune(rows_store, &b, rows_now, 10, &more), STORE_OK);
	now = rows_number("SELECT count(*) FROM search_data");
	assert_true(more && now < left && now > 2);
	store_close(rows_store);
	rows_open(true);
	assert_int_equal(rows_search("talk", "word"), STORE_NONE);
	store_close(rows_store);
	rows_open(false);
	for (more = true; more; pieces++)
		assert_int_equal(
		    store_prune(rows_store, &b, rows_now, 500, &more),
		    STORE_OK);
	assert_true(pieces > 1);
	assert_int_equal(rows_number("SELECT count(*) FROM sqlite_schema"
				     " WHERE name LIKE 'search%'"),
	    0);
}

/* What is not committed is not in the index either. */
static void
test_undone(void **state)
{
	rows_say("talk", "alice", FORMAT_TEXT, "first");
	rows_commit();
	rows_say("talk", "alice", FORMAT_TEXT, "second");
	database_undo(rows_store);
	assert_int_equal(rows_match("talk", "first"), 1);
	assert_int_equal(rows_match("talk", "second"), 0);
	rows_say("talk", "alice", FORMAT_TEXT, "second");
	rows_commit();
	assert_int_equal(rows_match("talk", "second"), 1);
}

/* An index that is inconsistent is made anew; the rows are no reason to begin a
 * new database. */
static void
test_inconsistent(void **state)
{
	const struct publication p = {.offset = 2,
	    .before = 1,
	    .format = FORMAT_TEXT,
	    .user = "alice",
	    .user_len = 5,
	    .data = "second",
	    .data_len = 6};
	struct store_channel c;
	enum store_result r;
	sqlite3 *db;

	rows_say("talk", "alice", FORMAT_TEXT, "first");
	rows_commit();
	store_close(rows_store);
	/* which the store's own connection may not */
	assert_int_equal(sqlite3_open(rows_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "UPDATE search_data SET block = "
			     "x'00000000ffffffff0f' WHERE id = 10",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(db);
	rows_open(true);
	assert_int_equal(store_channel(rows_store, "talk", 4, 5, &c), STORE_OK);
	r = store_take(rows_store, &c, &p);
	if (r == STORE_OK)
		r = store_commit(rows_store, &rows_mark);
	assert_int_equal(r, STORE_FAILED);
	if (strstr(store_error(rows_store), "is made anew") == NULL)
		fail_msg("%s", store_error(rows_store));
	rows_say("talk", "alice", FORMAT_TEXT, "second");
	rows_commit();
	assert_true(fill() > 1);
	assert_int_equal(rows_match("talk", "second"), 1);
	assert_int_equal(rows_of("talk"), 2);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
	    cmocka_unit_test(test_question), TEST(test_match), TEST(test_signs),
	    TEST(test_no_letters), TEST(test_bounds), TEST(test_share),
	    TEST(test_limit), TEST(test_later), TEST(test_shed),
	    TEST(test_undone), TEST(test_inconsistent)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
