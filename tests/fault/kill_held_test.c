/* kill_held: commands whose answer comes later, at each door: what is answered
 * when, and that nothing behind them is looked at before. Which channels are a
 * reader's, a kill build knows by their names (room/kept.h). */
#include "../unit/door_fixture.h"

#include "kill_answerer.h"

static struct answerer reader;

/* A worker and a reader, before each test. */
static int
begin(void **state)
{
	struct conf_live *live;
	struct conf_channel *c;

	fixture_hub_readers(&door_hub, 64, 100, ANSWERER_JOURNAL, 4 << 20,
	    1 << 20, 1 << READER_HOOKS, 0);
	door_node = node_judging(&door_hub, 0);
	live = &door_node->ch.live;
	live->message_size = 8192;
	live->connect_ms = 15000;
	live->connection_channels = 10;
	live->private = live->who = CONF_WHOM_USERS;
	strcpy(live->api_key, "key");
	c = rule_add(live, "*");
	c->history = 20;
	c->recovery = 1;
	rule_add(live, "#*");
	answerer_begin(&reader, &door_hub);
	alice.fd = bob.fd = -1;
	return 0;
}

/* The reader reads what there is, and gives all that asks that answer, or
 * none: RESULT_ERRORS. */
static void
reader_turn(enum result_error error)
{
	answerer_turn(&reader, error);
	door_settle();
}

/* So much time passes. */
static void
wait_ms(uint32_t ms)
{
	door_node->ch.now_ms += ms;
	hold_sweep(&door_node->ch);
	door_settle();
}

/* A guest's connection waits, or not; what waits is kept. */
static void
assert_held(const struct guest *g, bool held)
{
	const struct conn *c = &door_node->ch.conn[g->conn];

	assert_int_equal(c->held, held);
	assert_int_equal(c->waits, held);
	assert_int_equal(door_node->ch.n_waiting, 0);
	assert_true(held == (input_part(&door_hub, g->conn) != NULL));
	assert_int_equal(conn_unread(&door_node->ch, g->conn), held);
}

/* Alice connects at the Centrifugo door, bob at the plain one; the channels
 * that tests use are open. */
static void
come(void)
{
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, "{\"id\":1,\"connect\":{}}");
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/join acked");
	reader_turn(RESULT_OK);
	guest_say(&bob, "/join strict");
	reader_turn(RESULT_OK);
	guest_forget(&alice);
	guest_forget(&bob);
	assert_held(&bob, false);
}

#define PUBLISH(id, channel, data)                            \
	"{\"id\":" #id ",\"publish\":{\"channel\":\"" channel \
	"\",\"data\":" data "}}"
#define PING(id) "{\"id\":" #id ",\"ping\":{}}"
#define DONE(id, what) "{\"id\":" #id ",\"" what "\":{}}"
#define REFUSED(id)                                            \
	"{\"id\":" #id ",\"error\":{\"code\":100,\"message\":" \
	"\"internal server error\",\"temporary\":true}}"
#define UNKNOWN(id)                                            \
	"{\"id\":" #id ",\"error\":{\"code\":504,\"message\":" \
	"\"outcome unknown\"}}"

/* Other channels' publications fill the ring: what was there is set aside for
 * the reader, who has not read it. */
static void
ring_pass(void)
{
	static char large[ANSWERER_JOURNAL / JOURNAL_SHARE / 2];
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_JSON,
	    .data = large,
	    .len = sizeof(large)};
	struct publication p;
	uint64_t mask;

	for (int k = 0; k < 3 * JOURNAL_SHARE; k++)
		assert_int_equal(publish(&door_node->ch, "free", 4,
				     PUBLISH_MAKE, &what, &p, &mask),
		    PUBLISH_OK);
	door_settle();
}

/* Of a frame the first command waits: the others are looked at when it is
 * answered, in order, and each is done once. Others hear it at once. */
