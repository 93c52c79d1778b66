/* centrifugo: the commands of that door: what each is answered, in order, with
 * its number; and what ends a connection. (What was missed:
 * centrifugo_recover_test; what tokens may be: token_test.) */
#include "centrifugo_fixture.h"

#include "codec/json.h"
#include "hub/stats.h"

/* Each text ends a connection of its own; the connection has connected before,
 * or has not. The first one is there already. */
static void
each_ends(const char *const *text, size_t n, bool connected)
{
	for (size_t k = 0; k < n; k++) {
		if (k > 0)
			guest_come(&alice, &centrifugo_door, "alice");
		if (connected) {
			guest_say(&alice, CONNECT);
			guest_forget(&alice);
		}
		guest_say(&alice, text[k]);
		if (alice.code != 3501)
			fail_msg("%s: %d", text[k], alice.code);
		guest_closed(&alice, 3501, "bad request");
		close(alice.fd);
	}
	alice.fd = -1;
}

#define EACH_ENDS(text, connected) \
	each_ends(text, sizeof(text) / sizeof(text[0]), connected)

/* Bob is at this door, too, in that room. */
static void
bob_comes(void)
{
	guest_come(&bob, &centrifugo_door, "bob");
	guest_say(
	    &bob, CONNECT "\n{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
	guest_forget(&bob);
}

/* What it is told of connecting, with all fields that it may send. */
static void
connects(void **state)
{
	asks("{\"id\":1,\"connect\":{\"token\":\"\",\"subs\":{},\"name\":"
	     "\"js\",\"version\":\"1\",\"headers\":{},\"data\":{\"a\":1},"
	     "\"flag\":3,\"new\":[]}}",
	    CONNECTED);
	assert_int_equal(door_hub.me->unknown_members, 1);
	asks("{\"id\":7,\"ping\":{}}", "{\"id\":7,\"ping\":{}}");
	asks(CONNECT, NULL);
	guest_closed(&alice, 3501, "bad request");
}

/* Types of fields that are wrong. */
static void
connects_badly(void **state)
{
	static const char *const bad[] = {"{\"id\":1,\"connect\":[]}",
	    "{\"id\":1,\"connect\":{\"token\":1}}",
	    "{\"id\":1,\"connect\":{\"subs\":[]}}",
	    "{\"id\":1,\"connect\":{\"name\":{}}}",
	    "{\"id\":1,\"connect\":{\"version\":2}}",
	    "{\"id\":1,\"connect\":{\"headers\":\"x\"}}",
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":1}}}"};

	EACH_ENDS(bad, false);
}

/* Nothing else before it. */
static void
not_connected(void **state)
{
	static const char *const early[] = {"{\"id\":1,\"ping\":{}}",
	    "{\"id\":1,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":1,\"publish\":{\"channel\":\"room\",\"data\":1}}",
	    "{\"id\":1,\"rpc\":{\"method\":\"who\"}}", "{}",
	    "{\"id\":1,\"refresh\":{\"token\":\"x\"}}"};

	EACH_ENDS(early, false);
}

/* Without a token, where names are not taken on trust. */
static void
secure(void **state)
{
	door_node->ch.live.insecure = 0;
	asks(CONNECT, NULL);
	guest_closed(&alice, 3501, "bad request");
}

/* Numbers that are none, and objects that are no commands. */
static void
lines_bad(void **state)
{
	static const char *const bad[] = {"", "hello", "[]", "1", "null",
	    "{\"id\":2}", "{\"id\":0,\"ping\":{}}", "{\"id\":0,\"send\":{}}",
	    "{\"id\":-1,\"ping\":{}}", "{\"id\":1.5,\"ping\":{}}",
	    "{\"id\":\"2\",\"ping\":{}}", "{\"id\":4294967296,\"ping\":{}}",
	    "{\"ping\":{}}", "{\"id\":2,\"ping\":1}", "{\"id\":2,\"dance\":{}}",
	    "{\"id\":2,\"ping\":{}", "{\"id\":2,\"ping\":{}}}",
	    "\n{\"id\":2,\"ping\":{\"a\":tru}}", "\n{\"id\":2,\"ping\":{}}"};

	EACH_ENDS(bad, true);
	/* a NUL is no blank */
	guest_come(&alice, &centrifugo_door, "alice");
	connect_alice();
	guest_say_bytes(&alice, "{\"id\":2,\"ping\":{}}", 19);
	guest_closed(&alice, 3501, "bad request");
}

/* Several in a frame, each answered in its turn; the first of two in one
 * object, in the order of the protocol. */
static void
order(void **state)
{
	asks(CONNECT "\n{\"id\":9,\"ping\":{}}\n{\"id\":8,\"subscribe\":"
		     "{\"channel\":\"room\"}}\n{\"id\":7,\"publish\":"
		     "{\"channel\":\"mute\",\"data\":1}}\n"
		     "{\"id\":4294967295,\"ping\":{}}\n",
	    CONNECTED, "{\"id\":9,\"ping\":{}}", "{\"id\":8," SUBSCRIBED,
	    ERROR(7, 103, "permission denied"),
	    "{\"id\":4294967295,\"ping\":{}}");
	asks("{\"id\":9,\"ping\":{}}\n{\"id\":9,\"ping\":{}}",
	    "{\"id\":9,\"ping\":{}}", "{\"id\":9,\"ping\":{}}");
	asks("{\"publish\":{\"channel\":\"mute\",\"data\":1},\"ping\":{},"
	     "\"id\":3}",
	    "{\"id\":3,\"ping\":{}}");
	asks("{\"\\u0069d\":4,\"p\\u0069ng\":{}}", "{\"id\":4,\"ping\":{}}");
	/* what comes behind the end is not done */
	asks("{\"id\":5,\"ping\":{}}\nx\n{\"id\":6,\"ping\":{}}",
	    "{\"id\":5,\"ping\":{}}", NULL);
	guest_closed(&alice, 3501, "bad request");
}

/* Data that is no JSON, or is nested too deep, is its own command's affair. */
static void
odd(void **state)
{
	static const char before[] =
	    "{\"id\":4,\"publish\":{\"channel\":\"room\",\"data\":";
	enum { DEEP = JSON_DEPTH_MAX };
	char deep[sizeof(before) + 2 * DEEP + 2];

	memcpy(deep, before, sizeof(before) - 1);
	connect_alice();
	asks("{\"id\":2,\"publish\":{\"channel\":\"room\",\"data\":tru}}\n"
	     "{\"id\":3,\"ping\":{}}",
	    ERROR(2, 107, "bad request"), "{\"id\":3,\"ping\":{}}");
	memset(deep + sizeof(before) - 1, '[', DEEP);
	memset(deep + sizeof(before) - 1 + DEEP, ']', DEEP);
	strcpy(deep + sizeof(before) - 1 + 2 * DEEP, "}}");
	asks(deep, ERROR(4, 107, "bad request"));
	asks("{\"id\":5,\"ping\":{}}", "{\"id\":5,\"ping\":{}}");
}

static void
subscribes(void **state)
{
	connect_alice();
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":2," SUBSCRIBED);
	asks("{\"id\":3,\"subscribe\":{\"channel\":\"room\"}}",
	    ERROR(3, 105, "already subscribed"));
	asks("{\"id\":4,\"subscribe\":{\"channel\":\"club\"}}",
	    "{\"id\":4,\"subscribe\":{}}");
	asks("{\"id\":5,\"subscribe\":{\"channel\":\"none\"}}",
	    ERROR(5, 103, "permission denied"));
	asks("{\"id\":6,\"subscribe\":{\"channel\":\"other\"}}",
	    ERROR(6, 102, "unknown channel"));
	asks("{\"id\":7,\"subscribe\":{\"channel\":\"#alice\"}}",
	    ERROR(7, 105, "already subscribed"));
	asks("{\"id\":8,\"subscribe\":{\"channel\":\"#bob\"}}",
	    ERROR(8, 103, "permission denied"));
	asks("{\"id\":9,\"subscribe\":{\"channel\":\"room\\n\"}}",
	    ERROR(9, 107, "bad request"));
	asks("{\"id\":10,\"subscribe\":{\"channel\":\"room\\ud800\"}}",
	    ERROR(10, 107, "bad request"));
	asks("{\"id\":11,\"subscribe\":{\"channel\":\"token\"}}",
	    "{\"id\":11,\"subscribe\":{}}");
	asks("{\"id\":12,\"subscribe\":{\"channel\":\"mute\"}}",
	    ERROR(12, 106, "limit exceeded"));
	asks("{\"id\":13,\"unsubscribe\":{\"channel\":\"club\"}}",
	    "{\"id\":13,\"unsubscribe\":{}}");
	asks("{\"id\":14,\"unsubscribe\":{\"channel\":\"club\"}}",
	    "{\"id\":14,\"unsubscribe\":{}}");
	asks("{\"id\":15,\"unsubscribe\":{\"channel\":\"other\"}}",
	    "{\"id\":15,\"unsubscribe\":{}}");
	asks("{\"id\":16,\"subscribe\":{\"channel\":\"mute\"}}",
	    "{\"id\":16,\"subscribe\":{}}");
	asks("{\"id\":17,\"unsubscribe\":{\"channel\":\"room\\n\"}}",
	    ERROR(17, 107, "bad request"));
}

