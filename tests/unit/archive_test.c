/* archive: questions to who has more than the ring, and what its answers may
 * be: it is hostile, too. */
#include "past_fixture.h"

#include <fcntl.h>

#include "base/memory_file.h"

/* Who answers is replaced, or its link full: it is asked again. */
static void
test_again(void **state)
{
	struct message_rows head = {.result = ROWS_FOUND};
	size_t len;

	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":3}}");
	assert_int_equal(n_asked, 1);
	archive_ended(&door_node->ch, ARCHIVE + 1);
	archive_ended(&door_node->ch, ARCHIVE);
	archive_sweep(&door_node->ch);
	assert_int_equal(n_asked, 1);
	link_takes = 0;
	archive_linked(&door_node->ch, ARCHIVE);
	archive_sweep(&door_node->ch);
	assert_int_equal(n_asked, 1);
	link_takes = 1;
	archive_sweep(&door_node->ch);
	assert_int_equal(n_asked, 2);
	assert_memory_equal(&asked[0], &asked[1], sizeof(asked[0]));
	archive_sweep(&door_node->ch);
	assert_int_equal(n_asked, 2);
	told_nothing(&alice);
	answers_nth(1, ROWS_FOUND);
	told_numbers("1 2 3 ");
	guest_forget(&alice);
	answers_nth(0, ROWS_FOUND); /* twice: once counts */
	told_nothing(&alice);
	/* also before it was used */
	n_asked = 0;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":3}}");
	head.number = asked[0].number;
	len = answer_fill(&asked[0], &head);
	for (int k = 0; k < 2; k++)
		assert_null(archive_answer(&door_node->ch, answer, len, -1));
	door_settle();
	told_numbers("1 2 3 ");
}

/* A question names all that it is about. */
static void
test_question(void **state)
{
	struct channel_position at;

	assert_int_equal(
	    channel_find(&door_node->ch, "room", 4, false, &at), CHANNEL_OK);
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":7,"
	    "\"reverse\":true,\"since\":{\"offset\":6}}}");
	assert_int_equal(n_asked, 1);
	assert_int_equal(asked[0].what, ASK_PAGE);
	assert_int_equal(asked[0].name_len, 4);
	assert_memory_equal(asked_name[0], "room", 4);
	assert_true(asked[0].stream == at.stream);
	assert_true(asked[0].upto == 5 && asked[0].since == 0);
	assert_true(asked[0].limit == 7 && asked[0].reverse == 1);
	assert_int_equal(asked[0].keep, 100);
	assert_int_equal(asked[0].bytes, door_node->ch.live.queue_bytes / 2);
	answers();
}

/* Two that ask the same have answers of their own, and one that has gone
 * gets none. */
static void
test_several(void **state)
{
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/history room 5");
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":5,"
	    "\"reverse\":true}}");
	assert_int_equal(n_asked, 2);
	close(bob.fd);
	bob.fd = -1;
	door_settle();
	answers_nth(0, ROWS_FOUND);
	told_nothing(&alice);
	answers_nth(1, ROWS_FOUND);
	told_numbers("13 12 11 10 9 ");
}

/* Alice asks for something of the room, and it is asked for. */
static void
asks_anew(const char *text)
{
	n_asked = 0;
	guest_forget(&alice);
	guest_say(&alice, text);
	told_nothing(&alice);
	assert_int_equal(n_asked, 1);
}

/* Rows are forgotten with the answer to their command, whatever that is. */
static void
test_forgets(void **state)
{
	static const char *const others[] = {"talk", "club", "mute"};
	static const char history[] =
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":4}}}";
	static const char subscribe[] =
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":4}}";
	char text[128];

	row[4].before = 3; /* a gap */
	for (int k = 0; k < 2; k++) {
		asks_anew(history);
		answers_nth(0, ROWS_FOUND);
		refused("\"code\":112");
	}
	/* the connection has as many channels as it may have */
	for (int k = 0; k < 3; k++) {
		snprintf(text, sizeof(text),
		    "{\"id\":3,\"subscribe\":{\"channel\":\"%s\"}}", others[k]);
		guest_say(&alice, text);
	}
	for (int k = 0; k < 2; k++) {
		asks_anew(subscribe);
		answers_nth(0, ROWS_FOUND);
		refused("\"code\":106");
	}
	/* and with its connection */
	asks_anew(history);
	conn_drop(&door_node->ch, alice.conn, NULL);
	n_asked = 0;
	archive_linked(&door_node->ch, ARCHIVE);
	assert_int_equal(n_asked, 0);
	answers_nth(0, ROWS_FOUND);
}

