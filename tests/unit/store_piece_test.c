/* store: what is done by pieces, where messages are long. */
#include "store_rows_fixture.h"

/* Prunes until there is nothing more to do. */
static void
prune(const struct store_bounds *b)
{
	for (bool more = true; more;)
		assert_int_equal(
		    store_prune(rows_store, b, rows_now, 500, &more), STORE_OK);
}

/* Long messages: a piece has less of them. */
static void
test_long(void **state)
{
	enum { LONG = 600 * 1024, ROWS = 10 };
	static char text[LONG + 1];
	struct store_bounds b = {.age_ms = 50};
	struct store_erasure e = {.user = "alice", .len = 5};
	unsigned n = 0;
	bool more = true;

	memset(text, 'x', LONG);
	for (int k = 0; k < ROWS; k++)
		rows_say("talk", "alice", FORMAT_TEXT, text);
	rows_commit();
	for (; more; n++)
		assert_int_equal(
		    store_erase(rows_store, &e, 500, &more), STORE_OK);
	assert_int_equal(e.rows, ROWS);
	assert_true(n > 3);
	for (int k = 0; k < ROWS; k++)
		rows_say("talk", "bob", FORMAT_TEXT, text);
	rows_commit();
	rows_now += 1000;
	assert_int_equal(
	    store_prune(rows_store, &b, rows_now, 500, &more), STORE_OK);
	assert_true(more);
	assert_int_equal(
	    rows_number("SELECT count(*) FROM publication WHERE erased = 0"),
	    ROWS - 4);
	prune(&b);
	assert_int_equal(rows_number("SELECT count(*) FROM publication"), 0);
	/* and an index of them is made as slowly */
	store_close(rows_store);
	rows_open(false);
	for (int k = 0; k < ROWS; k++)
		rows_say("talk", "bob", FORMAT_TEXT, text);
	rows_commit();
	store_close(rows_store);
	rows_open(true);
	b.age_ms = 0;
	assert_int_equal(
	    store_prune(rows_store, &b, rows_now, 500, &more), STORE_OK);
	assert_true(more);
	assert_int_equal(
	    rows_number("SELECT first FROM search_state"), ROWS - 3);
	prune(&b);
	assert_int_equal(rows_number("SELECT first FROM search_state"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_long, rows_begin, rows_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