/* Members that change what is asked for, and are not done. */
static void
members(void **state)
{
	connect_alice();
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"tf\":{\"a\":1}}}",
	    ERROR(2, 107, "bad request"));
	asks("{\"id\":3,\"subscribe\":{\"channel\":\"room\",\"type\":1}}",
	    ERROR(3, 108, "not available"));
	asks("{\"id\":4,\"publish\":{\"channel\":\"room\",\"data\":1,"
	     "\"key\":\"a\"}}",
	    ERROR(4, 108, "not available"));
	asks("{\"id\":5,\"subscribe\":{\"channel\":\"room\",\"tf\":{},"
	     "\"type\":0,\"cursor\":\"\",\"asc\":false,\"limit\":null,"
	     "\"data\":{\"x\":1},\"delta\":\"fossil\",\"positioned\":true,"
	     "\"recoverable\":true,\"join_leave\":true}}",
	    "{\"id\":5," SUBSCRIBED);
	assert_int_equal(door_hub.me->unknown_members, 0);
	/* a wrong type ends the connection, whatever else is refused */
	asks("{\"id\":6,\"subscribe\":{\"tf\":{\"a\":1},\"channel\":7}}", NULL);
	guest_closed(&alice, 3501, "bad request");
}

/* Wrong types in each command end the connection. */
static void
types(void **state)
{
	static const char *const bad[] = {
	    "{\"id\":2,\"subscribe\":{\"channel\":1}}",
	    "{\"id\":2,\"subscribe\":{}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"\"}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"offset\":-1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"epoch\":1}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"flag\":\"1\"}}",
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"token\":1}}",
	    "{\"id\":2,\"unsubscribe\":{\"channel\":[]}}",
	    "{\"id\":2,\"publish\":{\"channel\":null,\"data\":1}}",
	    "{\"id\":2,\"presence\":{}}", "{\"id\":2,\"presence_stats\":{}}",
	    "{\"id\":2,\"history\":{\"channel\":{}}}",
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":\"1\"}}",
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"since\":1}}",
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"reverse\":0}}",
	    "{\"id\":2,\"rpc\":{\"method\":1}}", "{\"id\":2,\"refresh\":{}}",
	    "{\"id\":2,\"refresh\":{\"token\":1}}",
	    "{\"id\":2,\"sub_refresh\":{\"channel\":\"room\",\"token\":1}}"};

	EACH_ENDS(bad, true);
}