/* A question of the room above an offset. */
static struct archive_query
above(uint64_t since)
{
	return (struct archive_query){
	    .ask = {.what = ASK_PAGE, .since = since, .limit = 2},
	    .name = "room",
	    .name_len = 4};
}

/* Asks that, of a connection, for a command or not. */
static enum archive_result
ask_of(uint32_t conn, bool aside, const struct archive_query *q)
{
	struct archive_rows rows;

	door_node->ch.hold = (struct hold_hand){.conn = conn, .aside = aside};
	return archive_ask(&door_node->ch, q, &rows);
}

/* Each question has its own answer, and what a connection is told aside has
 * nothing to do with its commands. */
static void
test_apart(void **state)
{
	const struct archive_query one = above(1), two = above(2);
	struct archive_query now = above(3);
	struct chat *ch = &door_node->ch;

	assert_int_equal(ask_of(alice.conn, true, &one), ARCHIVE_WAITS);
	assert_int_equal(ask_of(alice.conn, true, &two), ARCHIVE_WAITS);
	answers_nth(0, ROWS_FOUND);
	answers_nth(1, ROWS_FAILED);
	assert_int_equal(archive_answered(ch), alice.conn);
	assert_int_equal(ask_of(alice.conn, true, &two), ARCHIVE_FAILED);
	assert_int_equal(ask_of(alice.conn, true, &one), ARCHIVE_ROWS);
	assert_int_equal(ask_of(alice.conn, false, &one), ARCHIVE_WAITS);
	assert_int_equal(n_asked, 3);
	archive_done(ch);
	assert_int_equal(ask_of(alice.conn, true, &one), ARCHIVE_ROWS);
	/* who cannot wait asks nothing */
	now.now = true;
	assert_int_equal(ask_of(alice.conn, true, &now), ARCHIVE_LATE);
	assert_int_equal(n_asked, 3);
	archive_done(ch);
	assert_int_equal(ask_of(alice.conn, true, &one), ARCHIVE_WAITS);
	assert_int_equal(n_asked, 4);
	archive_done(ch);
}

/* A command that asks for more than one thing is looked at when all is there.
 */
static void
test_all(void **state)
{
	const struct archive_query other = above(1);

	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":3}}");
	assert_int_equal(ask_of(alice.conn, false, &other), ARCHIVE_WAITS);
	answers_nth(0, ROWS_FOUND);
	told_nothing(&alice);
	answers_nth(1, ROWS_FOUND);
	told_numbers("1 2 3 ");
}

/* Who does not answer is not waited for by the next ones, but asked. */
static void
test_stuck(void **state)
{
	static const char history[] =
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":3}}";

	asks_anew(history);
	later(HOLD_ROWS_MS);
	refused("\"code\":100");
	n_asked = 0;
	guest_say(&alice, history);
	assert_int_equal(n_asked, 1);
	refused("\"code\":100");
	answers_nth(0, ROWS_FOUND);
	told_nothing(&alice);
	asks_anew(history);
	answers_nth(0, ROWS_FOUND);
	told_numbers("1 2 3 ");
	/* there is no link, at first and for long */
	archive_ended(&door_node->ch, ARCHIVE);
	guest_forget(&alice);
	guest_say(&alice, history);
	told_nothing(&alice);
	later(HOLD_ROWS_MS);
	refused("\"code\":100");
	guest_say(&alice, history);
	refused("\"code\":100");
	n_asked = 0;
	archive_linked(&door_node->ch, ARCHIVE);
	asks_anew(history);
	answers_nth(0, ROWS_FOUND);
	told_numbers("1 2 3 ");
}

/* While there are too many questions a command waits to ask its own. */
static void
test_crowd(void **state)
{
	struct archive_query q;

	guest_come(&bob, &plain_door, "bob");
	link_takes = 0;
	for (uint32_t k = 1; k <= ARCHIVE_ASKED_MAX; k++) {
		q = above(k);
		assert_int_equal(ask_of(bob.conn, false, &q), ARCHIVE_WAITS);
	}
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":3}}");
	told_nothing(&alice);
	archive_left(&door_node->ch, bob.conn);
	link_takes = 1;
	archive_sweep(&door_node->ch);
	door_settle();
	answers();
	told_numbers("1 2 3 ");
}

