/* store_prune: what is too old or too much goes, oldest first, in pieces, and
 * nothing else; the index and the number of rows follow. */
#include "store_rows_fixture.h"

#include "base/clock.h"

/* What a channel may have. */
static uint32_t most_rows;
static uint64_t most_ms;

static void
channel_bounds(
    void *arg, const char *name, size_t len, uint32_t *rows, uint64_t *age_ms)
{
	*rows = len == 4 && memcmp(name, "talk", 4) == 0 ? most_rows : 0;
	*age_ms = len == 4 && memcmp(name, "talk", 4) == 0 ? most_ms : 0;
}

/* All is pruned by pieces of so many rows; returns how many pieces. */
static unsigned
prune(struct store_bounds *b, uint32_t rows)
{
	int64_t left = rows_number("SELECT count(*) FROM publication"), now;
	unsigned n = 0;
	bool more = true;

	b->channel = channel_bounds;
	for (; more; n++) {
		assert_int_equal(
		    store_prune(rows_store, b, rows_now, rows, &more),
		    STORE_OK);
		now = rows_number("SELECT count(*) FROM publication");
		assert_true(now <= left && left - now <= rows);
		left = now;
	}
	assert_int_equal(left, rows_number("SELECT rows FROM mark"));
	assert_int_equal(sqlite3_exec(rows_store->db,
			     "INSERT INTO search(search) VALUES"
			     "('integrity-check')",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	return n;
}

/* So many in each of two channels, a millisecond after another. */
static void
talk(int n)
{
	for (int k = 0; k < n; k++) {
		rows_say("talk", "alice", FORMAT_TEXT, "a word");
		rows_say("other", "bob", FORMAT_JSON, "{\"text\":\"a word\"}");
	}
	rows_commit();
}

/* Something happens; within the transaction. */
static void
event(int64_t time_ms)
{
	char sql[80];

	snprintf(sql, sizeof(sql),
	    "INSERT INTO event(time, kind) VALUES(%lld, 'join')",
	    (long long)time_ms);
	assert_int_equal(database_begin(rows_store, true), STORE_OK);
	assert_int_equal(database_exec(rows_store, sql, "an event"), STORE_OK);
}

static void
test_age(void **state)
{
	struct store_bounds b = {.age_ms = 50};

	event(rows_now);
	assert_int_equal(
	    store_hole(rows_store, NULL, 1, 2, rows_now, "lost"), STORE_OK);
	talk(100);
	event(rows_now - 1);
	rows_commit();
	assert_true(prune(&b, 7) > 150 / 7);
	assert_int_equal(rows_of("talk"), 25);
	assert_int_equal(rows_found[0], 76);
	assert_int_equal(rows_of("other"), 25);
	assert_int_equal(rows_match(NULL, "word"), 50);
	assert_int_equal(rows_number("SELECT count(*) FROM event"), 1);
	assert_int_equal(rows_number("SELECT count(*) FROM hole"), 0);
	assert_int_equal(prune(&b, 7), 1);
	/* all of it: ids begin anew, and so does what is in the index */
	rows_now += 1000;
	prune(&b, 1000);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 0);
	assert_int_equal(rows_say("talk", "alice", FORMAT_TEXT, "word"), 101);
	rows_commit();
	assert_int_equal(rows_match("talk", "word"), 1);
	rows_now += 1000;
	prune(&b, 1000);
	assert_int_equal(rows_match("talk", "word"), 0);
}

/* Ids begin anew before the index has taken in what was there before it: what
 * comes then is in it once. */
static void
test_anew(void **state)
{
	struct store_bounds b = {.age_ms = 50};
	struct store_erasure e = {.user = "alice", .len = 5};
	bool more;

	store_close(rows_store);
	rows_open(false);
	talk(5);
	store_close(rows_store);
	rows_open(true);
	rows_now += 1000;
	assert_int_equal(
	    store_prune(rows_store, &b, rows_now, 10, &more), STORE_OK);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 0);
	assert_true(rows_number("SELECT first FROM search_state") > 1);
	rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	assert_int_equal(rows_match("talk", "word"), 1);
	for (more = true; more;)
		assert_int_equal(
		    store_erase(rows_store, &e, 10, &more), STORE_OK);
	assert_int_equal(rows_number("SELECT count(*) FROM search"
				     " WHERE search MATCH 'word'"),
	    0);
}

