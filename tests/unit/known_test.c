/* Channels that are to be known: a reader is asked, and nothing is begun by
 * that. */
#include "opening_fixture.h"

/* It says how it stands with the channel that asks: RESULT_OK: as a new one. */
static void
reader_says(uint8_t error, struct publication *asked)
{
	const struct reader_opening o = {.stream = STREAM, .error = error};

	assert_int_equal(reader_takes(asked), 1);
	assert_int_not_equal(
	    reader_opened(&reader, asked->channel, asked->epoch, &o), 0);
	door_settle();
}

/* A private message is for who is known: who knows channels is asked, and
 * nothing is made by that; what begins a channel is another question. */
static void
test_known(void **state)
{
	static const char message[] = "{\"id\":%d,\"rpc\":{\"method\":"
				      "\"message\",\"data\":{\"to\":"
				      "\"nobody\",\"data\":1}}}";
	struct publication asked;
	char text[128];

	alice_comes();
	for (int id = 2; id < 4; id++) {
		snprintf(text, sizeof(text), message, id);
		guest_say(&alice, text);
		told_nothing(&alice);
		reader_says(RESULT_NO_CHANNEL, &asked);
		assert_int_equal(asked.asks, OPEN_KNOWN);
		snprintf(text, sizeof(text),
		    "{\"id\":%d,\"error\":{\"code\":102,"
		    "\"message\":\"unknown channel\"}}",
		    id);
		told(&alice, text);
		reader_rests();
	}
	/* known, though not here */
	snprintf(text, sizeof(text), message, 4);
	guest_say(&alice, text);
	reader_says(RESULT_OK, &asked);
	assert_int_equal(asked.asks, OPEN_KNOWN);
	told(&alice,
	    "{\"id\":4,\"rpc\":{\"data\":{\"offset\":1,\"epoch\":\"" STREAM_TEXT
	    "\","
	    "\"online\":false}}}");
	guest_say(&alice, "{\"id\":5,\"subscribe\":{\"channel\":\"room9\"}}");
	reader_says(RESULT_OK, &asked);
	assert_int_equal(asked.asks, OPEN_MAKE);
}

/* Who begins a channel that another one has asked for in vain asks anew. */
static void
test_known_and_made(void **state)
{
	struct publication asked;

	alice_comes();
	guest_come(&bob, &centrifugo_door, "bob");
	guest_say(&bob, CONNECT);
	reader_opens(0, 0);
	guest_forget(&bob);
	guest_say(
	    &alice, "{\"id\":2,\"presence_stats\":{\"channel\":\"room9\"}}");
	guest_say(&bob, "{\"id\":2,\"subscribe\":{\"channel\":\"room9\"}}");
	reader_says(RESULT_NO_CHANNEL, &asked);
	assert_int_equal(asked.asks, OPEN_KNOWN);
	told_nothing(&bob);
	reader_says(RESULT_OK, &asked);
	assert_int_equal(asked.asks, OPEN_MAKE);
	plain_texts();
	assert_int_not_equal(bob.n_texts, 0);
	assert_non_null(strstr(bob.text[0], "\"subscribe\":{"));
}

/* Who has as many channels as a user may have makes none by asking for more. */
static void
test_quota(void **state)
{
	struct publication asked;

	alice_comes();
	door_node->ch.live.user_channels = 1;
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"room1\"}}");
	reader_says(RESULT_OK, &asked);
	guest_forget(&alice);
	guest_say(&alice, "{\"id\":3,\"subscribe\":{\"channel\":\"room2\"}}");
	reader_rests();
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "{\"id\":3,\"error\":"));
	hub_lock(&door_hub);
	assert_int_equal(presence_find(&door_hub, "room2", 5), SHM_NONE);
	hub_unlock(&door_hub);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_known), TEST(test_known_and_made), TEST(test_quota)};

	return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