/* Sends what spoil() has made of a good answer; what is said of it. */
static const char *
spoiled(void (*spoil)(struct message_rows *head, size_t *len))
{
	struct message_rows head = {.result = ROWS_FOUND};
	const char *bad;
	size_t len;

	n_asked = 0;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":5,"
	    "\"since\":{\"offset\":2}}}");
	assert_int_equal(n_asked, 1);
	head.number = asked[0].number;
	len = answer_fill(&asked[0], &head);
	spoil(&head, &len);
	memcpy(answer, &head, sizeof(head));
	bad = archive_answer(&door_node->ch, answer, len, -1);
	door_settle();
	if (bad != NULL)
		refused("\"code\":100");
	guest_forget(&alice);
	later(10000);
	return bad;
}

/* The nth row of the answer is changed. */
static struct publication changed;
static int change_nth;
static void
spoil_row(struct message_rows *head, size_t *len)
{
	size_t at = sizeof(*head), out = at;
	static uint8_t copy[sizeof(answer)];
	struct publication p;

	memcpy(copy, answer, sizeof(copy));
	for (int k = 0; at < *len; k++) {
		at += publication_decode(copy + at, *len - at, &p);
		if (k == change_nth) {
			changed.user = changed.user != NULL ? changed.user : "";
			p = changed;
		}
		out += publication_encode(&p, answer + out);
	}
	*len = out;
	head->bytes = out - sizeof(*head);
}

/* Whether an answer is taken in which the second row is that. */
static bool
takes(struct publication p)
{
	changed = p;
	change_nth = 1;
	return spoiled(spoil_row) == NULL;
}

static void
spoil_nothing(struct message_rows *head, size_t *len)
{
}
static void
spoil_more_rows(struct message_rows *head, size_t *len)
{
	head->n++;
}
static void
spoil_fewer_rows(struct message_rows *head, size_t *len)
{
	head->n--;
}
static void
spoil_cut(struct message_rows *head, size_t *len)
{
	*len -= 8;
	head->bytes -= 8;
}
static void
spoil_bytes(struct message_rows *head, size_t *len)
{
	memset(answer + sizeof(*head), 0xff, *len - sizeof(*head));
}

/* Rows that make no sense are not told to anybody. */
static void
test_hostile(void **state)
{
	const struct publication good = {.offset = 4,
	    .before = 3,
	    .format = FORMAT_JSON,
	    .data = "4",
	    .data_len = 1};
	struct publication p;

	assert_null(spoiled(spoil_nothing));
	assert_true(takes(good));
#define REFUSED(...)                    \
	do {                            \
		p = good;               \
		__VA_ARGS__;            \
		assert_false(takes(p)); \
	} while (0)
	REFUSED(p.offset = 3); /* as the one before it */
	REFUSED(p.offset = 2);
	REFUSED(p.offset = 6); /* above the next */
	REFUSED(p.before = 4);
	REFUSED(p.data = "{", p.data_len = 1);
	REFUSED(p.data_len = 0);
	REFUSED(p.data = "4\n{}", p.data_len = 4);
	REFUSED(p.data = "{\"a\":\n1}", p.data_len = 8);
	REFUSED(p.tags = "{\"a\":\r\"\"}", p.tags_len = 9);
	REFUSED(p.user = "\xff", p.user_len = 1);
	REFUSED(p.tags = "7", p.tags_len = 1);
	REFUSED(p.tags = "}", p.tags_len = 1);
	REFUSED(p.info = "}{", p.info_len = 2);
	REFUSED(p.format = FORMAT_TEXT, p.data = "\xc3", p.data_len = 1);
	REFUSED(p.format = FORMAT_LEAP);
	REFUSED(p.format = 0);
	assert_non_null(spoiled(spoil_more_rows));
	assert_non_null(spoiled(spoil_fewer_rows));
	assert_non_null(spoiled(spoil_cut));
	assert_non_null(spoiled(spoil_bytes));
	n_asked = 0;
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":5}}");
	asked[0].number += 9;
	{
		struct message_rows head = {.number = asked[0].number};
		size_t len = answer_fill(&asked[0], &head);

		assert_non_null(
		    archive_answer(&door_node->ch, answer, len, -1));
	}
	told_nothing(&alice);
}

