/* salvage: what can be read of a damaged database is in the new one, wherever
 * its ids are, and stays there. */
#include "store_rows_fixture.h"

#include <fcntl.h>

#include "store/salvage.h"

enum { PAGE = 4096, ROWS = 3000 };

/* Spoils a table's first page with rows. */
static void
spoil(const char *table)
{
	unsigned char page[PAGE];
	char sql[128];
	int fd = open(rows_path, O_RDWR);
	off_t at;

	snprintf(sql, sizeof(sql),
	    "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	rows_open(false);
	at = (off_t)(rows_number(sql) - 1) * PAGE;
	store_close(rows_store);
	rows_store = NULL;
	assert_int_equal(pread(fd, page, PAGE, at), PAGE);
	while (page[0] == 5) { /* its first child */
		const unsigned char *cell = page + page[12] * 256 + page[13];

		at = (off_t)((uint32_t)cell[0] << 24 | (uint32_t)cell[1] << 16 |
		    (uint32_t)cell[2] << 8 | cell[3]);
		at = (at - 1) * PAGE;
		assert_int_equal(pread(fd, page, PAGE, at), PAGE);
	}
	assert_int_equal(page[0], 13);
	memset(page, 0xff, PAGE);
	assert_int_equal(pwrite(fd, page, PAGE, at), PAGE);
	close(fd);
}

/* What was in the database that is closed now is put into another one, which is
 * open then. */
static void
save(void)
{
	char saved[64];

	snprintf(saved, sizeof(saved), "%s/saved.db", rows_dir);
	assert_int_equal(salvage(rows_path, saved), 0);
	strcpy(rows_path, saved);
	rows_open(false);
}

/* Retention, by bounds that delete nothing that has a name. */
static void
prune(void)
{
	const struct store_bounds b = {.channel_age_ms = 1000};
	bool more = true;

	while (more)
		assert_int_equal(
		    store_prune(rows_store, &b, rows_now + 100000, 1000, &more),
		    STORE_OK);
}

/* Of a table whose ids begin far above 0, and whose first page is damaged, and
 * of one that goes on behind a large gap. */
static void
test_ids(void **state)
{
	int64_t n;

	for (int k = 0; k < ROWS; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "a message of a talk");
	assert_int_equal(
	    database_exec(rows_store,
		"UPDATE publication SET id = id + 5000000 + (id > 2000) *"
		" 1000000000000",
		"a test"),
	    STORE_OK);
	rows_commit();
	store_close(rows_store);
	spoil("publication");
	save();
	n = rows_number("SELECT count(*) FROM publication");
	assert_true(n > ROWS - 200 && n < ROWS);
	assert_int_equal(rows_number("SELECT max(offset) - min(offset) + 1"
				     " FROM publication"),
	    n);
}

/* Names are in an index, too; what has none stays for all that. */
static void
test_names(void **state)
{
	for (int k = 0; k < 3; k++) {
		rows_say("talk", "alice", FORMAT_TEXT, "one");
		rows_say("other", "alice", FORMAT_TEXT, "two");
	}
	assert_int_equal(database_exec(rows_store,
			     "INSERT INTO publication(channel, offset, before,"
			     " time, format) VALUES(99, 7, 6, 1, 1)",
			     "a test"),
	    STORE_OK);
	rows_commit();
	store_close(rows_store);
	spoil("channel");
	save();
	prune();
	assert_int_equal(rows_of("talk"), 3);
	assert_int_equal(rows_of("other"), 3);
	assert_int_equal(rows_number("SELECT count(*) FROM channel"
				     " WHERE epoch != 0 AND seen > 0"),
	    3);
	assert_int_equal(
	    rows_number("SELECT top FROM channel WHERE name IS NULL"), 7);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 7);
}

/* Nothing is written to what is there by one of its names, such as a link. */
static void
test_taken(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
	char saved[64], name[80];

	snprintf(saved, sizeof(saved), "%s/saved.db", rows_dir);
	for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
		snprintf(name, sizeof(name), "%s%s", saved, ends[k]);
		assert_int_equal(symlink("victim", name), 0);
		assert_int_equal(salvage(rows_path, saved), 1);
		assert_int_equal(unlink(name), 0);
	}
	snprintf(name, sizeof(name), "%s/victim", rows_dir);
	assert_int_equal(access(name, F_OK), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_ids), TEST(test_names), TEST(test_taken)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