static void
publishes(void **state)
{
	connect_alice();
	bob_comes();
	asks("{\"id\":2,\"publish\":{\"channel\":\"room\",\"data\":{\"a\": "
	     "[1,null]}}}",
	    "{\"id\":2,\"publish\":{}}");
	plain_texts();
	told(&bob,
	    "{\"push\":{\"channel\":\"room\",\"pub\":{\"data\":{\"a\": "
	    "[1,null]},\"info\":{\"user\":\"alice\",\"client\":\"A\"},"
	    "\"offset\":1,\"time\":T}}}");
	asks("{\"id\":3,\"publish\":{\"channel\":\"room\",\"data\":null}}",
	    "{\"id\":3,\"publish\":{}}");
	plain_texts();
	told(&bob,
	    "{\"push\":{\"channel\":\"room\",\"pub\":{\"data\":null,"
	    "\"info\":{\"user\":\"alice\",\"client\":\"A\"},"
	    "\"offset\":2,\"time\":T}}}");
	asks("{\"id\":4,\"publish\":{\"channel\":\"room\"}}",
	    ERROR(4, 107, "bad request"));
	asks("{\"id\":5,\"publish\":{\"channel\":\"mute\",\"data\":1}}",
	    ERROR(5, 103, "permission denied"));
	asks("{\"id\":6,\"publish\":{\"channel\":\"club\",\"data\":1}}",
	    ERROR(6, 103, "permission denied"));
	asks("{\"id\":7,\"publish\":{\"channel\":\"other\",\"data\":1}}",
	    ERROR(7, 102, "unknown channel"));
	told_nothing(&bob);
}

