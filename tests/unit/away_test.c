/* away: what came for a user who was away is told when it is known, what comes
 * then behind it; and what users have got is noted when their peers have
 * acknowledged it. */
#include "door_fixture.h"

#include "../../src/door/plain/plain.h"
#include "base/clock.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/reader.h"
#include "net/counters.h"
#include "room/archive.h"
#include "room/away.h"
#include "room/rooms.h"

enum {
	LINE = SHM_WORKERS,	   /* of the reader, */
	ARCHIVE = SHM_WORKERS + 1, /* and of who has rows */
	OFFSETS = 200
};

static const int64_t seen_ms = 1700000000000; /* when alice was here before */
#define SINCE "2023-11-14 22:13 UTC"

static struct hub reader_hub;
static struct reader reader;
static char *reader_buf;
static struct message_ask asked[4];
static int n_asked;
static uint64_t got[8]; /* offsets that were noted */
static int n_got;
static uint64_t ahead_ms; /* of the clock: so much has passed */

/* Users' own channels are stored. */
static uint8_t
flags_of(void *arg, const char *name, size_t len)
{
	(void)arg;
	return presence_name_is_user(name, len)
	    ? 1 << READER_STORE | PRESENCE_COLD << PRESENCE_WARMTH
	    : 0;
}

/* In place of the link. */
static int
ask_send(struct chat *ch, int to, const void *question, size_t len)
{
	assert_int_equal(to, ARCHIVE);
	assert_true(n_asked < 4 && len >= sizeof(asked[0]));
	memcpy(&asked[n_asked++], question, sizeof(asked[0]));
	return 1;
}

static int
setup(void **state)
{
	struct conf_channel *c;

	door_begin_readers(1 << READER_STORE);
	door_node->h.flags_of = flags_of;
	c = rule_add(&door_node->ch.live, "#*");
	c->store = CONF_STORE_YES;
	c->history = 100;
	door_node->ch.ask_send = ask_send;
	archive_linked(&door_node->ch, ARCHIVE);
	reader_hub = door_hub;
	hub_become(&reader_hub, LINE);
	reader_init(&reader, &reader_hub, READER_STORE, 0);
	reader_buf = malloc(door_hub.journal_size / JOURNAL_SHARE);
	assert_non_null(reader_buf);
	n_asked = n_got = 0;
	ahead_ms = 0;
	alice.fd = bob.fd = -1;
	return 0;
}

static int
teardown(void **state)
{
	free(reader_buf);
	return door_end(state);
}

/* The reader reads what there is: opens a channel that is asked for, as one
 * with so many messages of which the ring has none, and sees what was got. */
static void
reader_reads(uint64_t top)
{
	const struct reader_opening o = {.stream = 7, .top = top};
	struct publication p;

	while (reader_next(&reader, reader_buf,
		   door_hub.journal_size / JOURNAL_SHARE, &p) == READER_FOUND)
		if (p.format == FORMAT_OPEN) {
			reader_opened(&reader, p.channel, p.epoch, &o);
		} else if (p.format == FORMAT_DELIVERED) {
			assert_int_equal(p.user_len, 5);
			assert_memory_equal(p.user, "alice", 5);
			assert_true(n_got < 8);
			got[n_got++] = p.offset;
		}
	door_settle();
}

/* And has taken it. */
static void
reader_turn(uint64_t top)
{
	reader_reads(top);
	reader_taken(&reader, reader.passed);
	door_settle();
}

/* Waits until the kernel has acknowledged what alice has heard. */
static void
acknowledges(void)
{
	const int fd = door_node->ch.conn[alice.conn].fd;
	uint64_t unacked = 1;

	while (alice.fd >= 0 && fd >= 0 && counters_unacked(fd, &unacked) &&
	    unacked > 0)
		(void)poll(NULL, 0, 1);
}

/* So much time has passed; all connections are looked at. */
static void
sweeps(uint32_t ms)
{
	acknowledges();
	ahead_ms += ms;
	door_node->ch.now_ms = clock_ms() + ahead_ms;
	for (int k = 0; k < 11; k++)
		away_sweep(&door_node->ch);
	door_settle();
}