/* A clock that was ahead for a while does not keep all. */
static void
test_future(void **state)
{
	struct store_bounds b = {.age_ms = 50};

	rows_now += 1000000;
	talk(2);
	rows_now -= 1000004;
	talk(50);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 104);
	prune(&b, 1000);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 54);
	/* nor does one that is behind delete anything */
	rows_now -= 500000;
	prune(&b, 1000);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 54);
}

static void
test_channel(void **state)
{
	struct store_bounds b = {.age_ms = 0};

	most_rows = 30;
	most_ms = 0;
	talk(100);
	prune(&b, 9);
	assert_int_equal(rows_of("talk"), 30);
	assert_int_equal(rows_found[0], 71);
	assert_int_equal(rows_of("other"), 100);
	/* offsets that leap are not rows */
	assert_int_equal(store_leap(rows_store, 1000), STORE_OK);
	rows_commit();
	for (int k = 0; k < 10; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "a word");
	rows_commit();
	prune(&b, 1000);
	assert_int_equal(rows_of("talk"), 30);
	assert_int_equal(rows_found[0], 81);
	assert_int_equal(rows_found[20], 1101);
	most_rows = 0;
	most_ms = 5;
	prune(&b, 1000);
	assert_int_equal(rows_of("talk"), 5);
	assert_int_equal(rows_of("other"), 100);
	most_ms = 0;
}

/* More channels than one call looks at, and one that lost its name. */
static void
test_channels(void **state)
{
	struct store_bounds b = {.age_ms = 0};
	char name[16];

	most_rows = 1;
	for (int k = 0; k < 200; k++) {
		snprintf(name, sizeof(name), "room%d", k);
		rows_say(name, "bob", FORMAT_TEXT, "x");
	}
	talk(3);
	rows_commit();
	assert_int_equal(database_exec(rows_store,
			     "UPDATE channel SET name = NULL"
			     " WHERE name = 'room7'",
			     "a test"),
	    STORE_OK);
	assert_true(prune(&b, 1000) > 3);
	assert_int_equal(rows_of("talk"), 1);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM publication"), 200 + 3 + 1);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM channel WHERE name IS NULL"), 1);
	most_rows = 0;
	b.age_ms = 1000;
	b.channel_age_ms = 1000;
	rows_now += 100000;
	prune(&b, 1000);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 0);
	/* the newest stays, so that no id is given again */
	rows_now = clock_wall_ms() + 100000;
	prune(&b, 1000);
	assert_int_equal(rows_number("SELECT count(*) FROM channel"), 1);
}

static void
test_size(void **state)
{
	struct store_bounds b = {.bytes = 256 * 1024};
	static char text[1000];
	int64_t used;

	memset(text, 'a', sizeof(text) - 1);
	for (int k = 0; k < 1000; k++) {
		rows_say("talk", "alice", FORMAT_TEXT, text);
		event(rows_now);
	}
	rows_commit();
	prune(&b, 50);
	used = rows_number("SELECT p.page_count - f.freelist_count FROM"
			   " pragma_page_count p, pragma_freelist_count f");
	assert_true(used * 4096 <= 256 * 1024);
	assert_true(used * 4096 >= 200 * 1024);
	assert_true(rows_of("talk") > 0);
	assert_int_equal(rows_found[rows_n - 1], 1000);
	assert_true(rows_number("SELECT min(time) FROM event") >=
	    rows_number("SELECT min(time) FROM publication"));
	/* smaller than an empty one: that ends, too */
	b.bytes = 1;
	prune(&b, 1000);
	assert_int_equal(rows_of("talk"), 0);
	assert_int_equal(rows_number("SELECT count(*) FROM event"), 0);
}