/* What the server, and the plain door, say is told here so. */
static void
hears(void **state)
{
	connect_alice();
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"talk\"}}",
	    "{\"id\":2,\"subscribe\":{}}",
	    "{\"push\":{\"channel\":\"talk\",\"join\":{\"info\":{\"user\":"
	    "\"alice\",\"client\":\"A\"}}}}");
	server_says("talk", FORMAT_TEXT, "", "a \"b\"\n");
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"talk\",\"pub\":{\"data\":{\"text\":"
	    "\"a \\\"b\\\"\\n\"},\"offset\":1,\"time\":T}}}");
	server_says("talk", FORMAT_TEXT, "joe", "x"); /* of no connection */
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"talk\",\"pub\":{\"data\":{\"text\":"
	    "\"x\"},\"info\":{\"user\":\"joe\",\"client\":\"\"},"
	    "\"offset\":2,\"time\":T}}}");
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/join talk");
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"talk\",\"join\":{\"info\":{\"user\":"
	    "\"bob\",\"client\":\"B\"}}}}");
	guest_say(&bob, "/msg alice psst");
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"#alice\",\"pub\":{\"data\":{\"text\":"
	    "\"psst\"},\"info\":{\"user\":\"bob\",\"client\":\"B\"},"
	    "\"offset\":1,\"time\":T}}}");
	guest_say(&bob, "/leave talk");
	plain_texts();
	told(&alice,
	    "{\"push\":{\"channel\":\"talk\",\"leave\":{\"info\":{\"user\":"
	    "\"bob\",\"client\":\"B\"}}}}");
}