/* An answer to the only question. */
static void
answers(const struct publication *rows, uint32_t n)
{
	static uint8_t bytes[1 << 16];
	struct message_rows head = {
	    .number = asked[0].number, .n = n, .result = ROWS_FOUND};
	size_t len = sizeof(head);

	assert_int_equal(n_asked, 1);
	n_asked = 0;
	for (uint32_t k = 0; k < n; k++)
		len += publication_encode(&rows[k], bytes + len);
	head.bytes = len - sizeof(head);
	memcpy(bytes, &head, sizeof(head));
	assert_null(archive_answer(&door_node->ch, bytes, len, -1));
	if (archive_answered(&door_node->ch) != SHM_NONE)
		away_try(&door_node->ch, archive_answered(&door_node->ch));
	door_settle();
}

/* What is known of alice: none is, or that she has got so much. */
static void
answers_user(bool known, uint64_t delivered)
{
	const struct publication row = {.offset = delivered,
	    .format = FORMAT_DELIVERED,
	    .time_ms = seen_ms,
	    .user = "",
	    .data = ""};

	assert_int_equal(asked[0].what, ASK_USER);
	answers(&row, known);
}

/* Her channel has the messages 1 to top, the newest first, as it is asked. */
static void
answers_page(uint32_t top)
{
	static struct publication rows[OFFSETS];
	static char text[OFFSETS][8];
	uint32_t n = 0;

	assert_int_equal(asked[0].what, ASK_PAGE);
	assert_true(asked[0].reverse);
	for (uint32_t k = top; k > 0 && n < asked[0].limit; k--, n++) {
		snprintf(text[n], sizeof(text[n]), "%u", k);
		rows[n] = (struct publication){.offset = k,
		    .before = k - 1,
		    .time_ms = seen_ms + k,
		    .format = FORMAT_TEXT,
		    .user = "bob",
		    .user_len = 3,
		    .data = text[n],
		    .data_len = (uint32_t)strlen(text[n])};
	}
	answers(rows, n);
}

/* Alice comes; her channel stands there. */
static void
alice_comes(uint64_t top)
{
	guest_come(&alice, &plain_door, "alice");
	told_nothing(&alice);
	reader_turn(top);
	sweeps(100); /* its tail is noted */
	reader_turn(top);
	sweeps(100);
}

/* And has got all before. */
static void
alice_is_here(void)
{
	alice_comes(3);
	answers_user(true, 3);
	told_nothing(&alice);
}

/* The notes, as far as there are any: those, up to 0. */
#define noted(...) noted_at(__LINE__, (const uint64_t[]){__VA_ARGS__, 0})
static void
noted_at(int line, const uint64_t *wanted)
{
	int k;

	reader_turn(0);
	for (k = 0; wanted[k] != 0; k++)
		if (k >= n_got || got[k] != wanted[k])
			fail_msg("line %d: %d notes, the %dth is %d", line,
			    n_got, k, k < n_got ? (int)got[k] : -1);
	if (k < n_got)
		fail_msg("line %d: noted besides: %d", line, (int)got[k]);
	n_got = 0;
}

/* What is above what she has got is told, the oldest first, then what comes. */
static void
test_told(void **state)
{
	alice_comes(5);
	answers_user(true, 3);
	told_nothing(&alice);
	answers_page(5);
	told(&alice, "* 2 messages since " SINCE, "bob whispers: 4",
	    "bob whispers: 5");
	server_says("#alice", FORMAT_TEXT, "", "now");
	told(&alice, "*server* whispers: now");
	assert_int_equal(n_asked, 0);
}

/* Who has got all is told nothing, and asked for nothing. */
static void
test_nothing(void **state)
{
	alice_is_here();
	assert_int_equal(n_asked, 0);
	server_says("#alice", FORMAT_TEXT, "", "now");
	told(&alice, "*server* whispers: now");
}

/* Whom nobody knows gets all; what is more than there is does not count. */
static void
test_unknown(void **state)
{
	alice_comes(1);
	answers_user(false, 0);
	answers_page(1);
	told(&alice, "* 1 message since " SINCE, "bob whispers: 1");
	guest_come(&bob, &plain_door, "bob");
	reader_turn(1);
	sweeps(100);
	reader_turn(1);
	sweeps(100);
	answers_user(true, 900);
	answers_page(1);
	told(&bob, "* 1 message since " SINCE, "bob whispers: 1");
}