/* What strangers make, names and events, does not take the room of messages. */
static void
test_strangers(void **state)
{
	struct store_bounds b = {
	    .bytes = 512 * 1024, .user_age_ms = 30ll * 24 * 3600 * 1000};

	rows_now = 1700000000000;
	for (int k = 0; k < 100; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "hello");
	for (int k = 0; k < 1000; k++)
		event(rows_now - 1000000 + k);
	rows_commit();
	assert_int_equal(database_exec(rows_store,
			     "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL"
			     " SELECT n + 1 FROM k WHERE n < 10000)"
			     " INSERT INTO channel(name, epoch, top, seen)"
			     " SELECT 'a room of a stranger ' || n, n, 1,"
			     " 1700000000000 - n * 1000 FROM k",
			     "a test"),
	    STORE_OK);
	assert_int_equal(database_exec(rows_store,
			     "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL"
			     " SELECT n + 1 FROM k WHERE n < 10000)"
			     " INSERT INTO user SELECT 'a stranger ' || n, 1,"
			     " 1700000000000 - n * 100000, 0, 0 FROM k",
			     "a test"),
	    STORE_OK);
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 100);
	/* those that were not here for long are gone */
	assert_true(rows_number("SELECT count(*) FROM channel") < 4000);
	assert_true(rows_number("SELECT count(*) FROM event") <= 100);
	assert_true(
	    rows_number("SELECT p.page_count - f.freelist_count FROM"
			" pragma_page_count p, pragma_freelist_count f") *
		4096 <=
	    512 * 1024);
	/* where nothing of that can go messages stay, and it ends */
	b.bytes = 100 * 1024;
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 100);
}

/* Nor do holes, and names that tokens have proved: those that were away for
 * long go where messages take too little. */
static void
test_others(void **state)
{
	struct store_bounds b = {
	    .bytes = 512 * 1024, .user_age_ms = 30ll * 24 * 3600 * 1000};

	rows_now = 1700000000000;
	for (int k = 0; k < 100; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "hello");
	for (int k = 0; k < 1000; k++)
		assert_int_equal(store_hole(rows_store, NULL, 1, 2,
				     rows_now - 1000000 + k, "lost"),
		    STORE_OK);
	rows_commit();
	assert_int_equal(rows_store->holes, 1000);
	assert_int_equal(database_exec(rows_store,
			     "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL"
			     " SELECT n + 1 FROM k WHERE n < 20000)"
			     " INSERT INTO user SELECT 'a known user ' || n, 1,"
			     " 1700000000000 - n * 1000000, 0, 1 FROM k",
			     "a test"),
	    STORE_OK);
	for (int k = 0; k < 4; k++)
		prune(&b, 500);
	assert_int_equal(rows_of("talk"), 100);
	assert_true(rows_number("SELECT count(*) FROM hole") <= 100);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM hole"), rows_store->holes);
	assert_true(
	    rows_number("SELECT p.page_count - f.freelist_count FROM"
			" pragma_page_count p, pragma_freelist_count f") *
		4096 <=
	    512 * 1024);
	/* down to 30 days alone */
	b.bytes = 100 * 1024;
	for (int k = 0; k < 4; k++)
		prune(&b, 500);
	assert_int_equal(rows_of("talk"), 100);
	/* the time has gone on since */
	assert_in_range(
	    rows_number("SELECT count(*) FROM user WHERE proved"), 2590, 2592);
}

/* Where offsets leapt rows are counted, and not before there can be too many.
 */
