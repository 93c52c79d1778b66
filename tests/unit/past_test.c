/* past: history, recovery and "/history" beyond the ring. */
#include "past_fixture.h"

#include "hub/line.h"

/* What the ring has is not asked for. */
static void
test_ring(void **state)
{
	pages("\"limit\":0", false, "");
	pages("\"limit\":2,\"reverse\":true", false, "13 12 ");
	pages("\"limit\":3,\"reverse\":true", false, "13 12 11 ");
	pages("\"limit\":9,\"since\":{\"offset\":11}", false, "12 13 ");
	pages("\"limit\":1,\"reverse\":true,\"since\":{\"offset\":13}", false,
	    "12 ");
	door_node->ch.live.channel[0].history = KEPT;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":2}}}");
	assert_int_equal(n_asked, 0);
	refused("\"code\":112");
	pages("\"limit\":9,\"reverse\":true", false, "13 12 11 ");
}

/* Newest first: the ring's, and those before it. */
static void
test_reverse(void **state)
{
	pages("\"limit\":5,\"reverse\":true", true, "13 12 11 10 9 ");
	pages("\"limit\":3,\"reverse\":true,\"since\":{\"offset\":13}", true,
	    "12 11 10 ");
	pages("\"limit\":2,\"reverse\":true,\"since\":{\"offset\":11}", true,
	    "10 9 ");
	pages("\"limit\":2,\"reverse\":true,\"since\":{\"offset\":5}", true,
	    "4 3 ");
	pages("\"limit\":9,\"reverse\":true,\"since\":{\"offset\":3}", true,
	    "2 1 ");
	pages(
	    "\"limit\":9,\"reverse\":true,\"since\":{\"offset\":1}", false, "");
}

/* Oldest first: those before the ring, and the ring's. */
static void
test_forward(void **state)
{
	pages("\"limit\":2", true, "1 2 ");
	pages("\"limit\":2,\"since\":{\"offset\":4}", true, "5 6 ");
	pages("\"limit\":5,\"since\":{\"offset\":8}", true, "9 10 11 12 13 ");
	pages("\"limit\":50,\"since\":{\"offset\":9}", true, "10 11 12 13 ");
	pages("\"limit\":100", true, "1 2 3 4 5 6 7 8 9 10 11 12 13 ");
	/* it has not got the newest yet */
	n_rows = SAID + 1;
	pages("\"limit\":50,\"since\":{\"offset\":9}", true, "10 11 12 13 ");
	n_rows = SAID;
	pages("\"limit\":3,\"since\":{\"offset\":9}", true, "10 11 12 ");
	pages("\"limit\":100,\"reverse\":true", true,
	    "13 12 11 10 9 8 7 6 5 4 3 2 1 ");
}

/* Where something is missing a page ends, and none goes on over it. */
static void
test_gap(void **state)
{
	memmove(&row[4], &row[5], sizeof(row[0]) * (size_t)(n_rows - 5));
	n_rows--; /* 5 */
	pages("\"limit\":50,\"since\":{\"offset\":2}", true, "3 4 ");
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":4}}}");
	answers();
	refused("\"code\":112");
	pages("\"limit\":50,\"reverse\":true", true, "13 12 11 10 9 8 7 6 ");
	pages("\"limit\":50,\"reverse\":true,\"since\":{\"offset\":6}", true,
	    "4 3 2 1 ");
	/* between its newest and the ring */
	n_rows = 8; /* up to 9 */
	pages("\"limit\":50,\"since\":{\"offset\":7}", true, "8 9 ");
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":9}}}");
	answers();
	refused("\"code\":112");
	pages("\"limit\":50,\"reverse\":true", true, "13 12 11 ");
}

/* Asks for a page with these members while the newest rows are not committed,
 * and is told nothing before all are. */
static void
pages_later(const char *members, const char *wanted)
{
	char text[256];

	committed(1);
	n_rows = 8;
	n_asked = 0;
	snprintf(text, sizeof(text),
	    "{\"id\":2,\"history\":{\"channel\":\"room\",%s}}", members);
	guest_say(&alice, text);
	answers_nth(0, ROWS_FOUND);
	told_nothing(&alice);
	later(100);
	assert_int_equal(n_asked, 1);
	told_nothing(&alice);
	n_rows = SAID + KEPT;
	committed(journal_tail(&door_hub));
	later(100);
	assert_int_equal(n_asked, 2);
	answers_nth(1, ROWS_FOUND);
	told_numbers(wanted);
	guest_forget(&alice);
}