static void
history(void **state)
{
	connect_alice();
	server_says("room", FORMAT_JSON, "", "1");
	server_says("room", FORMAT_JSON, "", "2");
	asks("{\"id\":2,\"history\":{\"channel\":\"room\"}}",
	    "{\"id\":2,\"history\":{\"publications\":[],\"epoch\":\"E\","
	    "\"offset\":2}}");
	asks("{\"id\":3,\"history\":{\"channel\":\"room\",\"limit\":-1}}",
	    "{\"id\":3,\"history\":{\"publications\":[{\"data\":1,"
	    "\"offset\":1,\"time\":T},{\"data\":2,\"offset\":2,\"time\":T}],"
	    "\"epoch\":\"E\",\"offset\":2}}");
	asks("{\"id\":4,\"history\":{\"channel\":\"room\",\"limit\":1,"
	     "\"reverse\":true}}",
	    "{\"id\":4,\"history\":{\"publications\":[{\"data\":2,"
	    "\"offset\":2,\"time\":T}],\"epoch\":\"E\",\"offset\":2}}");
	asks("{\"id\":5,\"history\":{\"channel\":\"room\",\"limit\":9,"
	     "\"since\":{\"offset\":1}}}",
	    "{\"id\":5,\"history\":{\"publications\":[{\"data\":2,"
	    "\"offset\":2,\"time\":T}],\"epoch\":\"E\",\"offset\":2}}");
	asks("{\"id\":6,\"history\":{\"channel\":\"room\",\"limit\":9,"
	     "\"since\":{\"offset\":1,\"epoch\":\"zz\"}}}",
	    ERROR(6, 112, "unrecoverable position"));
	asks("{\"id\":7,\"history\":{\"channel\":\"mute\"}}",
	    ERROR(7, 108, "not available"));
	door_node->ch.live.insecure = 0; /* who is not in it may not look */
	asks("{\"id\":8,\"history\":{\"channel\":\"room\"}}",
	    ERROR(8, 103, "permission denied"));
}

static void
presence(void **state)
{
	connect_alice();
	bob_comes();
	asks("{\"id\":2,\"presence\":{\"channel\":\"room\"}}",
	    "{\"id\":2,\"presence\":{\"presence\":{\"B\":{\"user\":\"bob\","
	    "\"client\":\"B\"}}}}");
	asks("{\"id\":3,\"presence_stats\":{\"channel\":\"room\"}}",
	    "{\"id\":3,\"presence_stats\":{\"num_clients\":1,"
	    "\"num_users\":1}}");
	asks("{\"id\":4,\"presence\":{\"channel\":\"room9\"}}",
	    "{\"id\":4,\"presence\":{\"presence\":{}}}");
	asks("{\"id\":5,\"presence_stats\":{\"channel\":\"room9\"}}",
	    "{\"id\":5,\"presence_stats\":{\"num_clients\":0,"
	    "\"num_users\":0}}");
	asks("{\"id\":6,\"presence\":{\"channel\":\"club\"}}",
	    ERROR(6, 108, "not available"));
	door_node->ch.live.who = CONF_WHOM_NONE; /* names, not numbers */
	asks("{\"id\":7,\"presence\":{\"channel\":\"room\"}}",
	    ERROR(7, 103, "permission denied"));
	asks("{\"id\":8,\"presence_stats\":{\"channel\":\"room\"}}",
	    "{\"id\":8,\"presence_stats\":{\"num_clients\":1,"
	    "\"num_users\":1}}");
	/* one user with two connections */
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":2," SUBSCRIBED);
	guest_come(&bob, &centrifugo_door, "alice");
	guest_say(&bob, CONNECT);
	guest_say(&bob, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
	asks("{\"id\":3,\"presence_stats\":{\"channel\":\"room\"}}",
	    "{\"id\":3,\"presence_stats\":{\"num_clients\":3,"
	    "\"num_users\":2}}");
}

