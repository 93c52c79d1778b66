/* store_erase: what a user published is gone from rows, index and files, and
 * what others did is not. */
#include "store_rows_fixture.h"

/* Erases, in pieces; returns how many. */
static unsigned
erase(struct store_erasure *e, const char *user, uint32_t rows)
{
	unsigned n = 0;
	bool more = true;

	*e = (struct store_erasure){.user = user, .len = strlen(user)};
	for (; more; n++)
		assert_int_equal(
		    store_erase(rows_store, e, rows, &more), STORE_OK);
	assert_int_equal(sqlite3_exec(rows_store->db,
			     "INSERT INTO search(search) VALUES"
			     "('integrity-check')",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	return n;
}

/* Whether one of the database's files has these bytes. */
static bool
files_have(const char *bytes)
{
	char command[256];

	snprintf(command, sizeof(command), "grep -qs -a %s %s %s-wal", bytes,
	    rows_path, rows_path);
	return system(command) == 0;
}

/* Two users in two channels, something in the life of each. */
static void
talk(int n)
{
	for (int k = 0; k < n; k++) {
		rows_say("talk", "alice", FORMAT_TEXT, "confidential xyzzy");
		rows_say("talk", "bob", FORMAT_TEXT, "confidential plugh");
		rows_say("other", "alice", FORMAT_JSON,
		    "{\"text\":\"confidential xyzzy\"}");
	}
	assert_int_equal(
	    database_exec(rows_store,
		"INSERT INTO event(time, kind, user, peer)"
		" VALUES(1, 'join', 'alice', '192.0.2.77'),"
		" (2, 'join', 'bob', '192.0.2.78');"
		"INSERT OR IGNORE INTO user(name, first_seen, last_seen)"
		" VALUES('alice', 1, 2), ('bob', 1, 2)",
		"a test"),
	    STORE_OK);
	rows_commit();
}

static bool
row_check(void *arg, const struct store_row *r)
{
	const struct publication *p = &r->pub;

	if (p->offset % 2 == 0) {
		assert_false(r->erased);
		assert_int_equal(p->format, FORMAT_TEXT);
		assert_int_equal(p->user_len, 3);
	} else {
		assert_true(r->erased);
		assert_int_equal(p->format, FORMAT_ERASED);
		assert_int_equal(p->user_len + p->data_len + p->info_len +
			p->sub_info_len + p->tags_len,
		    0);
		assert_true(p->sender == 0);
	}
	assert_true(p->before == p->offset - 1);
	assert_true(p->time_ms >= 1000000);
	(*(int *)arg)++;
	return true;
}

static void
test_rows(void **state)
{
	const struct store_query q = {
	    .what = STORE_PAGE, .name = "talk", .name_len = 4};
	struct store_erasure e;
	int n = 0;

	talk(100);
	assert_true(files_have("xyzzy"));
	assert_true(files_have("192.0.2.77"));
	assert_int_equal(rows_match("talk", "xyzzy"), 100);
	assert_true(erase(&e, "alice", 30) > 200 / 30);
	assert_int_equal(e.rows, 200);
	assert_int_equal(e.events, 1);
	assert_false(e.logged);
	assert_int_equal(store_find(rows_store, &q, row_check, &n), STORE_OK);
	assert_int_equal(n, 200);
	assert_int_equal(rows_match(NULL, "xyzzy"), 0);
	assert_int_equal(rows_match(NULL, "confidential"), 100);
	assert_int_equal(rows_number("SELECT rows FROM mark"), 300);
	assert_int_equal(rows_number("SELECT count(*) FROM user"), 1);
	assert_int_equal(rows_number("SELECT count(*) FROM event"), 1);
	/* nor is it between the rows, in the index, or in the log */
	assert_false(files_have("xyzzy"));
	assert_false(files_have("alice"));
	assert_false(files_have("192.0.2.77"));
	assert_true(files_have("plugh"));
	/* once more: there is nothing */
	erase(&e, "alice", 30);
	assert_int_equal(e.rows + e.events, 0);
	/* and what is erased goes in time like any other row */
	rows_now += 1000;
	assert_int_equal(
	    store_prune(rows_store, &(struct store_bounds){.age_ms = 1},
		rows_now, 1000, &(bool){false}),
	    STORE_OK);
	assert_int_equal(rows_of("talk"), 0);
	assert_int_equal(sqlite3_exec(rows_store->db,
			     "INSERT INTO search(search) VALUES"
			     "('integrity-check')",
			     NULL, NULL, NULL),
	    SQLITE_OK);
}

/* What she says meanwhile is no part of it; nor is another one's with a name
 * like hers. */
static void
test_meanwhile(void **state)
{
	struct store_erasure e = {.user = "alice", .len = 5};
	bool more = true;

	talk(20);
	rows_say("talk", "alic", FORMAT_TEXT, "a");
	rows_say("talk", "alicex", FORMAT_TEXT, "a");
	rows_commit();
	for (unsigned n = 0; more; n++) {
		assert_int_equal(
		    store_erase(rows_store, &e, 7, &more), STORE_OK);
		if (n > 3)
			continue;
		rows_say("talk", "alice", FORMAT_TEXT, "later");
		/* what is taken is not committed by it */
		assert_int_equal(
		    store_erase(rows_store, &e, 7, &more), STORE_OK);
		assert_true(more && rows_store->begun);
		rows_commit();
	}
	assert_int_equal(e.rows, 40);
	assert_int_equal(rows_match("talk", "later"), 4);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM publication WHERE user GLOB"
			" 'alic*' AND user <> 'alice'"),
	    2);
}

