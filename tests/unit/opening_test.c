/* opening: channels whose reader says where they stand, after it was asked:
 * what waits for that, and what clients are told who have the channel from the
 * server. */
#include "opening_fixture.h"

/* Alice asks something, is told nothing, and is told that once the channel has
 * opened. */
#define asks_late(text, ...)               \
	do {                               \
		guest_say(&alice, text);   \
		told_nothing(&alice);      \
		reader_opens(0, 0);        \
		plain_texts();             \
		told(&alice, __VA_ARGS__); \
	} while (0)

#define WHERE_E "\"epoch\":\"E\",\"offset\":95,\"positioned\":true"
#define WHERE "\"epoch\":\"" STREAM_TEXT "\",\"offset\":95,\"positioned\":true"

/* A subscription begins where the reader says that the channel stands; it is
 * asked once. */
static void
test_subscribe(void **state)
{
	alice_comes();
	asks_late("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":2,\"subscribe\":{\"recoverable\":true," WHERE_E "}}");
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	told(&alice, "{\"id\":3,\"unsubscribe\":{}}");
	says(&alice, "{\"id\":4,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":4,\"subscribe\":{\"recoverable\":true," WHERE "}}");
	reader_rests();
	/* what is published goes on from there */
	server_says("room", FORMAT_JSON, "", "1");
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "\"offset\":96"));
}

/* Names are compared, not numbers: recovered from what the reader has, not from
 * what it has not. */
static void
test_recover(void **state)
{
	alice_comes();
	asks_late("{\"id\":2,\"subscribe\":{\"channel\":\"room1\",\"recover\":"
		  "true,\"offset\":86,\"epoch\":\"" STREAM_TEXT "\"}}",
	    "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":"
	    "\"E\",\"publications\":[{\"data\":\"a\","
	    "\"offset\":92,\"time\":T},{\"data\":\"b\",\"offset\":95,"
	    "\"time\":T}],\"recovered\":true,\"offset\":95,\"positioned\":true,"
	    "\"was_recovering\":true}}");
	asks_late("{\"id\":3,\"subscribe\":{\"channel\":\"room2\",\"recover\":"
		  "true,\"offset\":91,\"epoch\":\"" STREAM_TEXT "\"}}",
	    "{\"id\":3,\"subscribe\":{\"recoverable\":true," WHERE_E
	    ",\"was_recovering\":true}}");
	asks_late("{\"id\":4,\"subscribe\":{\"channel\":\"room3\",\"recover\":"
		  "true,\"offset\":95,\"epoch\":\"00000124\"}}",
	    "{\"id\":4,\"subscribe\":{\"recoverable\":true," WHERE_E
	    ",\"was_recovering\":true}}");
}

/* Over a leap who has all goes on, and who has more than the reader does not.
 */
static void
test_leap(void **state)
{
	alice_comes();
	guest_say(&alice,
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room1\",\"recover\":true,"
	    "\"offset\":95,\"epoch\":\"" STREAM_TEXT "\"}}");
	told_nothing(&alice);
	reader_opens(0, 1 << 20);
	told(&alice,
	    "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":"
	    "\"" STREAM_TEXT "\",\"recovered\":true,\"offset\":1048576,"
	    "\"positioned\":true,\"was_recovering\":true}}");
	guest_say(&alice,
	    "{\"id\":3,\"subscribe\":{\"channel\":\"room2\",\"recover\":true,"
	    "\"offset\":97,\"epoch\":\"" STREAM_TEXT "\"}}");
	reader_opens(0, 1 << 20);
	told(&alice,
	    "{\"id\":3,\"subscribe\":{\"recoverable\":true,\"epoch\":"
	    "\"" STREAM_TEXT "\",\"offset\":1048576,"
	    "\"positioned\":true,\"was_recovering\":true}}");
	server_says("room2", FORMAT_JSON, "", "1");
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "\"offset\":1048577"));
}

/* History and presence wait as well. */
static void
test_look(void **state)
{
	alice_comes();
	asks_late("{\"id\":2,\"history\":{\"channel\":\"room1\",\"limit\":1,"
		  "\"reverse\":true}}",
	    "{\"id\":2,\"history\":{\"publications\":[{\"data\":\"b\","
	    "\"offset\":95,\"time\":T}],\"epoch\":\"E"
	    "\",\"offset\":95}}");
	asks_late("{\"id\":3,\"presence\":{\"channel\":\"room2\"}}",
	    "{\"id\":3,\"presence\":{\"presence\":{}}}");
	asks_late("{\"id\":4,\"presence_stats\":{\"channel\":\"room3\"}}",
	    "{\"id\":4,\"presence_stats\":{\"num_clients\":0,\"num_users\":"
	    "0}}");
}

