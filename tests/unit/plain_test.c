/* plain: the words of the plain door, what each is answered, and what is told
 * of what others say, byte by byte. */
#include "door_fixture.h"

#include "../../src/door/plain/plain.h"

/* Alice and bob are at this door. */
static int
begin(void **state)
{
	door_begin(state);
	guest_come(&alice, &plain_door, "alice");
	guest_come(&bob, &plain_door, "bob");
	return 0;
}

/* All get it, who says it, too; nothing of it is another. */
static void
lobby(void **state)
{
	static const char bytes[] = "a\0b";

	guest_say(&alice, "hello");
	told(&alice, "alice says: hello");
	told(&bob, "alice says: hello");
	guest_say(&bob, " two\nlines\t\xc3\xa9 ");
	told(&alice, "bob says:  two\nlines\t\xc3\xa9 ");
	guest_forget(&bob);
	guest_say(&alice, "");
	told(&bob, "alice says: ");
	guest_say_bytes(&alice, bytes, 3);
	assert_int_equal(bob.n_texts, 1);
	assert_memory_equal(bob.text[0], "alice says: a\0b", 16);
}

/* A slash that is none, and words that are none. */
static void
slashes(void **state)
{
	guest_say(&alice, "//me");
	told(&alice, "alice says: /me");
	guest_say(&alice, "//");
	told(&alice, "alice says: /");
	told(&bob, "alice says: /me", "alice says: /");
	says(&alice, "/", "* unknown command /, try /help");
	says(&alice, "/ who", "* unknown command /, try /help");
	says(&alice, "/whom", "* unknown command /whom, try /help");
	says(&alice, "/WHO", "* unknown command /WHO, try /help");
	says(
	    &alice, "/nothing at all", "* unknown command /nothing, try /help");
	says(&alice, "/a\nb", "* unknown command \"/a\\u{a}b\", try /help");
	guest_say(&alice, " /who");
	told(&bob, "alice says:  /who");
}

static void
whispers(void **state)
{
	char text[300], wanted[300];

	guest_say(&alice, "/msg bob hi  there ");
	told_nothing(&alice);
	told(&bob, "alice whispers: hi  there ");
	guest_say(&alice, "/msg \"bob\" x");
	told(&bob, "alice whispers: x");
	guest_say(&alice, "/msg alice x");
	told(&alice, "alice whispers: x");
	guest_say(&alice, "/msg bob /who");
	told(&bob, "alice whispers: /who");
	says(&alice, "/msg nobody x", "* nobody is not connected");
	says(&alice, "/msg \"a b\" x", "* \"a b\" is not connected");
	says(&alice, "/msg BOB x", "* BOB is not connected");
	snprintf(text, sizeof(text), "/msg %0256d x", 0); /* of nobody */
	snprintf(wanted, sizeof(wanted), "* %0255d is not connected", 0);
	says(&alice, text, wanted);
	says(&alice, "/msg", "* usage: /msg USER TEXT");
	says(&alice, "/msg bob", "* usage: /msg USER TEXT");
	says(&alice, "/msg \"bob x", "* usage: /msg USER TEXT");
	door_node->ch.live.private = CONF_WHOM_NONE;
	says(&alice, "/msg bob x", "* no private messages are sent here");
	told_nothing(&bob);
}

static void
who(void **state)
{
	says(&alice, "/who", "* 2 users: alice, bob");
	says(&alice, "/who is here", "* 2 users: alice, bob");
	guest_send(&bob, 0x80 | WS_CLOSE, "\x03\xe8", 2);
	says(&alice, "/who", "* 1 user: alice");
	door_node->ch.live.who = CONF_WHOM_NONE;
	says(&alice, "/who", "* who is here is not told");
}

/* All words are in the help, and each of its lines is one of an answer. */
static void
help(void **state)
{
	static const char *const words[] = {"/msg", "/who", "/join", "/leave",
	    "/rooms", "/to", "/history", "/help", "//TEXT"};
	const char *line;

	guest_say(&alice, "/help");
	assert_int_equal(alice.n_texts, 1);
	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
		assert_non_null(strstr(alice.text[0], words[k]));
	for (line = alice.text[0]; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		assert_memory_equal(line, "* ", 2);
	}
}