static void
test_leap(void **state)
{
	struct store_bounds b = {0};
	const struct prune_known *k;

	most_rows = 50;
	most_ms = 0;
	for (int n = 0; n < 30; n++)
		rows_say("talk", "alice", FORMAT_TEXT, "hello");
	assert_int_equal(store_leap(rows_store, 1 << 20), STORE_OK);
	rows_say("talk", "alice", FORMAT_TEXT, "hello");
	rows_commit();
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 31);
	k = &rows_store->known[1];
	assert_int_equal(k->channel, 1);
	assert_int_equal(k->until, (1 << 20) + 31 + 20);
	for (int n = 0; n < 19; n++)
		rows_say("talk", "alice", FORMAT_TEXT, "hello");
	rows_commit();
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 50);
	for (int n = 0; n < 7; n++)
		rows_say("talk", "alice", FORMAT_TEXT, "hello");
	rows_commit();
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 50);
	assert_int_equal(rows_found[0], 8);
	/* another rule */
	most_rows = 20;
	prune(&b, 500);
	assert_int_equal(rows_of("talk"), 20);
	most_rows = 0;
}

/* With an index not more goes than has to. */
static void
test_size_index(void **state)
{
	struct store_bounds b = {0};
	char text[256];
	size_t len;

	for (int k = 0; k < 6000; k++) {
		len = 0;
		for (int n = 0; n < 20; n++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    "w%d ", (k * 7919 + n * n * 104729) % 5003);
		rows_say("talk", "alice", FORMAT_TEXT, text);
		if (k % 100 == 99)
			rows_commit();
	}
	rows_commit();
	b.bytes = (uint64_t)rows_number("PRAGMA page_count") * 4096 / 2;
	prune(&b, 500);
	assert_true(
	    rows_number("SELECT p.page_count - f.freelist_count FROM"
			" pragma_page_count p, pragma_freelist_count f") *
		4096 <=
	    (int64_t)b.bytes);
	printf("%d of 6000 rows stay\n",
	    (int)rows_number("SELECT count(*) FROM publication"));
	assert_true(rows_number("SELECT count(*) FROM publication") > 2400);
}

/* Pages that are free are given back, but for some. */
static void
test_pages(void **state)
{
	struct store_bounds b = {.age_ms = 1};
	static char text[4000];
	int64_t before;

	memset(text, 'a', sizeof(text) - 1);
	for (int k = 0; k < 3000; k++)
		rows_say("talk", "alice", FORMAT_TEXT, text);
	rows_commit();
	before = rows_number("PRAGMA page_count");
	rows_now += 1000;
	prune(&b, 500);
	assert_true(before > 2900);
	assert_true(rows_number("PRAGMA page_count") < 1200);
	assert_int_equal(rows_number("SELECT count(*) FROM pragma_quick_check"
				     " WHERE quick_check <> 'ok'"),
	    0);
}

/* Names that no token has proved go when they were not here for long, more of
 * them than one call takes. */
static void
test_users(void **state)
{
	struct store_bounds b = {.user_age_ms = 1000};
	char sql[160];

	assert_int_equal(database_begin(rows_store, true), STORE_OK);
	for (int k = 0; k < 40; k++) {
		snprintf(sql, sizeof(sql),
		    "INSERT INTO user(name, first_seen, last_seen, proved)"
		    " VALUES('user%d', 1, %lld, %d)",
		    k, (long long)rows_now + (k % 4 == 1 ? 1500 : 0),
		    k % 2 == 0 && k % 4 == 0);
		assert_int_equal(
		    database_exec(rows_store, sql, "a test"), STORE_OK);
	}
	rows_commit();
	rows_now += 2000;
	assert_true(prune(&b, 7) > 2);
	/* those that are proved, and those that were here */
	assert_int_equal(rows_number("SELECT count(*) FROM user"), 20);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM user WHERE proved = 1"), 10);
	b.user_age_ms = 0;
	rows_now += 100000;
	prune(&b, 7);
	assert_int_equal(rows_number("SELECT count(*) FROM user"), 20);
}

/* What a silent channel is kept by: a statement that makes it, one that undoes
 * it. */
static void
keep(struct store_bounds *b, const char *made, const char *undone)
{
	assert_int_equal(database_begin(rows_store, true), STORE_OK);
	assert_int_equal(database_exec(rows_store, made, "a test"), STORE_OK);
	rows_commit();
	prune(b, 7);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM channel WHERE name = '#bob'"), 1);
	assert_int_equal(database_begin(rows_store, true), STORE_OK);
	assert_int_equal(database_exec(rows_store, undone, "a test"), STORE_OK);
	rows_commit();
}