/* Of several commands in a frame those behind the one that waits do, too. */
static void
test_frame(void **state)
{
	alice_comes();
	says(&alice,
	    "{\"id\":2,\"ping\":{}}\n{\"id\":3,\"subscribe\":{\"channel\":"
	    "\"room\"}}\n{\"id\":4,\"ping\":{}}",
	    "{\"id\":2,\"ping\":{}}");
	reader_opens(0, 0);
	told(&alice,
	    "{\"id\":3,\"subscribe\":{\"recoverable\":true," WHERE "}}",
	    "{\"id\":4,\"ping\":{}}");
}

/* The reader cannot say it: refused for now, and it is asked again. */
static void
test_refused(void **state)
{
	alice_comes();
	for (int k = 0; k < 2; k++) {
		guest_say(
		    &alice, "{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
		told_nothing(&alice);
		reader_opens(RESULT_TEMPORARY, 0);
		told(&alice,
		    "{\"id\":2,\"error\":{\"code\":100,\"message\":\"internal "
		    "server error\",\"temporary\":true}}");
	}
	assert_int_equal(subscription_count(&door_hub, alice.conn), 0);
}

/* At the plain door. */
static void
test_plain(void **state)
{
	guest_come(&alice, &plain_door, "alice");
	reader_opens(0, 0); /* the lobby, or her own channel */
	asks_late("/join room1", "* joined room1");
	asks_late("/history room2 1",
	    "* history of room2, older ones: /history room2 1 95\n* [room2] "
	    "*server* says: \"b\"");
	guest_say(&alice, "/join room3");
	reader_opens(RESULT_TEMPORARY, 0);
	told(&alice, "* busy, try again");
}

#define CONNECTED_COLD                                                         \
	"{\"id\":1,\"connect\":{\"client\":\"A\",\"version\":\"" CHATD_VERSION \
	"\"," LIMITS ",\"ping\":25,\"pong\":true}}"
#define PUSHED                                                              \
	"{\"push\":{\"channel\":\"#alice\",\"subscribe\":{\"recoverable\":" \
	"true," WHERE "}}}"

/* Alice connects; her own channel is not open. */
static void
connects_cold(void)
{
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, CONNECT);
	plain_texts();
	told(&alice, CONNECTED_COLD);
	assert_true(door_hub.slot[alice.conn].offset == SLOT_OFFSET_UNKNOWN);
}

/* A connect does not wait: where the own channel stands is pushed, and what is
 * published from there on is delivered. */
static void
test_connect(void **state)
{
	connects_cold();
	reader_opens(0, 0);
	told(&alice, PUSHED);
	assert_int_equal(door_hub.slot[alice.conn].offset, TOP);
	server_says("#alice", FORMAT_JSON, "", "1");
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "\"offset\":96"));
	reader_rests();
}

/* A worker that dies at each place of that: told once. */
static void
test_connect_again(void **state)
{
	struct slot *s;
	uint64_t before;

	connects_cold();
	s = &door_hub.slot[alice.conn];
	before = journal_tail(&door_hub);
	reader_opens(0, 0);
	told(&alice, PUSHED);
	/* it is in the output, and its offset was not stored */
	s->offset = SLOT_OFFSET_UNKNOWN;
	SHM_STORE(door_hub.line[0].cursor, before);
	door_settle();
	told_nothing(&alice);
	assert_int_equal(s->offset, TOP);
}

/* It has opened while the connection was on its way to another worker: told
 * where it stays, or arrives. */
static void
test_connect_moving(void **state)
{
	connects_cold();
	assert_int_equal(give_freeze(&door_node->ch, 1), alice.conn);
	reader_opens(0, 0);
	told_nothing(&alice);
	assert_true(door_hub.slot[alice.conn].offset == SLOT_OFFSET_UNKNOWN);
	give_done(&door_node->ch, 1, alice.id);
	door_settle();
	told(&alice, PUSHED);
	assert_int_equal(door_hub.slot[alice.conn].offset, TOP);
}

/* The reader cannot say it: it is asked again, by the sweep, not before. */
static void
test_connect_refused(void **state)
{
	connects_cold();
	reader_opens(RESULT_TEMPORARY, 0);
	told_nothing(&alice);
	reader_rests();
	assert_false(
	    opening_is_lost(&door_node->ch, door_hub.slot[alice.conn].user));
	assert_false(
	    opening_is_lost(&door_node->ch, door_hub.slot[alice.conn].user));
	reader_opens(0, 0);
	told(&alice, PUSHED);
}

