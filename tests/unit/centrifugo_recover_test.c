/* centrifugo_recover: what a client of that door gets of what it has missed,
 * what ends when that cannot be had, and what a command that a dead worker had
 * begun leaves. */
#include "centrifugo_fixture.h"

#include "../../src/hub/heads.h"

#include "hub/history.h"

static void
recovers(void **state)
{
	connect_alice();
	server_says("room", FORMAT_JSON, "", "1");
	server_says("room", FORMAT_JSON, "", "2");
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":1}}",
	    "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"publications\":[{\"data\":2,\"offset\":2,\"time\":T}],"
	    "\"recovered\":true,\"offset\":2,\"positioned\":true,"
	    "\"was_recovering\":true}}");
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	asks("{\"id\":4,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":2}}",
	    "{\"id\":4,\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"recovered\":true,\"offset\":2,\"positioned\":true,"
	    "\"was_recovering\":true}}");
	guest_say(&alice, "{\"id\":5,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	/* from beyond the end: it cannot be, and is told only if asked for */
	asks("{\"id\":6,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":9,\"flag\":2}}",
	    ERROR(6, 112, "unrecoverable position"));
	asks("{\"id\":7,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":9}}",
	    "{\"id\":7,\"subscribe\":{\"recoverable\":true,\"epoch\":\"E\","
	    "\"offset\":2,\"positioned\":true,\"was_recovering\":true}}");
}

/* A chain in the journal that leaves one out is not all that was said. */
static void
recovers_corrupted(void **state)
{
	struct publication p;
	const uint64_t first = journal_tail(&door_hub) + 1;
	struct entry_head *e;

	connect_alice();
	for (int k = 0; k < 3; k++)
		server_says("room", FORMAT_JSON, "", "1");
	assert_int_equal(
	    journal_peek(&door_hub, door_hub.heads->tail, &p), JOURNAL_OK);
	assert_int_equal(p.offset, 3);
	e = (struct entry_head *)(door_hub.journal +
	    door_hub.index[p.position & (door_hub.n_index - 1)].at);
	assert_true(e->previous > first);
	e->previous = (uint64_t)(p.previous - 1);
	assert_int_equal(journal_peek(&door_hub, e->previous, &p), JOURNAL_OK);
	assert_int_equal(p.offset, 1);
	asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	     "\"offset\":0,\"flag\":2}}",
	    ERROR(2, 112, "unrecoverable position"));
}

/* Clients are told the epoch of the offsets, which is not the entry's
 * incarnation, and may be longer. */
static void
recovers_in_stream(void **state)
{
	char of_entry[128], text[16];
	struct channel_position at;

	connect_alice();
	server_says("room", FORMAT_JSON, "", "1");
	server_says("room", FORMAT_JSON, "", "2");
	assert_int_equal(
	    channel_find(&door_node->ch, "room", 4, false, &at), CHANNEL_OK);
	door_hub.stream[at.channel] = 0x123456789abcdef0;
	guest_say(&alice, "{\"id\":2,\"history\":{\"channel\":\"room\"}}");
	told(&alice,
	    "{\"id\":2,\"history\":{\"publications\":[],"
	    "\"epoch\":\"123456789abcdef0\",\"offset\":2}}");
	asks("{\"id\":3,\"history\":{\"channel\":\"room\",\"limit\":1,"
	     "\"since\":{\"offset\":1,\"epoch\":\"123456789abcdef0\"}}}",
	    "{\"id\":3,\"history\":{\"publications\":[{\"data\":2,"
	    "\"offset\":2,\"time\":T}],\"epoch\":\"E\",\"offset\":2}}");
	snprintf(text, sizeof(text), "%08x", at.epoch);
	snprintf(of_entry, sizeof(of_entry),
	    "{\"id\":4,\"history\":{\"channel\":\"room\",\"limit\":1,"
	    "\"since\":{\"offset\":1,\"epoch\":\"%s\"}}}",
	    text);
	asks(of_entry, ERROR(4, 112, "unrecoverable position"));
	guest_say(&alice,
	    "{\"id\":5,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":2,\"epoch\":\"123456789abcdef0\"}}");
	told(&alice,
	    "{\"id\":5,\"subscribe\":{\"recoverable\":true,"
	    "\"epoch\":\"123456789abcdef0\",\"recovered\":true,\"offset\":2,"
	    "\"positioned\":true,\"was_recovering\":true}}");
}