static void
test_in_order(void **state)
{
	come();
	guest_say(&alice,
	    PUBLISH(2, "acked", "1") "\n" PING(3) "\n" PUBLISH(
		4, "acked", "2") "\n" PUBLISH(5, "free", "3") "\n" PING(6));
	told_nothing(&alice);
	told(&bob, "[acked] alice says: 1");
	assert_held(&alice, true);
	assert_int_equal(door_node->ch.conn[alice.conn].watched, READY_READ);
	guest_say(&alice, PUBLISH(7, "acked", "4"));
	told_nothing(&alice);
	told_nothing(&bob);
	assert_int_equal(door_node->ch.conn[alice.conn].watched, READY_BROKEN);
	reader_turn(RESULT_OK);
	told(&alice, DONE(2, "publish"), DONE(3, "ping"));
	told(&bob, "[acked] alice says: 2");
	assert_held(&alice, true);
	reader_turn(RESULT_OK);
	told(&alice, DONE(4, "publish"), DONE(5, "publish"), DONE(6, "ping"));
	told(&bob, "[acked] alice says: 4");
	reader_turn(RESULT_OK);
	told(&alice, DONE(7, "publish"));
	assert_held(&alice, false);
	assert_int_equal(door_node->ch.conn[alice.conn].watched, READY_READ);
	assert_int_equal(reader.asked, 3);
}

/* Who waits hears what others say; each error has its answer, and with that the
 * wait is over. */
static void
test_errors(void **state)
{
	come();
	guest_say(&alice, PUBLISH(2, "acked", "1"));
	guest_forget(&bob);
	guest_say(&bob, "hello");
	guest_say(&bob, "/msg alice hello");
	assert_int_equal(alice.n_texts, 1);
	guest_forget(&alice);
	reader_turn(RESULT_TEMPORARY);
	told(&alice, REFUSED(2));
	guest_say(&alice, PUBLISH(3, "acked", "2") "\n" PING(4));
	reader_turn(RESULT_UNKNOWN);
	told(&alice, UNKNOWN(3), DONE(4, "ping"));
	assert_held(&alice, false);
	says(&alice, PUBLISH(5, "free", "3"), DONE(5, "publish"));
}

/* Nobody answers: after 4 s that is said, and what follows is done. */
static void
test_late(void **state)
{
	come();
	guest_say(&alice, PUBLISH(2, "acked", "1") "\n" PING(3));
	wait_ms(HOLD_RESULT_MS - 1000);
	told_nothing(&alice);
	wait_ms(HOLD_RESULT_MS);
	told(&alice, UNKNOWN(2), DONE(3, "ping"));
	assert_held(&alice, false);
	/* its result comes while the next one waits */
	guest_say(&alice, PUBLISH(4, "acked", "2"));
	assert_held(&alice, true);
	reader_turn(RESULT_OK);
	told(&alice, DONE(4, "publish"));
	told(&bob, "[acked] alice says: 1", "[acked] alice says: 2");
	says(&alice, PUBLISH(5, "free", "3"), DONE(5, "publish"));
}

/* A result went to the worker that had the connection before, or was
 * overwritten: what waits for it finds out. */
static void
test_missed(void **state)
{
	struct slot *s;

	come();
	s = conn_slot(&door_node->ch, alice.conn);
	guest_say(&alice, PUBLISH(2, "acked", "1"));
	SHM_STORE(s->awaits, AWAITS_DONE + RESULT_OK);
	wait_ms(0);
	told(&alice, DONE(2, "publish"));
	guest_say(&alice, PUBLISH(3, "acked", "1"));
	guest_say(&bob, "/to acked1 one"); /* waits for its channel */
	SHM_STORE(s->awaits, AWAITS_DONE + RESULT_TEMPORARY);
	hold_lost(&door_node->ch);
	door_settle();
	told(&alice, REFUSED(3));
	assert_held(&bob, true);
	reader_turn(RESULT_OK);
	reader_turn(RESULT_OK);
	assert_held(&bob, false);
	told(&bob, "[acked] alice says: 1", "[acked] alice says: 1");
}

/* At the plain door nothing is answered if all is well; its next line is looked
 * at then. */