/* A takeover is no new beginning of the time that a command waits. */
static void
test_taken_over(void **state)
{
	static const struct adopt_fault no_fault;
	struct channel_position at;
	struct adopt_result result;
	struct node *next;
	int fd[100] = {0};
	uint8_t flags;

	alice_comes();
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"talk\"}}");
	told_nothing(&alice);
	door_hub.slot[alice.conn].message_ms -= HOLD_OPENED_MS - 500;
	fd[alice.conn] = node_fd(door_node, alice.conn) + 1;
	assert_int_equal(
	    channel_find(&door_node->ch, "talk", 4, false, &at), CHANNEL_COLD);
	flags = presence_flags(&door_hub, at.channel);
	next = node_new(&door_hub, 0); /* which goes by other rules */
	SHM_STORE(door_hub.entry[at.channel].flags, flags);
	next->h.flags_of = flags_of;
	next->ch.live = door_node->ch.live;
	door_node = next;
	node_adopt(next, fd, &no_fault, &result);
	assert_int_equal(result.adopted, 1);
	door_settle();
	hold_sweep(&next->ch);
	door_settle();
	told_nothing(&alice);
	next->ch.now_ms += 600;
	hold_sweep(&next->ch);
	door_settle();
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "\"code\":100"));
}

/* The rules take the channel's reader away: it is not waited for any more. */
static void
test_reader_taken(void **state)
{
	struct channel_position at;

	alice_comes();
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"talk\"}}");
	told_nothing(&alice);
	assert_int_equal(
	    channel_find(&door_node->ch, "talk", 4, false, &at), CHANNEL_COLD);
	hub_lock(&door_hub);
	presence_flags_set(&door_hub, at.channel, 0);
	hub_unlock(&door_hub);
	opening_sweep(&door_node->ch);
	chat_turn(&door_node->ch);
	door_settle();
	assert_int_equal(alice.n_texts, 2); /* her join, too */
	assert_non_null(strstr(alice.text[0], "\"id\":2,\"subscribe\":{"));
}

/* For reader_opening(). */
static void
behind_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	struct publication *asked = arg;

	asked->channel = channel;
	asked->epoch = epoch;
}

/* The reader is too far behind to be asked by an entry of the journal when a
 * client comes: it finds by itself that it is. */
static void
test_behind(void **state)
{
	_Atomic uint64_t *end = &door_hub.heads->reader[READER_ENGINE].end;
	const struct reader_opening o = {.stream = STREAM};
	struct publication asked = {.epoch = 0};
	uint64_t was, tail;

	alice_comes();
	was = SHM_LOAD(*end);
	SHM_STORE(*end, was - door_hub.reader_share - 1);
	tail = journal_tail(&door_hub);
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"talk\"}}");
	told_nothing(&alice);
	opening_sweep(&door_node->ch);
	assert_true(journal_tail(&door_hub) == tail);
	reader_opening(&reader, behind_cb, &asked);
	assert_int_not_equal(
	    reader_opened(&reader, asked.channel, asked.epoch, &o), 0);
	door_settle();
	assert_int_not_equal(alice.n_texts, 0);
	assert_non_null(strstr(alice.text[0], "\"id\":2,\"subscribe\":{"));
	SHM_STORE(*end, was);
	reader_rests();
}

/* What the reader has said was overwritten: the client begins anew. */
static void
test_connect_lost(void **state)
{
	struct publication asked;

	connects_cold();
	assert_int_equal(reader_takes(&asked), 1);
	assert_int_not_equal(reader_opened(&reader, asked.channel, asked.epoch,
				 &(struct reader_opening){.top = TOP}),
	    0);
	assert_false(opening_is_lost(&door_node->ch, asked.channel));
	SHM_STORE(door_hub.line[0].cursor, journal_tail(&door_hub));
	assert_true(opening_is_lost(&door_node->ch, asked.channel));
	centrifugo_door.sweep(&door_node->ch, alice.conn);
	door_settle();
	guest_closed(&alice, 3010, "insufficient state");
}

/* Who wants to go on there waits for it. */
static void
test_connect_recover(void **state)
{
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice,
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":true,"
	    "\"offset\":92,\"epoch\":\"" STREAM_TEXT "\"}}}}");
	told_nothing(&alice);
	reader_opens(0, 0);
	plain_texts();
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0],
	    "\"subs\":{\"#alice\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"publications\":[{\"data\":\"b\",\"offset\":95,\"time\":T}],"
	    "\"recovered\":true,\"offset\":95,\"positioned\":true,"
	    "\"was_recovering\":true}}"));
	reader_rests();
}

/* In vain: it is connected, and told that it has not recovered; and where the
 * channel stands once that is known. */
