/* store: offsets that leap are no messages of their channel. */
#include "store_rows_fixture.h"

/* One message of each channel stays. */
static void
bounds(
    void *arg, const char *name, size_t len, uint32_t *rows, uint64_t *age_ms)
{
	*rows = 1;
	*age_ms = 0;
}

static void
prune(void)
{
	const struct store_bounds b = {.channel = bounds};
	bool more = true;

	while (more)
		assert_int_equal(
		    store_prune(rows_store, &b, rows_now, 1000, &more),
		    STORE_OK);
}

/* The channel is opened again after an end that was not clean. */
static void
leap(const char *channel)
{
	struct publication p = {.format = FORMAT_LEAP,
	    .flags = PUBLICATION_AGAIN,
	    .time_ms = rows_now++,
	    .user = "",
	    .data = ""};
	struct store_channel c;

	assert_int_equal(store_leap(rows_store, 1000), STORE_OK);
	assert_int_equal(
	    store_channel(rows_store, channel, strlen(channel), 0, &c),
	    STORE_OK);
	p.offset = c.top;
	p.before = c.newest;
	assert_int_equal(store_take(rows_store, &c, &p), STORE_OK);
	rows_commit();
}

/* What is no message takes the place of none, however often offsets leap. */
static void
test_leaps(void **state)
{
	rows_say("talk", "alice", FORMAT_TEXT, "the only one");
	for (int k = 0; k < 3; k++) {
		leap("talk");
		prune();
		assert_int_equal(rows_of("talk"), k + 2);
		assert_string_equal(rows_text, "talk alice the only one");
	}
	rows_say("talk", "alice", FORMAT_TEXT, "the next");
	leap("talk");
	prune();
	for (int k = 0; k < 2; k++)
		rows_say("talk", "alice", FORMAT_TEXT, "one more");
	rows_commit();
	prune();
	assert_int_equal(rows_of("talk"), 1);
	assert_string_equal(rows_text, "talk alice one more");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rows_begin, rows_end)
	const struct CMUnitTest tests[] = {TEST(test_leaps)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