static void
test_plain(void **state)
{
	come();
	guest_say(&bob, "/to acked one");
	told(&bob, "[acked] bob says: one");
	assert_held(&bob, true);
	guest_say(&bob, "/rooms");
	told_nothing(&bob);
	reader_turn(RESULT_OK);
	told(&bob, "* you are in lobby, strict, acked");
	assert_held(&bob, false);
	says(&bob, "/to acked two", "[acked] bob says: two");
	reader_turn(RESULT_TEMPORARY);
	told(&bob, "* busy, try again");
	says(&bob, "/to acked three", "[acked] bob says: three");
	wait_ms(HOLD_RESULT_MS);
	told(&bob, "* outcome unknown");
	reader_turn(RESULT_OK);
	told_nothing(&bob);
	assert_held(&bob, false);
}

/* What is strict nobody hears before its result; its offset is told then. */
static void
test_strict(void **state)
{
	come();
	guest_say(&bob, "/to strict one");
	told_nothing(&bob);
	reader_turn(RESULT_OK);
	told(&bob, "[strict] bob says: one");
	guest_come(&bob, &plain_door, "strict bob");
	guest_say(&alice,
	    "{\"id\":2,\"rpc\":{\"method\":\"message\",\"data\":"
	    "{\"to\":\"strict bob\",\"data\":1}}}");
	reader_turn(RESULT_OK); /* it is opened */
	told_nothing(&bob);
	reader_turn(RESULT_OK);
	told(&bob, "alice whispers: 1");
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0],
	    "{\"id\":2,\"rpc\":{\"data\":"
	    "{\"offset\":8,"));
	guest_forget(&alice);
}

#define MESSAGE(id)                                                 \
	"{\"id\":" #id ",\"rpc\":{\"method\":\"message\",\"data\":" \
	"{\"to\":\"acked bob\",\"data\":1}}}"

/* What has left the ring when its result comes is told where it is all the
 * same; if the result has left it, too, nobody knows, but it was not refused.
 */
static void
test_left_ring(void **state)
{
	come();
	guest_come(&bob, &plain_door, "acked bob");
	guest_say(&alice, MESSAGE(2));
	reader_turn(RESULT_OK); /* it is opened */
	told_nothing(&alice);
	ring_pass();
	reader_turn(RESULT_OK); /* what is not its own is lost */
	reader_turn(RESULT_OK);
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0],
	    "{\"id\":2,\"rpc\":{\"data\":{\"offset\":8,"
	    "\"epoch\":\"00001234\",\"online\":true}}}"));
	guest_forget(&alice);
	reader_taken(&reader.r, reader.r.passed);
	guest_say(&alice, MESSAGE(3));
	SHM_STORE(conn_slot(&door_node->ch, alice.conn)->awaits,
	    AWAITS_DONE + RESULT_OK);
	ring_pass();
	wait_ms(0);
	told(&alice, UNKNOWN(3));
}

/* A channel that is not open: whatever needs it waits, is done once when it is
 * open, or is refused for now. */
static void
test_cold(void **state)
{
	come();
	reader.opened = 0;
	guest_say(&alice, PUBLISH(2, "kept1", "1") "\n" PING(3));
	told_nothing(&alice);
	assert_held(&alice, true);
	guest_say(&bob, "/join kept1"); /* waits for the same */
	reader_turn(RESULT_OK);
	told(&alice, DONE(2, "publish"), DONE(3, "ping"));
	assert_int_equal(reader.opened, 1);
	told(&bob, "* joined kept1");
	/* nobody opens it */
	guest_say(&alice, PUBLISH(4, "kept2", "1") "\n" PING(5));
	guest_say(&bob, "/to kept2 hello");
	wait_ms(HOLD_OPENED_MS);
	told(&alice, REFUSED(4), DONE(5, "ping"));
	told(&bob, "* busy, try again");
	/* it cannot be opened */
	guest_say(&alice, PUBLISH(6, "kept3", "1"));
	reader_turn(RESULT_TEMPORARY);
	told(&alice, REFUSED(6));
	guest_say(&alice, PUBLISH(7, "kept3", "1"));
	reader_turn(RESULT_OK);
	told(&alice, DONE(7, "publish"));
	assert_held(&alice, false);
	assert_held(&bob, false);
}

/* A command that waits twice, for its channel and then for its result, is done
 * once, and waits no longer than one does. */