static void
joining(void **state)
{
	says(&alice, "/rooms", "* you are in lobby");
	says(&alice, "/join room", "* joined room");
	says(&alice, "/join room", "* you are in room already");
	says(&alice, "/join lobby", "* you are in lobby already");
	says(&alice, "/join none", "* you may not join none");
	says(&alice, "/join other", "* there is no room other");
	says(&alice, "/join \"#bob\"", "* #bob is not a room");
	says(&alice, "/join", "* usage: /join ROOM");
	says(&alice, "/join room two", "* usage: /join ROOM");
	says(&alice, "/join \"room", "* usage: /join ROOM");
	says(&alice, "/join \"room two\"", "* joined \"room two\"");
	says(&alice, "/join users", "* joined users");
	says(&alice, "/join club", "* you are in too many rooms to join club");
	says(&alice, "/rooms", "* you are in lobby, users, \"room two\", room");
	says(&alice, "/leave users", "* left users");
	door_node->ch.live.insecure = 0;
	says(&alice, "/join token", "* you may not join token");
	door_node->ch.live.insecure = 1;
	says(&alice, "/join token", "* joined token");
	told_nothing(&bob);
}

static void
leaving(void **state)
{
	says(&alice, "/leave room", "* you are not in room");
	says(&alice, "/leave lobby", "* everybody here is in the lobby");
	says(&alice, "/leave", "* usage: /leave ROOM");
	says(&alice, "/join room", "* joined room");
	says(&alice, "/leave room", "* left room");
	says(&alice, "/leave room", "* you are not in room");
	guest_say(&bob, "/to room hi");
	told_nothing(&alice);
	says(&alice, "/rooms", "* you are in lobby");
}

static void
in_rooms(void **state)
{
	says(&bob, "/join room", "* joined room");
	guest_say(&alice, "/to room hi  all");
	told_nothing(&alice); /* who is not in it does not hear it */
	told(&bob, "[room] alice says: hi  all");
	says(&bob, "/join \"room two\"", "* joined \"room two\"");
	guest_say(&alice, "/to \"room two\" x");
	told(&bob, "[\"room two\"] alice says: x");
	guest_say(&alice, "/to lobby x");
	told(&alice, "alice says: x");
	told(&bob, "alice says: x");
	says(&alice, "/to mute x", "* you may not write to mute");
	says(&alice, "/to club x", "* you are not in club");
	says(&alice, "/to other x", "* there is no room other");
	says(&alice, "/to room", "* usage: /to ROOM TEXT");
	says(&alice, "/to", "* usage: /to ROOM TEXT");
	says(&alice, "/join club", "* joined club");
	says(&alice, "/to club x", "[club] alice says: x");
	told_nothing(&bob);
}