/* More than an answer holds: the newest, in reverse. */
static void
history_most(void **state)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_JSON,
	    .user = "",
	    .data = "1",
	    .len = 1};
	struct publication p;
	uint64_t mask;
	const char *at;
	int n = 0;

	connect_alice();
	door_node->ch.live.channel[0].history = 2000;
	for (int k = 0; k < HISTORY_MAX + 5; k++)
		assert_int_equal(publish(&door_node->ch, "room", 4,
				     PUBLISH_MAKE, &what, &p, &mask),
		    PUBLISH_OK);
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":-1,"
	    "\"reverse\":true}}");
	assert_int_equal(alice.n_texts, 1);
	at = strstr(alice.text[0], "{\"data\":1,\"offset\":1005,");
	assert_non_null(at);
	assert_true(at < alice.text[0] + 64);
	for (; (at = strstr(at, "{\"data\":1,")) != NULL; at++)
		n++;
	assert_int_equal(n, HISTORY_MAX);
	assert_non_null(strstr(alice.text[0], "\"offset\":6,"));
	guest_forget(&alice);
	/* nor can more be recovered than that */
	door_node->ch.live.queue_bytes = 1 << 22;
	for (int from = 4; from <= 5; from++) {
		char text[128];

		snprintf(text, sizeof(text),
		    "{\"id\":%d,\"subscribe\":{\"channel\":\"room\","
		    "\"recover\":true,\"offset\":%d}}",
		    from, from);
		guest_say(&alice, text);
		assert_int_equal(alice.n_texts, 1);
		assert_int_equal(
		    strstr(alice.text[0], "\"recovered\":true") != NULL,
		    from == 5);
		guest_say(&alice,
		    "{\"id\":9,\"unsubscribe\":{\"channel\":\"room\"}}");
		guest_forget(&alice);
	}
}

/* What was passed over ends a subscription of the client's own, which begins it
 * anew; of one that the server made the connection ends. */
static void
skipped(void **state)
{
	struct slot *s = &door_hub.slot[alice.conn];
	struct subscription *sub;
	uint32_t k;

	connect_alice();
	for (int server = 0; server < 2; server++) {
		asks("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}",
		    "{\"id\":2," SUBSCRIBED);
		k = channel_subscription(&door_node->ch, alice.conn, "room", 4);
		sub = &door_hub.subscription[k];
		s->skipped = 1;
		sub->flags |= SUBSCRIPTION_GAP;
		if (server)
			sub->flags |= SUBSCRIPTION_SERVER;
		centrifugo_door.drained(&door_node->ch, alice.conn);
		door_settle();
		if (!server)
			told(&alice,
			    "{\"push\":{\"channel\":\"room\",\"unsubscribe\":{"
			    "\"code\":2500,\"reason\":\"insufficient "
			    "state\"}}}");
	}
	guest_closed(&alice, 3010, "insufficient state");
}

/* A worker died after a subscription was made and before that was told. By the
 * time that its successor reads the command it is refused: nothing is left. */
static void
refused_again(void **state)
{
	static const char text[] =
	    "{\"id\":2,\"subscribe\":{\"channel\":\"token\"}}";
	struct chat *ch = &door_node->ch;
	uint64_t at;

	connect_alice();
	asks(text, "{\"id\":2,\"subscribe\":{}}");
	at = KEY_POSITION(SHM_LOAD(door_hub.slot[alice.conn].answered));
	assert_int_not_equal(
	    channel_subscription(ch, alice.conn, "token", 5), SHM_NONE);
	ch->live.insecure = 0;
	ch->replaying = true;
	ch->answers = 0;
	SHM_STORE(door_hub.slot[alice.conn].answered, 0);
	centrifugo_door.message(
	    ch, alice.conn, WS_TEXT, text, sizeof(text) - 1, at);
	ch->replaying = false;
	ch->answers = 0;
	door_settle();
	told(&alice, ERROR(2, 103, "permission denied"));
	assert_int_equal(
	    channel_subscription(ch, alice.conn, "token", 5), SHM_NONE);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, door_end)
	const struct CMUnitTest tests[] = {TEST(recovers),
	    TEST(recovers_in_stream), TEST(recovers_corrupted),
	    TEST(history_most), TEST(skipped), TEST(refused_again)};

	return cmocka_run_group_tests_name(
	    "centrifugo_recover", tests, NULL, NULL);
}