/* Rows in a file: sealed, and as long as is said. */
static void
test_file(void **state)
{
	struct message_rows head;
	int fd;

	for (int k = 0; k < 4; k++) {
		n_asked = 0;
		guest_say(&alice,
		    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":5,"
		    "\"since\":{\"offset\":2}}}");
		head = (struct message_rows){.number = asked[0].number};
		(void)answer_fill(&asked[0], &head);
		fd = memory_file("rows");
		assert_int_not_equal(fd, -1);
		if (k < 2)
			fd = memory_file_fill(
			    fd, answer + sizeof(head), head.bytes - (k == 1));
		else if (k == 2)
			assert_int_equal(
			    pwrite(fd, answer + sizeof(head), head.bytes, 0),
			    head.bytes);
		else {
			close(fd);
			fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
		}
		memcpy(answer, &head, sizeof(head));
		if (k == 0) {
			assert_null(archive_answer(
			    &door_node->ch, answer, sizeof(head), fd));
			door_settle();
			told_numbers("3 4 5 6 7 ");
			guest_forget(&alice);
		} else {
			assert_non_null(archive_answer(
			    &door_node->ch, answer, sizeof(head), fd));
			door_settle();
			refused("\"code\":100");
		}
		close(fd);
	}
}

/* A command that has waited for its channel waits for rows as long as others
 * do. */
static void
test_after_opening(void **state)
{
	struct channel_position at;
	uint8_t flags;

	assert_int_equal(
	    channel_find(&door_node->ch, "room", 4, false, &at), CHANNEL_OK);
	flags = presence_flags(&door_hub, at.channel);
	SHM_STORE(door_hub.entry[at.channel].flags,
	    PRESENCE_WARM(flags, PRESENCE_OPENING));
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":5}}");
	assert_int_equal(n_asked, 0);
	/* as if it had come so long ago */
	conn_slot(&door_node->ch, alice.conn)->message_ms -=
	    HOLD_OPENED_MS - 500;
	hold_lost(&door_node->ch);
	door_settle();
	assert_int_equal(n_asked, 0);
	SHM_STORE(door_hub.entry[at.channel].flags, flags);
	hold_opened(&door_node->ch, at.channel, at.epoch, RESULT_OK);
	door_settle();
	assert_int_equal(n_asked, 1);
	later(800);
	told_nothing(&alice);
	answers();
	told_numbers("1 2 3 4 5 ");
}

/* A request of the server API; its connection. */
static uint32_t
request_comes(int *fd)
{
	static const char text[] = "POST /api/history HTTP/1.1\r\n"
				   "Host: localhost\r\nX-API-Key: key\r\n"
				   "Content-Length: 28\r\n\r\n"
				   "{\"channel\":\"room\",\"limit\":5}";
	const uint32_t i = client_comes(&door_node->ch, fd);

	assert_int_equal(
	    send(*fd, text, sizeof(text) - 1, 0), sizeof(text) - 1);
	door_settle();
	return i;
}

/* What a request had asked for is not told to the next one in its place, which
 * nothing else tells apart when all slots are in use. */
static void
test_request(void **state)
{
	const struct linger none = {1, 0};
	struct chat *ch = &door_node->ch;
	int fd, idle[128], n = 0;
	const char *all;
	uint32_t i;
	size_t have;

	do {
		assert_true(n < 128);
		i = client_comes(ch, &idle[n++]);
	} while (conn_has_slot(ch, i));
	conn_drop(ch, i, NULL);
	ch->judge = &door_judge;
	ch->live.request_size = 8192;
	strcpy(ch->live.api_key, "key");
	assert_int_equal(request_comes(&fd), i);
	assert_int_equal(n_asked, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	door_settle();
	assert_int_equal(ch->conn[i].phase, CONN_NONE);
	assert_int_equal(request_comes(&fd), i);
	assert_int_equal(n_asked, 2);
	answers_nth(0, ROWS_FOUND);
	assert_int_equal(recv(fd, &have, 1, MSG_DONTWAIT), -1);
	answers_nth(1, ROWS_FOUND);
	all = client_all(fd, "\"offset\":" TOP, &have);
	assert_int_equal(text_count(all, have, "{\"data\":5,"), 1);
	close(fd);
	while (n > 0)
		close(idle[--n]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	    TEST(test_again),
	    TEST(test_question),
	    TEST(test_several),
	    TEST(test_forgets),
	    TEST(test_apart),
	    TEST(test_all),
	    TEST(test_stuck),
	    TEST(test_crowd),
	    TEST(test_hostile),
	    TEST(test_file),
	    TEST(test_after_opening),
	    TEST(test_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