static void
history(void **state)
{
	says(&alice, "/history room", "* nothing was said in room");
	guest_say(&alice, "/to room one");
	guest_say(&bob, "/to room two");
	says(&alice, "/history room",
	    "* history of room\n* [room] alice says: one\n"
	    "* [room] bob says: two");
	says(&alice, "/history room 1",
	    "* history of room, older ones: /history room 1 2\n"
	    "* [room] bob says: two");
	says(&alice, "/history room 1 2",
	    "* history of room\n* [room] alice says: one");
	says(&alice, "/history room 5 1", "* nothing older was said in room");
	says(&alice, "/history room 5 999999999999999999",
	    "* history of room\n* [room] alice says: one\n"
	    "* [room] bob says: two");
	guest_say(&alice, "/to room a\nb\r\nc");
	says(&alice, "/history room 1",
	    "* history of room, older ones: /history room 1 3\n"
	    "* [room] alice says: a\n    b\r\n    c");
	says(&alice, "/history room 100",
	    "* history of room\n* [room] alice says: one\n"
	    "* [room] bob says: two\n"
	    "* [room] alice says: a\n    b\r\n    c");
	server_says("room", FORMAT_JSON, "", "{\"text\":\"x\\ny\"}");
	says(&alice, "/history room 1",
	    "* history of room, older ones: /history room 1 4\n"
	    "* [room] *server* says: x\n    y");
	says(&alice, "/history mute", "* mute keeps no history");
	says(&alice, "/history other", "* other keeps no history");
	says(&alice, "/history \"#bob\"", "* #bob keeps no history");
	says(&alice, "/history", "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 0",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room x",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room -1",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 1 ",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 5 0",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 5 2 1",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 5 x",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
	says(&alice, "/history room 99999999999999999999",
	    "* usage: /history ROOM [1 to 1000 [BEFORE]]");
}

/* Ten of many, of those that there are. */
static void
history_default(void **state)
{
	char text[32];
	int k;

	for (k = 0; k < 12; k++) {
		snprintf(text, sizeof(text), "/to room text %d", k);
		guest_say(&alice, text);
	}
	guest_say(&alice, "/history room");
	assert_int_equal(alice.n_texts, 1);
	assert_null(strstr(alice.text[0], "text 1\n"));
	assert_non_null(strstr(alice.text[0], "text 2\n"));
	assert_non_null(strstr(alice.text[0], "text 11"));
}

/* How many lines of a text have that in them. */
static int
lines_with(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* As many as the room keeps, and never more than a thousand. */
static void
history_most(void **state)
{
	struct conf_live *live = &door_node->ch.live;

	for (int k = 0; k < 1020; k++)
		server_says("room", FORMAT_TEXT, "joe", "x");
	guest_say(&alice, "/history room 100");
	assert_int_equal(lines_with(alice.text[0], "joe says: x"), 20);
	guest_forget(&alice);
	live->channel[0].history = 2000;
	guest_say(&alice, "/history room 2000");
	assert_int_equal(lines_with(alice.text[0], "joe says: x"), 1000);
}

/* Rooms whose names are more than an answer holds are counted, also one that
 * would fit behind one that did not. */
static void
rooms_many(void **state)
{
	enum { ROOMS = 95 };
	char text[400];
	int told, more = 0;
	const char *at;

	door_node->ch.live.connection_channels = ROOMS + 1;
	guest_say(&alice, "/join room");
	for (int k = 0; k < ROOMS; k++) {
		at = text + snprintf(text, sizeof(text), "/join room%02d", k);
		for (int n = 0; n < 124; n++) /* U+AD, told as six bytes */
			strcat(text, "\xc2\xad");
		assert_true(strlen(text) - 6 <= CONF_CHANNEL_NAME_MAX);
		guest_say(&alice, text);
	}
	guest_forget(&alice);
	guest_say(&alice, "/rooms");
	assert_int_equal(alice.n_texts, 1);
	told = lines_with(alice.text[0], "\"room");
	at = strstr(alice.text[0], ", and ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, ", and %d more", &more), 1);
	assert_in_range(told, 60, ROOMS);
	assert_int_equal(told + more, ROOMS + 1);
	assert_null(strstr(alice.text[0], ", room"));
}

/* Messages that were passed over are told once, by number if that is known. */
static void
skipped(void **state)
{
	struct slot *s = &door_hub.slot[alice.conn];
	struct subscription *sub;
	uint32_t k;

	says(&alice, "/join room", "* joined room");
	k = channel_subscription(&door_node->ch, alice.conn, "room", 4);
	sub = &door_hub.subscription[k];
	for (uint32_t n = 1; n <= 2; n++) {
		s->skipped = n;
		s->flags |= SLOT_GAP;
		sub->flags |= SUBSCRIPTION_GAP;
		plain_door.drained(&door_node->ch, alice.conn);
		door_settle();
		told(&alice,
		    n == 1 ? "* 1 message was skipped"
			   : "* 2 messages were skipped");
		assert_int_equal(s->skipped, 0);
		assert_int_equal(s->flags & SLOT_GAP, 0);
		assert_int_equal(sub->flags & SUBSCRIPTION_GAP, 0);
	}
	s->skipped = 1 | SLOT_SKIPPED_MORE;
	plain_door.drained(&door_node->ch, alice.conn);
	door_settle();
	told(&alice, "* messages were skipped");
}

/* A worker died after a room was left and before that was told: its successor
 * tells it, for that command alone. */
static void
left_before(void **state)
{
	const struct slot *s = &door_hub.slot[alice.conn];
	static const char leave[] = "/leave room";

	says(&alice, "/join room", "* joined room");
	says(&alice, leave, "* left room");
	assert_int_equal(
	    s->left, (uint32_t)KEY_POSITION(SHM_LOAD(s->answered)));
	door_node->ch.replaying = true;
	for (uint64_t at = s->left; at <= s->left + 1; at++) {
		SHM_STORE(door_hub.slot[alice.conn].answered, 0);
		door_node->ch.answers = 0;
		plain_door.message(&door_node->ch, alice.conn, WS_TEXT, leave,
		    sizeof(leave) - 1, at);
		door_node->ch.replaying = true;
		door_settle();
		told(&alice,
		    at == s->left ? "* left room" : "* you are not in room");
	}
	door_node->ch.replaying = false;
	door_node->ch.answers = 0;
}

/* What is left out when an answer would be more than half of what may wait. */
static void
history_long(void **state)
{
	static char text[8010] = "/to room ";
	size_t len;
	int k;

	memset(text + 9, 'x', 4000);
	for (k = 0; k < 6; k++)
		guest_say(&alice, text);
	door_node->ch.live.queue_bytes = 20000;
	guest_say(&alice, "/history room 6");
	assert_int_equal(alice.n_texts, 1);
	len = strlen(alice.text[0]);
	assert_in_range(len, 3 * 4000, 20000 / 2 + 4096);
	assert_non_null(
	    strstr(alice.text[0], "room, older ones: /history room 6 4\n"));
	guest_forget(&alice);
	guest_say(&alice, "/history room 6 4");
	assert_int_equal(lines_with(alice.text[0], "alice says: x"), 3);
	assert_null(strstr(alice.text[0], "older"));
	guest_forget(&alice);
	/* the newest alone is longer than that */
	memset(text + 9, 'x', 8000);
	guest_say(&alice, text);
	door_node->ch.live.queue_bytes = 4096;
	says(&alice, "/history room 6",
	    "* too long, older ones: /history room 6 7");
}

/* JSON as people read it. */
static void
json(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {{"{\"text\":\"hi\"}", "hi"},
	    {"{ \"text\" : \"a\\\"b\\u00e9\\n\" }", "a\"b\xc3\xa9\n"},
	    {"{\"text\":\"\"}", ""}, {"{\"t\\u0065xt\":\"x\"}", "x"},
	    {"{\"text\":1}", "{\"text\":1}"},
	    {"{\"text\":\"a\", \"b\":2}", "{\"text\":\"a\",\"b\":2}"},
	    {"{\"b\":2,\"text\":\"a\"}", "{\"b\":2,\"text\":\"a\"}"},
	    {"\"text\"", "\"text\""}, {"[1, 2 ]", "[1,2]"}, {"null", "null"},
	    {" {} ", "{}"}};
	char wanted[64];

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		server_says("lobby", FORMAT_JSON, "", cases[k].json);
		snprintf(
		    wanted, sizeof(wanted), "*server* says: %s", cases[k].text);
		told(&bob, wanted);
	}
}

/* Who it is that says it. */
static void
speakers(void **state)
{
	server_says("lobby", FORMAT_TEXT, "", "x");
	told(&bob, "*server* says: x");
	server_says("lobby", FORMAT_TEXT, "*server*", "x");
	told(&bob, "*server* says: x");
	server_says("lobby", FORMAT_TEXT, "joe", "x");
	told(&bob, "joe says: x");
	server_says("lobby", FORMAT_TEXT, "a b", "x");
	told(&bob, "\"a b\" says: x");
	server_says("lobby", FORMAT_TEXT, "a\nb", "x");
	told(&bob, "\"a\\u{a}b\" says: x");
	server_says("#bob", FORMAT_TEXT, "joe", "x");
	told(&bob, "joe whispers: x");
	guest_forget(&alice);
	close(alice.fd);
	guest_come(&alice, &centrifugo_door, "");
	guest_say(&alice, "{\"id\":1,\"connect\":{}}");
	says(&bob, "/join room", "* joined room");
	guest_say(&alice,
	    "{\"id\":2,\"publish\":{\"channel\":\"room\",\"data\":\"x\"}}");
	told(&bob, "[room] *anonymous* says: \"x\"");
}

/* Those who come and go are not told here. */
static void
joins(void **state)
{
	says(&bob, "/join talk", "* joined talk");
	says(&alice, "/join talk", "* joined talk");
	says(&alice, "/leave talk", "* left talk");
	told_nothing(&bob);
}

/* What ends a connection. */
static void
ends(void **state)
{
	guest_send(&alice, 0x80 | WS_BINARY, "x", 1);
	guest_closed(&alice, 1003, "text only");
	door_node->ch.live.message_rate = 1;
	door_node->ch.live.message_burst = 2;
	guest_say(&bob, "/rooms"); /* it has come before: as much as then */
	guest_forget(&bob);
	for (int k = 0; k < 100 && bob.code == 0; k++) {
		guest_say(&bob, "/rooms");
		guest_forget(&bob);
	}
	guest_closed(&bob, 1008, "message rate");
}

/* Too long a message, and one that is just as long as may be. */
static void
lengths(void **state)
{
	static char text[8193];

	memset(text, 'x', sizeof(text));
	guest_say_bytes(&alice, text, 8192);
	assert_int_equal(bob.n_texts, 1);
	assert_int_equal(strlen(bob.text[0]), 8192 + strlen("alice says: "));
	guest_forget(&alice);
	guest_say_bytes(&alice, text, 8193);
	guest_closed(&alice, 1009, "message too big");
}

/* What a text is with each kind of line break, as part of an answer. */
static void
breaks(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {{"", ""}, {"a", "a"}, {"a\nb", "a\n    b"},
	    {"a\r\nb", "a\r\n    b"}, {"a\rb", "a\r    b"},
	    {"a\n\nb", "a\n    \n    b"}, {"a\n", "a\n    "},
	    {"\na", "\n    a"}, {"a\vb", "a\v    b"}, {"a\fb", "a\f    b"},
	    {"a\x1c"
	     "b",
		"a\x1c    b"},
	    {"a\x1d"
	     "b",
		"a\x1d    b"},
	    {"a\x1e"
	     "b",
		"a\x1e    b"},
	    {"a\x1f"
	     "b",
		"a\x1f"
		"b"},
	    {"a\tb", "a\tb"},
	    {"a\xc2\x85"
	     "b",
		"a\xc2\x85    b"},
	    {"a\xc2\x84"
	     "b",
		"a\xc2\x84"
		"b"},
	    {"a\xe2\x80\xa8"
	     "b",
		"a\xe2\x80\xa8    b"},
	    {"a\xe2\x80\xa9"
	     "b",
		"a\xe2\x80\xa9    b"},
	    {"a\xe2\x80\xaa"
	     "b",
		"a\xe2\x80\xaa"
		"b"},
	    {"a\xe2\x80", "a\xe2\x80"}, {"a\xc2", "a\xc2"}, {"a\r", "a\r    "}};
	struct json_writer w;

	json_writer_init_growing(&w, 1000);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		json_writer_reset(&w);
		plain_put_text(&w, cases[k].text, strlen(cases[k].text));
		assert_int_equal(w.len, strlen(cases[k].wanted));
		if (w.len > 0)
			assert_memory_equal(w.buf, cases[k].wanted, w.len);
	}
	json_writer_deinit(&w);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, door_end)
	const struct CMUnitTest tests[] = {TEST(lobby), TEST(slashes),
	    TEST(whispers), TEST(who), TEST(help), TEST(joining), TEST(leaving),
	    TEST(in_rooms), TEST(history), TEST(history_default),
	    TEST(history_long), TEST(history_most), TEST(rooms_many),
	    TEST(skipped), TEST(left_before), TEST(json), TEST(speakers),
	    TEST(joins), TEST(ends), TEST(lengths), cmocka_unit_test(breaks)};

	return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