/* The newest, if they are many. */
static void
test_many(void **state)
{
	alice_comes(AWAY_MESSAGES + 20);
	answers_user(true, 7);
	answers_page(AWAY_MESSAGES + 20);
	assert_int_equal(alice.n_texts, AWAY_MESSAGES + 1);
	assert_string_equal(alice.text[0],
	    "* 100 messages since " SINCE
	    ", older ones are left out: /history #alice");
	assert_string_equal(alice.text[1], "bob whispers: 21");
	assert_string_equal(alice.text[100], "bob whispers: 120");
}

/* What comes while that is asked for is told behind it, and not counted. */
static void
test_meanwhile(void **state)
{
	alice_comes(5);
	server_says("#alice", FORMAT_TEXT, "", "6");
	told_nothing(&alice);
	answers_user(true, 4);
	answers_page(5);
	told(&alice, "* 1 message since " SINCE, "bob whispers: 5",
	    "*server* whispers: 6");
}

/* Nothing is asked before what she did before is known there, for a while. */
static void
test_behind(void **state)
{
	guest_come(&alice, &plain_door, "alice");
	reader_turn(3);
	server_says("lobby", FORMAT_TEXT, "", "x");
	guest_forget(&alice);
	server_says("#alice", FORMAT_TEXT, "", "4"); /* not taken */
	sweeps(100);
	assert_int_equal(n_asked, 0);
	sweeps(2000);
	answers_user(true, 3);
	told_nothing(&alice);
	answers_page(3);
	told(&alice, "* 1 message since " SINCE, "*server* whispers: 4");
}

/* For one whose channel opens late it is asked for as long as for others. */
static void
test_opens_late(void **state)
{
	guest_come(&alice, &plain_door, "alice");
	door_hub.slot[alice.conn].connected_ms -= 2 * AWAY_LIMIT_MS;
	reader_turn(3);
	told_nothing(&alice);
	sweeps(100);
	answers_user(true, 2);
	told_nothing(&alice);
	answers_page(3);
	told(&alice, "* 1 message since " SINCE, "bob whispers: 3");
}

/* What cannot be known in time is told at another connection. */
static void
test_in_vain(void **state)
{
	alice_comes(5);
	assert_int_equal(n_asked, 1);
	server_says("#alice", FORMAT_TEXT, "", "6");
	told_nothing(&alice);
	sweeps(AWAY_LIMIT_MS - 1000);
	told_nothing(&alice);
	sweeps(1000);
	told(&alice, "* messages from while you were away cannot be told now");
	server_says("#alice", FORMAT_TEXT, "", "7");
	told(&alice, "*server* whispers: 7");
	sweeps(1000);
	noted(0);
	conn_drop(&door_node->ch, alice.conn, NULL);
	noted(0);
}

/* What was got is noted once a second, and at the end. */
static void
test_noted(void **state)
{
	alice_is_here();
	sweeps(100);
	noted(3);
	for (int k = 4; k < 8; k++) {
		server_says("#alice", FORMAT_TEXT, "", "x");
		sweeps(10);
	}
	noted(0);
	sweeps(1000);
	noted(4);
	sweeps(1000);
	noted(7);
	sweeps(5000);
	noted(0); /* nothing is new */
	server_says("#alice", FORMAT_TEXT, "", "x");
	server_says("#alice", FORMAT_TEXT, "", "y");
	sweeps(10);
	conn_drop(&door_node->ch, alice.conn, NULL);
	noted(9);
}

/* Nothing is that the peer has not acknowledged. */
static void
test_unacknowledged(void **state)
{
	static char large[8000];
	int fd, small = 4096;

	memset(large, 'x', sizeof(large) - 1);
	alice_is_here();
	sweeps(100);
	noted(3);
	fd = alice.fd;
	alice.fd = -1; /* it reads nothing */
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (int k = 0; k < 100; k++)
		server_says("#alice", FORMAT_TEXT, "", large);
	sweeps(2000);
	noted(0);
	alice.fd = fd;
	while (alice.n_texts < 100)
		door_settle();
	guest_forget(&alice);
	sweeps(1000);
	sweeps(1000);
	noted(103);
}