/* What has left the ring and is not committed yet is waited for. */
static void
test_behind(void **state)
{
	pages_later("\"limit\":9,\"since\":{\"offset\":9}", "10 11 12 13 ");
	pages_later(
	    "\"limit\":50,\"since\":{\"offset\":6}", "7 8 9 10 11 12 13 ");
	pages_later("\"limit\":5,\"reverse\":true", "13 12 11 10 9 ");
	pages_later(
	    "\"limit\":2,\"reverse\":true,\"since\":{\"offset\":10}", "9 8 ");
	/* what was there already is not waited for */
	committed(1);
	n_asked = 0;
	n_rows = 8;
	pages("\"limit\":2,\"since\":{\"offset\":4}", true, "5 6 ");
	pages("\"limit\":2,\"reverse\":true,\"since\":{\"offset\":7}", true,
	    "6 5 ");
	/* a hole is, once */
	n_asked = 0;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":9}}}");
	answers_nth(0, ROWS_FOUND);
	told_nothing(&alice);
	committed(journal_oldest(&door_hub) - 1);
	later(100);
	answers_nth(1, ROWS_FOUND);
	refused("\"code\":112");
	/* and in vain it is refused for now */
	committed(1);
	n_asked = 0;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":9}}}");
	answers_nth(0, ROWS_FOUND);
	later(HOLD_ROWS_MS);
	refused("\"code\":100,\"message\":\"internal server "
		"error\",\"temporary\":true");
	n_rows = SAID + KEPT;
}

/* What has been erased, and a leap, are in the chain and not in a page. */
static void
test_erased(void **state)
{
	for (int k = 3; k < 6; k++) {
		row[k].format = k == 4 ? FORMAT_LEAP : FORMAT_ERASED;
		row[k].data_len = 0;
	}
	pages("\"limit\":3,\"since\":{\"offset\":2}", true, "3 7 8 ");
	pages("\"limit\":3,\"reverse\":true,\"since\":{\"offset\":8}", true,
	    "7 3 2 ");
}

#define RECOVER(offset)                                                   \
	"{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true," \
	"\"offset\":" #offset "}}"

/* Alice asks to go on, is told nothing, and is told these; whole: she has
 * recovered. */
static void
recovers(const char *text, const char *wanted, bool whole)
{
	guest_say(&alice, text);
	told_nothing(&alice);
	assert_int_equal(subscription_count(&door_hub, alice.conn), 0);
	answers();
	told_numbers(wanted);
	assert_int_equal(
	    strstr(alice.text[0], "\"recovered\":true") != NULL, whole);
	assert_non_null(strstr(alice.text[0], "\"was_recovering\":true"));
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
}

static void
test_recover(void **state)
{
	recovers(RECOVER(7), "8 9 10 11 12 13 ", true);
	recovers(RECOVER(0), "1 2 3 4 5 6 7 8 9 10 11 12 13 ", true);
	/* what is published meanwhile comes once */
	guest_say(&alice, RECOVER(8));
	told_nothing(&alice);
	server_says("room", FORMAT_JSON, "", "14");
	told_nothing(&alice);
	answers();
	told_numbers("9 10 11 12 13 14 ");
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	/* something is missing */
	row[8].before = 6;
	recovers(RECOVER(7), "", false);
	/* it has another epoch, and nothing is asked */
	guest_say(&alice,
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":7,\"epoch\":\"0000abcd\"}}");
	told_numbers("");
	assert_int_equal(n_asked, 0);
}

/* What cannot be read is refused for now in a page, and not recovered. */
static void
test_failed(void **state)
{
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9}}");
	answers_nth(0, ROWS_FAILED);
	refused("\"code\":100,\"message\":\"internal server "
		"error\",\"temporary\":true");
	n_asked = 0;
	guest_say(&alice, RECOVER(7));
	answers_nth(0, ROWS_FAILED);
	told_numbers("");
	assert_null(strstr(alice.text[0], "\"recovered\""));
	assert_non_null(strstr(alice.text[0], "\"was_recovering\":true"));
}