/* Without an index, and with nothing there. */
static void
test_bare(void **state)
{
	struct store_erasure e = {.user = "alice", .len = 5};
	bool more = true;

	store_close(rows_store);
	rows_open(false);
	while (more)
		assert_int_equal(
		    store_erase(rows_store, &e, 100, &more), STORE_OK);
	assert_int_equal(e.rows, 0);
	talk(3);
	e = (struct store_erasure){.user = "alice", .len = 5};
	for (more = true; more;)
		assert_int_equal(
		    store_erase(rows_store, &e, 100, &more), STORE_OK);
	assert_int_equal(e.rows, 6);
	assert_false(files_have("xyzzy"));
}

/* One that reads keeps the log: that is said. */
static void
test_read(void **state)
{
	struct store_erasure e;
	sqlite3 *db;

	talk(3);
	assert_int_equal(sqlite3_open(rows_path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN; SELECT count(*) FROM publication", NULL,
		NULL, NULL),
	    SQLITE_OK);
	erase(&e, "alice", 100);
	assert_true(e.logged);
	sqlite3_close(db);
	erase(&e, "alice", 100);
	assert_false(e.logged);
	assert_false(files_have("xyzzy"));
}

/* What is not in the index yet is not taken out of it. */
static void
test_filling(void **state)
{
	struct store_erasure e;

	store_close(rows_store);
	rows_open(false);
	talk(10);
	store_close(rows_store);
	rows_open(true);
	talk(10);
	erase(&e, "alice", 100);
	assert_int_equal(e.rows, 40);
	for (bool more = true; more;)
		assert_int_equal(
		    store_prune(rows_store, &(struct store_bounds){.age_ms = 0},
			rows_now, 7, &more),
		    STORE_OK);
	assert_int_equal(rows_match(NULL, "confidential"), 20);
}

/* An index that is larger than one piece becomes one part as well. */
static void
test_large(void **state)
{
	struct store_erasure e;
	char text[256];

	for (int k = 0; k < 24000; k++) {
		snprintf(text, sizeof(text),
		    "%s %x a%d b%d c%d d%d e%d f%d g%d h%d i%d j%d k%d l%d",
		    k % 100 == 0 ? "xyzzy" : "plugh", k * 7919, k, k, k, k, k,
		    k, k, k, k, k, k, k);
		rows_say(
		    "talk", k % 100 == 0 ? "alice" : "bob", FORMAT_TEXT, text);
		if (k % 500 == 0)
			rows_commit();
	}
	rows_commit();
	assert_true(rows_number("SELECT count(*) FROM search_data") > 600);
	erase(&e, "alice", 500);
	assert_int_equal(e.rows, 240);
	assert_int_equal(
	    rows_number("SELECT count(DISTINCT segid) FROM search_idx"), 1);
	assert_false(files_have("xyzzy"));
	assert_int_equal(rows_match("talk", "plugh"), 100); /* the limit */
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {TEST(test_rows),
	    TEST(test_meanwhile), TEST(test_bare), TEST(test_read),
	    TEST(test_filling), TEST(test_large)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