/* Nor behind what was skipped. */
static void
test_skipped(void **state)
{
	alice_is_here();
	sweeps(100);
	noted(3);
	server_says("#alice", FORMAT_TEXT, "", "x");
	door_hub.slot[alice.conn].flags |= SLOT_GAP;
	door_hub.slot[alice.conn].skipped = 1;
	plain_drained(&door_node->ch, alice.conn);
	door_settle();
	told(&alice, "*server* whispers: x", "* 1 message was skipped");
	sweeps(2000);
	noted(0);
}

/* Nor of a channel that is not stored. */
static void
test_unstored(void **state)
{
	alice_is_here();
	sweeps(100);
	noted(3);
	door_node->ch.live.channel[door_node->ch.live.n_channels - 1].store =
	    CONF_STORE_NO;
	server_says("#alice", FORMAT_TEXT, "", "x");
	sweeps(2000);
	noted(0);
}

/* Who waits when it is stored no more waits no more, and is owed it still. */
static void
test_turned_off(void **state)
{
	struct conf_live *live = &door_node->ch.live;

	alice_comes(5);
	live->channel[live->n_channels - 1].store = CONF_STORE_NO;
	sweeps(100);
	server_says("#alice", FORMAT_TEXT, "", "6");
	told(&alice, "*server* whispers: 6");
	assert_true(door_hub.slot[alice.conn].flags & SLOT_OWED);
}

/* Or goes on beside nobody who knows what came. */
static void
test_adopted(void **state)
{
	struct away *away = door_node->ch.rooms->away;

	alice_comes(5);
	door_node->ch.rooms->away = NULL;
	away_adopt(&door_node->ch, alice.conn);
	server_says("#alice", FORMAT_TEXT, "", "6");
	told(&alice, "*server* whispers: 6");
	door_node->ch.rooms->away = away;
}

/* A reply that is to have what came waits until what its user did before is
 * known there. */
static void
test_reply(void **state)
{
	struct conf_live *live = &door_node->ch.live;

	live->channel[live->n_channels - 1].offline = 1;
	live->channel[live->n_channels - 1].recovery = 1;
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, "{\"id\":1,\"connect\":{}}");
	told_nothing(&alice);
	reader_reads(5);
	sweeps(100);
	assert_int_equal(n_asked, 0);
	reader_turn(5);
	sweeps(100);
	answers_user(true, 3);
	told_nothing(&alice);
	answers_page(5);
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0],
	    "\"publications\":[{\"data\":"
	    "{\"text\":\"4\"}"));
	assert_non_null(strstr(alice.text[0], "\"recovered\":true"));
	guest_forget(&alice);
	sweeps(100);
	noted(5);
}

/* A reply that cannot have all that came has none of it, and says so, until the
 * client has loaded what is kept. */
static void
test_reply_many(void **state)
{
	struct conf_live *live = &door_node->ch.live;

	live->channel[live->n_channels - 1].offline = 1;
	live->channel[live->n_channels - 1].recovery = 1;
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, "{\"id\":1,\"connect\":{}}");
	reader_turn(AWAY_MESSAGES + 20);
	sweeps(100);
	answers_user(true, 7);
	answers_page(AWAY_MESSAGES + 20);
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], "\"was_recovering\":true"));
	assert_null(strstr(alice.text[0], "\"recovered\""));
	assert_null(strstr(alice.text[0], "\"publications\""));
	guest_forget(&alice);
	sweeps(1000);
	noted(0);
	guest_say(&alice, "{\"id\":2,\"history\":{\"channel\":\"#alice\"}}");
	guest_forget(&alice);
	sweeps(1000);
	noted(0); /* it has asked for the position alone */
	guest_say(&alice,
	    "{\"id\":3,\"history\":{\"channel\":\"#alice\","
	    "\"limit\":10,\"reverse\":true}}");
	answers_page(AWAY_MESSAGES + 20);
	guest_forget(&alice);
	sweeps(1000);
	sweeps(1000);
	noted(AWAY_MESSAGES + 20);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_told), TEST(test_nothing),
	    TEST(test_unknown), TEST(test_many), TEST(test_meanwhile),
	    TEST(test_behind), TEST(test_in_vain), TEST(test_noted),
	    TEST(test_unacknowledged), TEST(test_skipped), TEST(test_unstored),
	    TEST(test_opens_late), TEST(test_turned_off), TEST(test_adopted),
	    TEST(test_reply), TEST(test_reply_many)};

	return cmocka_run_group_tests_name("away", tests, NULL, NULL);
}
