/* answer: what a worker asks for is found in the database and sent to it, in a
 * datagram or a file, and no more of it than it asks for. */
#include "store_fixture.h"

#include <fcntl.h>

#include "../../src/store/answer.h"
#include "net/link.h"

static int end[2];
static struct store *store;
static struct asker by;
static uint8_t rows[1 << 20]; /* of the answer */
static struct message_rows head;

/* A channel of ten messages, and a link. */
static int
begin(void **state)
{
	struct store_channel c;
	char text[16];

	if (setup(state) != 0 || link_pair(end) == -1)
		return -1;
	store = writer();
	by = (struct asker){0};
	c = channel(store, "room");
	for (int k = 1; k <= 10; k++) {
		snprintf(text, sizeof(text), "%d", k);
		say(store, &c, text);
	}
	commit(store, 10);
	return 0;
}

static int
finish(void **state)
{
	store_close(store);
	close(end[0]);
	close(end[1]);
	return teardown(state);
}

/* A page of the room. */
static struct message_ask
of_room(void)
{
	return (struct message_ask){.number = 3,
	    .stream = 7,
	    .limit = ASK_MESSAGES_MAX,
	    .bytes = 100000,
	    .what = ASK_PAGE,
	    .name_len = 4};
}

/* Receives the answer; whether it came in a file. */
static bool
receive(void)
{
	struct link_datagram d[LINK_BATCH];
	const void *payload;
	const char *bad;
	size_t len;
	int type;

	assert_int_equal(link_receive(end[1], d), 1);
	type = message_check(d[0].bytes, d[0].len, d[0].n_fds, PARTY_ANSWERER,
	    &payload, &len, &bad);
	assert_true(type == MSG_ROWS || type == MSG_ROWS_FILE);
	memcpy(&head, payload, sizeof(head));
	assert_true(head.bytes <= sizeof(rows));
	if (type == MSG_ROWS) {
		memcpy(rows, (const char *)payload + sizeof(head), head.bytes);
		return false;
	}
	assert_true(fcntl(d[0].fd, F_GET_SEALS) & F_SEAL_WRITE);
	assert_int_equal(pread(d[0].fd, rows, sizeof(rows), 0), head.bytes);
	close(d[0].fd);
	return true;
}

/* Asks, and writes the texts of the answer's rows one behind the other. */
static const char *
asks(const struct message_ask *ask, const char *name)
{
	static uint8_t payload[sizeof(*ask) + 64];
	static char out[4096];
	struct publication p;
	size_t at = 0, n = 0;

	memcpy(payload, ask, sizeof(*ask));
	memcpy(payload + sizeof(*ask), name, strlen(name));
	(void)answer_ask(store, payload, end[0], &by);
	(void)receive();
	assert_int_equal(head.number, ask->number);
	out[0] = '\0';
	for (uint32_t k = 0; k < head.n; k++) {
		at += publication_decode(rows + at, head.bytes - at, &p);
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s ",
		    p.data_len < 4 ? (int)p.data_len : 4, p.data);
	}
	assert_int_equal(at, head.bytes);
	return out;
}

static void
test_page(void **state)
{
	struct message_ask ask = of_room();

	assert_string_equal(asks(&ask, "room"), "1 2 3 4 5 6 7 8 9 10 ");
	assert_int_equal(head.more, 0);
	ask.limit = 3;
	assert_string_equal(asks(&ask, "room"), "1 2 3 ");
	assert_int_equal(head.more, 1);
	ask.since = 7;
	assert_string_equal(asks(&ask, "room"), "8 9 10 ");
	assert_int_equal(head.more, 0);
	ask.since = 0;
	ask.reverse = 1;
	assert_string_equal(asks(&ask, "room"), "10 9 8 ");
	ask.upto = 4;
	assert_string_equal(asks(&ask, "room"), "4 3 2 ");
	ask.keep = 8;
	assert_string_equal(asks(&ask, "room"), "4 3 ");
	assert_int_equal(head.result, ROWS_FOUND);
}

/* One that is not there, or has other offsets, or of which nothing can be
 * read. */
static void
test_none(void **state)
{
	struct message_ask ask = of_room();

	ask.stream = 8;
	assert_string_equal(asks(&ask, "room"), "");
	assert_int_equal(head.result, ROWS_FOUND);
	ask.stream = 7;
	assert_string_equal(asks(&ask, "moor"), "");
	assert_int_equal(head.result, ROWS_FOUND);
	store_close(store);
	store = NULL;
	assert_string_equal(asks(&ask, "room"), "");
	assert_int_equal(head.result, ROWS_FAILED);
}

/* No more bytes than that, but for one that is larger than all may be. */
static void
test_bytes(void **state)
{
	const struct publication p = {.user_len = 5, .data_len = 1};
	struct message_ask ask = of_room();

	ask.bytes = (uint32_t)(2 * publication_bytes(&p));
	assert_string_equal(asks(&ask, "room"), "1 2 ");
	assert_int_equal(head.more, 1);
	ask.bytes = 1;
	assert_string_equal(asks(&ask, "room"), "1 ");
	assert_int_equal(head.more, 1);
}