static void
test_connect_in_vain(void **state)
{
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice,
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":true,"
	    "\"offset\":92,\"epoch\":\"" STREAM_TEXT "\"}}}}");
	reader_opens(RESULT_TEMPORARY, 0);
	plain_texts();
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(
	    alice.text[0], "\"subs\":{\"#alice\":{\"was_recovering\":true}}"));
	guest_forget(&alice);
	reader_opens(0, 0);
	told(&alice, PUSHED);
}

/* A subscription of the server's opens behind, too. */
static void
test_server(void **state)
{
	const struct subscription terms = {.flags = SUBSCRIPTION_SERVER};
	struct channel_position at;
	uint32_t sub;

	alice_comes();
	assert_int_equal(channel_subscribe(&door_node->ch, alice.conn, "room",
			     4, &terms, &at, &sub),
	    CHANNEL_OK);
	assert_true(at.offset == SUBSCRIPTION_HELD);
	reader_opens(0, 0);
	told(&alice,
	    "{\"push\":{\"channel\":\"room\",\"subscribe\":{\"recoverable\":"
	    "true," WHERE "}}}");
	assert_int_equal(SHM_OWN(door_hub.subscription[sub].offset), TOP);
	server_says("room", FORMAT_JSON, "", "1");
	assert_int_equal(alice.n_texts, 1);
}

/* What a reader says to be missing is told as what the ring has overwritten. */
static void
test_hole(void **state)
{
	struct presence_view v;
	uint32_t room;

	alice_comes();
	guest_come(&bob, &plain_door, "bob");
	reader_opens(0, 0);
	asks_late("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
	    "{\"id\":2,\"subscribe\":{\"recoverable\":true," WHERE_E "}}");
	guest_say(&bob, "/join room");
	told(&bob, "* joined room");
	room = subscription_channel(&door_hub.subscription[channel_subscription(
	    &door_node->ch, alice.conn, "room", 4)]);
	assert_true(presence_read(&door_hub, room, &v));
	assert_int_not_equal(
	    reader_leap(&reader, room, v.epoch, TOP + 5, true), 0);
	door_settle();
	for (int k = 0; k < 2; k++)
		door_node->ch
		    .door[door_node->ch.conn[k ? bob.conn : alice.conn].door]
		    ->drained(&door_node->ch, k ? bob.conn : alice.conn);
	door_settle();
	told(&alice,
	    "{\"push\":{\"channel\":\"room\",\"unsubscribe\":{\"code\":2500,"
	    "\"reason\":\"insufficient state\"}}}");
	told(&bob, "* messages were skipped");
	/* and nobody goes on from before it */
	guest_say(&alice,
	    "{\"id\":3,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":95,\"epoch\":\"" STREAM_TEXT "\"}}");
	told(&alice,
	    "{\"id\":3,\"subscribe\":{\"recoverable\":true,\"epoch\":"
	    "\"" STREAM_TEXT "\",\"offset\":100,\"positioned\":true,"
	    "\"was_recovering\":true}}");
}

/* Formats that are nobody's are passed over, as is a leap that is no hole. */
static void
test_nobodys(void **state)
{
	struct publication p = {.user = "", .data = ""};
	struct hub *h = &door_node->h;
	struct presence_view v;

	alice_comes();
	guest_say(&alice, "{\"id\":2,\"subscribe\":{\"channel\":\"talk\"}}");
	reader_opens(0, 0);
	assert_int_equal(alice.n_texts, 2); /* her join, too */
	guest_forget(&alice);
	for (uint8_t format = FORMAT_RESULT; format < FORMATS; format++) {
		if (format == FORMAT_LEAP)
			continue;
		hub_lock(h);
		p.channel = presence_find(h, "talk", 4);
		p.format = format;
		p.error = RESULT_TEMPORARY;
		journal_append_event(h, &p, 0, 1);
		hub_unlock(h);
		door_settle();
		told_nothing(&alice);
	}
	assert_true(presence_read(&door_hub, p.channel, &v));
	reader_leap(&reader, p.channel, v.epoch, TOP + 5, false);
	door_settle();
	assert_int_equal(door_hub.slot[alice.conn].skipped, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_subscribe),
	    TEST(test_recover), TEST(test_leap), TEST(test_look),
	    TEST(test_frame), TEST(test_refused), TEST(test_plain),
	    TEST(test_connect), TEST(test_connect_again),
	    TEST(test_connect_moving), TEST(test_connect_refused),
	    TEST(test_connect_lost), TEST(test_connect_recover),
	    TEST(test_connect_in_vain), TEST(test_server), TEST(test_hole),
	    TEST(test_behind), TEST(test_nobodys), TEST(test_taken_over),
	    TEST(test_reader_taken)};

	return cmocka_run_group_tests_name("opening", tests, NULL, NULL);
}