static void
test_twice(void **state)
{
	come();
	guest_say(&alice, PUBLISH(2, "acked2", "1"));
	reader_turn(RESULT_OK);
	told_nothing(&alice);
	assert_held(&alice, true);
	reader_turn(RESULT_OK);
	told(&alice, DONE(2, "publish"));
	assert_int_equal(reader.asked, 1);
	assert_held(&alice, false);
}

/* Its rate counts a command once, however often it is looked at. */
static void
test_rate(void **state)
{
	struct slot *s;

	come();
	s = conn_slot(&door_node->ch, alice.conn);
	door_node->ch.live.message_rate = 1;
	door_node->ch.live.message_burst = 3;
	s->rate_tokens = 3000;
	s->rate_ms = (uint32_t)door_node->ch.now_ms + 100000;
	guest_say(&alice, PUBLISH(2, "acked3", "1"));
	reader_turn(RESULT_OK);
	reader_turn(RESULT_OK);
	told(&alice, DONE(2, "publish"));
	assert_int_equal(s->rate_tokens / 1000, 2);
}

/* Without room for the message of one that would wait nothing waits. */
static void
test_no_memory(void **state)
{
	uint32_t page;

	come();
	while ((page = claim_take(&door_node->ch.input.pages)) != SHM_NONE)
		;
	guest_say(&alice,
	    PUBLISH(2, "acked", "1") "\n" PUBLISH(3, "kept4", "2") "\n" PING(
		4));
	told(&alice, UNKNOWN(2), REFUSED(3), DONE(4, "ping"));
	told(&bob, "[acked] alice says: 1");
	says(&bob, "/to acked one", "* outcome unknown",
	    "[acked] bob says: one");
	reader_turn(RESULT_OK);
	told_nothing(&alice);
	told_nothing(&bob);
}

/* A reset ends a connection that waits; at its mere end what it has sent before
 * is done. */
static void
test_ends(void **state)
{
	const struct linger none = {1, 0};
	struct channel_position at;

	come();
	guest_say(&alice, PUBLISH(2, "acked", "1"));
	guest_say(&bob, "/to acked one");
	guest_say(&bob, "/to free two");
	assert_int_equal(shutdown(bob.fd, SHUT_WR), 0);
	guest_say(&alice, PING(3));
	assert_int_equal(
	    setsockopt(alice.fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)),
	    0);
	close(alice.fd);
	alice.fd = -1;
	door_settle();
	assert_int_equal(door_node->ch.conn[alice.conn].phase, CONN_NONE);
	assert_held(&bob, true);
	reader_turn(RESULT_OK);
	assert_int_equal(
	    channel_find(&door_node->ch, "free", 4, false, &at), CHANNEL_OK);
	assert_int_equal(at.offset, 1);
	assert_int_equal(door_node->ch.conn[bob.conn].phase, CONN_NONE);
}

/* A drain waits for the answer, not for what was sent behind it. */
static void
test_drains(void **state)
{
	come();
	guest_say(&alice, PUBLISH(2, "acked", "1") "\n" PING(3));
	guest_say(&alice, PING(4));
	conn_drain(&door_node->ch, alice.conn);
	door_settle();
	told_nothing(&alice);
	reader_turn(RESULT_OK);
	told(&alice, DONE(2, "publish"), DONE(3, "ping"));
	assert_int_equal(alice.code, 3001);
}