/* In vain: for 2 s, then refused for now; what comes later is dropped. */
static void
test_late(void **state)
{
	const char *const texts[] = {
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9}}",
	    RECOVER(7)};

	for (int k = 0; k < 2; k++) {
		n_asked = 0;
		guest_say(&alice, texts[k]);
		told_nothing(&alice);
		hold_sweep(&door_node->ch);
		told_nothing(&alice);
		later(HOLD_ROWS_MS);
		refused("\"code\":100");
		assert_int_equal(n_asked, 1);
		answers_nth(0, ROWS_FOUND);
		told_nothing(&alice);
	}
	assert_int_equal(subscription_count(&door_hub, alice.conn), 0);
	/* and anew */
	n_asked = 0;
	pages("\"limit\":9,\"reverse\":true,\"since\":{\"offset\":4}", true,
	    "3 2 1 ");
}

/* The plain door. */
static void
test_plain(void **state)
{
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/history room 5");
	told_nothing(&bob);
	answers();
	told(&bob,
	    "* history of room, older ones: /history room 5 9\n"
	    "* [room] *server* says: 9\n"
	    "* [room] *server* says: 10\n* [room] *server* says: 11\n"
	    "* [room] *server* says: 12\n* [room] *server* says: 13");
	guest_say(&bob, "/history room 2 3");
	answers();
	told(&bob,
	    "* history of room\n* [room] *server* says: 1\n"
	    "* [room] *server* says: 2");
	guest_say(&bob, "/history room 3");
	told(&bob,
	    "* history of room, older ones: /history room 3 11\n"
	    "* [room] *server* says: 11\n* [room] *server* says: 12\n"
	    "* [room] *server* says: 13");
	guest_say(&bob, "/history room 6");
	answers_nth(0, ROWS_FAILED);
	told(&bob, "* busy, try again");
}

/* Not for who answers nothing. */
static void
test_connect_hangs(void **state)
{
	channel_grows("#alice");
	for (int k = 0; k < 2; k++) {
		n_asked = 0;
		guest_forget(&alice);
		guest_come(&bob, &centrifugo_door, "alice");
		guest_say(&bob,
		    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":"
		    "true,"
		    "\"offset\":7}}}}");
		for (int n = 0; n < 10 && k == 0; n++) {
			told_nothing(&bob);
			archive_sweep(&door_node->ch);
			chat_turn(&door_node->ch);
			door_settle();
		}
		assert_int_equal(bob.n_texts, 1);
		assert_non_null(strstr(bob.text[0], "\"was_recovering\":true"));
		assert_null(strstr(bob.text[0], "\"recovered\""));
		close(bob.fd);
		bob.fd = -1;
		door_settle();
	}
	/* whether it is there again is tried now and then */
	for (int n = 0; n < 50; n++)
		archive_sweep(&door_node->ch);
	n_asked = 0;
	guest_come(&bob, &centrifugo_door, "alice");
	guest_say(&bob,
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":true,"
	    "\"offset\":7}}}}");
	told_nothing(&bob);
	assert_int_equal(n_asked, 1);
}

/* A connect that goes on in the user's own channel waits, too; in vain it is
 * connected, and has not recovered. */
static void
test_connect(void **state)
{
	static const char text[] =
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":true,"
	    "\"offset\":7}}}}";

	channel_grows("#alice");
	for (int k = 0; k < 2; k++) {
		n_asked = 0;
		guest_forget(&alice);
		guest_come(&bob, &centrifugo_door, "alice");
		guest_say(&bob, text);
		told_nothing(&bob);
		assert_memory_equal(asked_name[0], "#alice", 6);
		if (k == 0)
			answers();
		else
			later(HOLD_ROWS_MS);
		assert_int_equal(bob.n_texts, 1);
		assert_int_equal(
		    strstr(bob.text[0], "\"recovered\":true") != NULL, k == 0);
		assert_int_equal(
		    strstr(bob.text[0], "\"data\":8,") != NULL, k == 0);
		assert_non_null(strstr(bob.text[0], "\"was_recovering\":true"));
		close(bob.fd);
		bob.fd = -1;
		door_settle();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	    TEST(test_ring),
	    TEST(test_reverse),
	    TEST(test_forward),
	    TEST(test_gap),
	    TEST(test_behind),
	    TEST(test_erased),
	    TEST(test_recover),
	    TEST(test_failed),
	    TEST(test_late),
	    TEST(test_plain),
	    TEST(test_connect),
	    TEST(test_connect_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
