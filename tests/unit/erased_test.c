/* erased: what clients are told of a channel in which messages were erased:
 * nothing of them, and of no gap where there is none. */
#include "centrifugo_fixture.h"

#include "hub/line.h"
#include "hub/lock.h"

/* Bob says something in the room; it is not delivered yet. */
static uint64_t
bob_says(const char *text)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_JSON,
	    .user = "bob",
	    .user_len = 3,
	    .data = text,
	    .len = strlen(text)};
	struct publication p;
	uint64_t mask;

	assert_int_equal(
	    publish(&door_node->ch, "room", 4, PUBLISH_MAKE, &what, &p, &mask),
	    PUBLISH_OK);
	return p.position;
}

static void
bob_is_erased(uint64_t n)
{
	assert_int_equal(journal_erase(&door_hub, "bob", 3, UINT64_MAX, 0), n);
}

/* History and recovery at the Centrifugo door. */
static void
history(void **state)
{
	connect_alice();
	bob_says("1");
	server_says("room", FORMAT_JSON, "", "2");
	bob_says("3");
	bob_is_erased(2);
	asks("{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":10}}",
	    "{\"id\":2,\"history\":{\"publications\":[{\"data\":2,\"offset\":2,"
	    "\"time\":T}],\"epoch\":\"E\",\"offset\":3}}");
	asks("{\"id\":3,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":1}}",
	    "{\"id\":3,\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"publications\":[{\"data\":2,\"offset\":2,\"time\":T}],"
	    "\"recovered\":true,\"offset\":3,\"positioned\":true,"
	    "\"was_recovering\":true}}");
	/* going on from one that is erased, or before it, misses nothing */
	guest_say(&alice, "{\"id\":4,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	asks("{\"id\":5,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":2}}",
	    "{\"id\":5,\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"recovered\":true,\"offset\":3,\"positioned\":true,"
	    "\"was_recovering\":true}}");
}

/* At the plain door. */
static void
lines(void **state)
{
	guest_come(&bob, &plain_door, "carol");
	says(&bob, "/join room", "* joined room");
	server_says("room", FORMAT_TEXT, "dan", "one");
	told(&bob, "[room] dan says: one");
	bob_says("\"two\"");
	door_settle();
	guest_forget(&bob);
	bob_is_erased(1);
	says(
	    &bob, "/history room", "* history of room\n* [room] dan says: one");
}

/* One that is erased before it is delivered is not delivered, and its channel
 * goes on. */
static void
delivery(void **state)
{
	connect_alice();
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	bob_says("1");
	bob_is_erased(1);
	door_settle();
	told_nothing(&alice);
	server_says("room", FORMAT_JSON, "", "2");
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"room\",\"pub\":{\"data\":2,\"offset\":2,"
	    "\"time\":T}}}");
	assert_int_equal(door_hub.slot[alice.conn].skipped, 0);
}

/* If the one before it was lost, that is told, though what comes behind would
 * not show it any more. */
static void
lost(void **state)
{
	struct hole *hole = &door_node->ch.rooms->hole;
	uint64_t position;

	connect_alice();
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	position = bob_says("1");
	*hole = (struct hole){
	    .from = position - 1, .to = position + 1, .until = position + 1};
	SHM_STORE(door_hub.line[0].cursor, position);
	door_node->ch.rooms->follower.at = position;
	bob_says("2");
	bob_is_erased(2);
	door_settle();
	assert_int_not_equal(door_hub.slot[alice.conn].skipped, 0);
	centrifugo_door.drained(&door_node->ch, alice.conn);
	door_settle();
	told(&alice,
	    "{\"push\":{\"channel\":\"room\",\"unsubscribe\":{\"code\":2500,"
	    "\"reason\":\"insufficient state\"}}}");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, door_end)
	const struct CMUnitTest tests[] = {
	    TEST(history), TEST(lines), TEST(delivery), TEST(lost)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