/* What is no message has its place in the channel, and does not count. */
static void
test_leap(void **state)
{
	struct store_channel c = channel(store, "room");
	struct message_ask ask = of_room();
	const struct publication leap = {.offset = 100,
	    .before = 10,
	    .format = FORMAT_LEAP,
	    .time_ms = 1,
	    .user = "alice",
	    .user_len = 5,
	    .data = ""};

	assert_int_equal(store_take(store, &c, &leap), STORE_OK);
	say(store, &c, "11");
	commit(store, 12);
	ask.since = 9;
	ask.limit = 2;
	assert_string_equal(asks(&ask, "room"), "10  11 ");
	assert_int_equal(head.more, 0);
	ask.reverse = 1;
	assert_string_equal(asks(&ask, "room"), "11  10 ");
}

/* More than a datagram has room for. */
static void
test_file(void **state)
{
	static char large[40000];
	struct store_channel c = channel(store, "room");
	struct message_ask ask = of_room();

	memset(large, 'x', sizeof(large) - 1);
	say(store, &c, large);
	say(store, &c, large);
	commit(store, 12);
	ask.since = 9;
	assert_string_equal(asks(&ask, "room"), "10 xxxx xxxx ");
	ask.limit = 1; /* and one that fits again */
	assert_string_equal(asks(&ask, "room"), "10 ");
}

/* Of one that leaves too many files unread nothing more is found until it has
 * read them. */
static void
test_unread(void **state)
{
	static char text[90000];
	struct store_channel c = channel(store, "room");
	struct link_datagram d[LINK_BATCH];
	struct message_ask ask = of_room();
	uint8_t payload[sizeof(ask) + 4];

	memset(text, 'x', sizeof(text) - 1);
	say(store, &c, text);
	commit(store, 11);
	ask.limit = ask.reverse = 1;
	memcpy(payload, &ask, sizeof(ask));
	memcpy(payload + sizeof(ask), "room", 4);
	for (int k = 1; k <= 3; k++) {
		assert_int_equal(
		    answer_ask(store, payload, end[0], &by), STORE_OK);
		assert_in_range(by.unread, k * sizeof(text), k * 91000);
	}
	by.unread = ASK_BYTES_MAX - sizeof(text);
	(void)answer_ask(store, payload, end[0], &by);
	(void)answer_ask(store, payload, end[0], &by);
	assert_int_equal(link_receive(end[1], d), 5);
	for (int k = 0; k < 5; k++) {
		assert_int_equal(d[k].n_fds, k < 3);
		if (d[k].fd != -1)
			close(d[k].fd);
	}
	(void)answer_ask(store, payload, end[0], &by);
	assert_true(receive());
	assert_in_range(by.unread, sizeof(text), 91000);
}

/* A worker that does not read is not waited for. */
static void
test_full(void **state)
{
	const struct message_ask ask = of_room();
	uint8_t payload[sizeof(ask) + 4];

	memcpy(payload, &ask, sizeof(ask));
	memcpy(payload + sizeof(ask), "room", 4);
	for (int k = 0; k < 5000; k++)
		assert_int_equal(
		    answer_ask(store, payload, end[0], &by), STORE_OK);
}

/* Anything that passes the check of messages is answered, by no more than may
 * be. */
static void
test_hostile(void **state)
{
	static uint8_t datagram[sizeof(struct message_head) +
	    sizeof(struct message_ask) + 2 * UINT8_MAX];
	static const char *const names[] = {"room", "", "#alice", "\xff%'\""};
	uint8_t *payload = datagram + sizeof(struct message_head);
	const void *checked;
	const char *bad;
	size_t len;
	int n = 0;

	srandom(1);
	for (int k = 0; k < 20000; k++) {
		const char *name = names[random() % 4];
		const struct message_ask ask = {.number = (uint64_t)k + 1,
		    .stream = random() % 8 ? 7 : 1,
		    .since = random() % 3 ? (uint64_t)random() % 12 : 0,
		    .upto = random() % 3 ? (uint64_t)random() : UINT64_MAX,
		    .oldest_ms = random() % 9 ? 0 : INT64_MAX,
		    .limit = (uint32_t)random() % (ASK_MESSAGES_MAX + 2),
		    .bytes = (uint32_t)random() % 1000,
		    .keep = (uint32_t)random() % 20,
		    .what = (uint16_t)(random() % (ASK_USER + 2)),
		    .reverse = (uint16_t)(random() % 3),
		    .name_len = (uint16_t)(strlen(name) + !(random() % 50)),
		    .text_len = (uint16_t)(random() % 5)};
		const struct message_head about = {MSG_ASK,
		    (uint32_t)(sizeof(ask) + strlen(name) + ask.text_len)};

		memset(payload, '"', sizeof(datagram) - sizeof(about));
		memcpy(datagram, &about, sizeof(about));
		memcpy(payload, &ask, sizeof(ask));
		memcpy(payload + sizeof(ask), name, strlen(name));
		if (message_check(datagram, sizeof(about) + about.length, 0,
			PARTY_ASKER, &checked, &len, &bad) != MSG_ASK)
			continue;
		(void)answer_ask(store, checked, end[0], &by);
		(void)receive();
		assert_true(head.number == ask.number);
		assert_true(head.n <= 1 || head.bytes <= ask.bytes);
		n++;
	}
	assert_true(n > 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, finish)
	    TEST(test_page),
	    TEST(test_none),
	    TEST(test_bytes),
	    TEST(test_leap),
	    TEST(test_file),
	    TEST(test_full),
	    TEST(test_unread),
	    TEST(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