static void
rpc(void **state)
{
	connect_alice();
	bob_comes();
	asks("{\"id\":2,\"rpc\":{\"method\":\"message\",\"data\":{\"to\":"
	     "\"bob\",\"data\":\"hi\"}}}",
	    "{\"id\":2,\"rpc\":{\"data\":{\"offset\":1,\"epoch\":\"E\","
	    "\"online\":true}}}");
	plain_texts();
	told(&bob,
	    "{\"push\":{\"channel\":\"#bob\",\"pub\":{\"data\":\"hi\","
	    "\"info\":{\"user\":\"alice\",\"client\":\"A\"},\"offset\":1,"
	    "\"time\":T}}}");
	asks("{\"id\":3,\"rpc\":{\"method\":\"message\",\"data\":{\"to\":"
	     "\"nobody\",\"data\":1}}}",
	    ERROR(3, 102, "unknown channel"));
	asks("{\"id\":4,\"rpc\":{\"method\":\"message\",\"data\":{\"to\":"
	     "\"bob\"}}}",
	    ERROR(4, 107, "bad request"));
	asks("{\"id\":5,\"rpc\":{\"method\":\"message\",\"data\":{\"to\":\"\","
	     "\"data\":1}}}",
	    ERROR(5, 107, "bad request"));
	asks("{\"id\":6,\"rpc\":{\"method\":\"who\"}}",
	    "{\"id\":6,\"rpc\":{\"data\":{\"count\":2,\"users\":[\"alice\","
	    "\"bob\"]}}}");
	asks("{\"id\":7,\"rpc\":{\"method\":\"dance\"}}",
	    ERROR(7, 108, "not available"));
	asks("{\"id\":8,\"rpc\":{}}", ERROR(8, 108, "not available"));
	door_node->ch.live.private = door_node->ch.live.who = CONF_WHOM_NONE;
	asks("{\"id\":9,\"rpc\":{\"method\":\"message\",\"data\":{\"to\":"
	     "\"bob\",\"data\":1}}}",
	    ERROR(9, 103, "permission denied"));
	asks("{\"id\":10,\"rpc\":{\"method\":\"who\"}}",
	    ERROR(10, 103, "permission denied"));
	told_nothing(&bob);
}

/* Commands that end the connection by what they are. */
static void
sends(void **state)
{
	connect_alice();
	guest_say(&alice, "{\"send\":{\"data\":1}}");
	guest_closed(&alice, 3508, "not available");
}

static void
refreshes(void **state)
{
	connect_alice();
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"club\"}}",
	    "{\"id\":2,\"subscribe\":{}}");
	asks("{\"id\":3,\"sub_refresh\":{\"channel\":\"club\"}}",
	    ERROR(3, 107, "bad request"));
	asks("{\"id\":4,\"sub_refresh\":{\"channel\":\"room\",\"token\":"
	     "\"x\"}}",
	    ERROR(4, 103, "permission denied"));
	asks("{\"id\":5,\"sub_refresh\":{\"channel\":\"club\",\"token\":"
	     "\"x\"}}",
	    ERROR(5, 103, "permission denied"));
	guest_say(&alice, "{\"id\":6,\"refresh\":{\"token\":\"x\"}}");
	guest_closed(&alice, 3500, "invalid token");
}

/* Over its rate it is told so, and is closed with the tenth in a row. A busy
 * machine may have it within its rate now and then. */
static void
rate(void **state)
{
	int k, over = 0;

	door_node->ch.live.message_rate = 1;
	door_node->ch.live.message_burst = 2;
	close(alice.fd);
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, CONNECT);
	guest_forget(&alice);
	asks("{\"id\":2,\"ping\":{}}", "{\"id\":2,\"ping\":{}}");
	for (k = 0; k < 1000 && alice.code == 0; k++) {
		guest_say(&alice, "{\"id\":3,\"ping\":{}}");
		if (alice.code != 0)
			break;
		assert_int_equal(alice.n_texts, 1);
		if (strcmp(alice.text[0], "{\"id\":3,\"ping\":{}}") == 0)
			over = -1;
		else
			assert_string_equal(alice.text[0],
			    "{\"id\":3,\"error\":{\"code\":111,\"message\":"
			    "\"too many requests\",\"temporary\":true}}");
		over++;
		guest_forget(&alice);
	}
	guest_closed(&alice, 3013, "too many requests");
	assert_int_equal(over, 9);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, door_end)
	const struct CMUnitTest tests[] = {TEST(connects), TEST(connects_badly),
	    TEST(not_connected), TEST(secure), TEST(lines_bad), TEST(order),
	    TEST(odd), TEST(subscribes), TEST(members), TEST(types),
	    TEST(publishes), TEST(hears), TEST(history), TEST(presence),
	    TEST(rpc), TEST(sends), TEST(refreshes), TEST(rate)};

	return cmocka_run_group_tests_name("centrifugo", tests, NULL, NULL);
}