/* For struct store_bounds. */
static unsigned forgotten;
static void
forget(void *arg)
{
	forgotten++;
}

/* Channels that nothing is there of go when they were silent for long, more of
 * them than one call takes; ids are not given again. */
static void
test_silent(void **state)
{
	struct store_bounds b = {.age_ms = 50, .forget = forget};
	struct store_channel c;
	int64_t newest;
	char name[16];

	forgotten = 0;
	rows_say("#bob", "alice", FORMAT_TEXT, "x");
	for (int k = 0; k < 100; k++) {
		snprintf(name, sizeof(name), "room%d", k);
		rows_say(name, "bob", FORMAT_TEXT, "x");
	}
	rows_commit();
	newest = rows_number("SELECT max(id) FROM channel");
	rows_now += 900;
	rows_say("talk", "alice", FORMAT_TEXT, "x");
	rows_say("last", "alice", FORMAT_TEXT, "x");
	rows_commit();
	rows_now += 200;
	prune(&b, 7);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 0);
	assert_int_equal(rows_number("SELECT count(*) FROM channel"), 103);
	b.age_ms = 0;
	b.channel_age_ms = 1000;
	keep(&b, "INSERT INTO user VALUES('bob', 1, 1, 5, 1)",
	    "DELETE FROM user");
	assert_int_equal(rows_number("SELECT count(*) FROM channel"), 3);
	assert_int_equal(forgotten, 100);
	keep(&b,
	    "INSERT INTO event(time, kind, channel) SELECT 1, 'join', id"
	    " FROM channel WHERE name = '#bob'",
	    "DELETE FROM event");
	keep(&b,
	    "INSERT INTO hole(channel, after, before, time, why)"
	    " SELECT id, 1, 2, 1, 'a' FROM channel WHERE name = '#bob'",
	    "DELETE FROM hole");
	prune(&b, 7);
	assert_int_equal(rows_number("SELECT count(*) FROM channel"), 2);
	rows_now += 100000;
	prune(&b, 7);
	assert_int_equal(rows_number("SELECT count(*) FROM channel"), 1);
	assert_int_equal(forgotten, 102);
	assert_int_equal(store_channel(rows_store, "talk", 4, 9, &c), STORE_OK);
	assert_true(c.id > newest + 2 && c.top == 0 && c.stream == 9);
	rows_commit();
}

/* What is proposed stays until it is answered; what is taken and not committed
 * is not committed by this. */
static void
test_not(void **state)
{
	struct store_bounds b = {.age_ms = 1};
	struct publication p = {.position = 9,
	    .flags = PUBLICATION_PROPOSED,
	    .format = FORMAT_TEXT,
	    .offset = 1,
	    .time_ms = rows_now,
	    .user = "",
	    .data = "x",
	    .data_len = 1};
	struct store_channel c;
	bool more = false;

	assert_int_equal(store_channel(rows_store, "talk", 4, 5, &c), STORE_OK);
	assert_int_equal(store_take(rows_store, &c, &p), STORE_OK);
	rows_now += 1000;
	b.channel = channel_bounds;
	assert_int_equal(
	    store_prune(rows_store, &b, rows_now, 10, &more), STORE_OK);
	assert_true(more);
	rows_commit();
	prune(&b, 10);
	assert_int_equal(rows_of("talk"), 1);
	assert_int_equal(store_answered(rows_store, 9), STORE_OK);
	rows_commit();
	prune(&b, 10);
	assert_int_equal(rows_of("talk"), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {TEST(test_age), TEST(test_anew),
	    TEST(test_future), TEST(test_channel), TEST(test_channels),
	    TEST(test_size), TEST(test_strangers), TEST(test_others),
	    TEST(test_leap), TEST(test_size_index), TEST(test_pages),
	    TEST(test_users), TEST(test_silent), TEST(test_not)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