/* Writes a request of the server API; returns its length. */
static size_t
request_put(char text[512], const char *method, const char *body)
{
	return (size_t)snprintf(text, 512,
	    "POST /api/%s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: key\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    method, strlen(body), body);
}

/* Two requests at once, of one connection. */
static int
ask_twice(const char *method, const char *body, const char *next,
    const char *next_body)
{
	char text[1024];
	size_t n = request_put(text, method, body);
	int fd;

	(void)client_comes(&door_node->ch, &fd);
	n += request_put(text + n, next, next_body);
	assert_int_equal(send(fd, text, n, 0), n);
	door_settle();
	assert_int_equal(recv(fd, text, 1, MSG_DONTWAIT), -1);
	return fd;
}

/* A request over HTTP. */
static uint32_t
ask(int *fd, const char *method, const char *body)
{
	char text[512];
	const uint32_t i = client_comes(&door_node->ch, fd);
	const size_t n = request_put(text, method, body);

	assert_int_equal(send(*fd, text, n, 0), n);
	door_settle();
	return i;
}

/* What it is answered. */
static void
answered(int fd, const char *text)
{
	size_t have;
	const char *all;

	door_settle();
	all = client_all(fd, "}", &have);
	if (text_count(all, have, text) != 1)
		fail_msg("%.*s\nwanted: %s", (int)have, all, text);
}

/* A request waits, its connection is not read meanwhile, and the next request
 * is answered behind it. */
static void
test_requests(void **state)
{
	static const char publish[] = "{\"channel\":\"acked\",\"data\":1}";
	static const char cold[] = "{\"channel\":\"kept5\",\"data\":1}";
	static const char history[] = "{\"channel\":\"kept6\",\"limit\":1}";
	const struct linger none = {1, 0};
	const char *all;
	size_t have;
	int fd, other;
	uint32_t i;

	come();
	i = ask(&fd, "publish", publish);
	assert_true(door_node->ch.conn[i].held);
	assert_int_equal(recv(fd, &other, 1, MSG_DONTWAIT), -1);
	told(&bob, "[acked] *server* says: 1");
	reader_turn(RESULT_OK);
	answered(fd, "{\"result\":{\"offset\":8,\"epoch\":\"00001234\"}}");
	close(fd);
	(void)ask(&fd, "publish", publish);
	reader_turn(RESULT_TEMPORARY);
	answered(fd, "\"code\":100,");
	close(fd);
	(void)ask(&fd, "publish", publish);
	wait_ms(HOLD_RESULT_MS);
	answered(fd, "\"code\":504,");
	close(fd);
	reader_turn(RESULT_OK); /* is nobody's */
	(void)ask(&fd, "publish", cold);
	(void)ask(&other, "history", history);
	reader_turn(RESULT_OK);
	answered(fd, "{\"result\":{\"offset\":8,\"epoch\":\"00001234\"}}");
	answered(other, "\"offset\":7}");
	close(fd);
	close(other);
	/* the one behind it comes with it, and is looked at when it is
	 * answered */
	fd = ask_twice("publish", publish, "history", cold);
	reader_turn(RESULT_OK);
	door_settle();
	all = client_all(fd, "\"offset\":8}", &have);
	assert_int_equal(text_count(all, have, "{\"offset\":11,"), 1);
	close(fd);
	/* gone while it waits */
	i = ask(&fd, "publish", publish);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	send(fd, "x", 1, 0);
	door_settle();
	close(fd);
	door_settle();
	assert_int_equal(door_node->ch.conn[i].phase, CONN_NONE);
	reader_turn(RESULT_OK);
	told(&bob, "[acked] *server* says: 1", "[acked] *server* says: 1",
	    "[acked] *server* says: 1", "[acked] *server* says: 1");
}

/* Rules and limits that are reloaded while a request waits do not change that
 * it was done. */
static void
test_request_reload(void **state)
{
	static const char publish[] = "{\"channel\":\"acked\",\"data\":12}";
	struct conf_live *live = &door_node->ch.live;
	int fd, other;

	come();
	(void)ask(&fd, "publish", publish);
	live->message_size = 1;
	reader_turn(RESULT_OK);
	answered(fd, "{\"result\":{\"offset\":8,\"epoch\":\"00001234\"}}");
	close(fd);
	live->message_size = 8192;
	(void)ask(&other, "publish", publish);
	live->channel[0].prefix = 0; /* "*" is a name, then, of no channel */
	reader_turn(RESULT_OK);
	answered(other, "{\"result\":{}}");
	close(other);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, door_end)
	const struct CMUnitTest tests[] = {
	    TEST(test_in_order),
	    TEST(test_errors),
	    TEST(test_late),
	    TEST(test_missed),
	    TEST(test_plain),
	    TEST(test_strict),
	    TEST(test_left_ring),
	    TEST(test_cold),
	    TEST(test_twice),
	    TEST(test_rate),
	    TEST(test_no_memory),
	    TEST(test_ends),
	    TEST(test_drains),
	    TEST(test_requests),
	    TEST(test_request_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
