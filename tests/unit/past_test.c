/* past: history, recovery and "/history" beyond the ring, by questions to who
 * has more: a made one, which answers when the test says so. What it says is
 * hostile, too. */
#include "centrifugo_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/memory_file.h"
#include "conn/hold.h"
#include "hub/lock.h"
#include "room/archive.h"

enum {
	ARCHIVE = SHM_WORKERS + 1, /* its line */
	SAID = 10,		   /* publications in the room that the ring has
				    * overwritten, */
	KEPT = 3,		   /* and that it has */
	ALL = SAID + KEPT
};

#define TOP "13" /* ALL */

/* What it was asked. */
static struct message_ask asked[4];
static char asked_name[4][ASK_NAME_MAX];
static int n_asked;
static int link_takes; /* what sending a question returns */

/* What it has: rows of a table, whose offsets grow. */
static struct publication row[64];
static char data[64][8];
static int n_rows;

/* A channel is kept from now on, by a reader that does not require it. */
static void
channel_is_kept(const char *name)
{
	struct channel_position at;

	assert_int_equal(
	    channel_find(&door_node->ch, name, strlen(name), false, &at),
	    CHANNEL_OK);
	hub_lock(&door_node->h);
	presence_flags_set(&door_node->h, at.channel, 1 << READER_STORE);
	hub_unlock(&door_node->h);
}

/* In place of the link. */
static int
ask_send(struct chat *ch, int to, const void *question, size_t len)
{
	const struct message_ask *ask = question;

	assert_int_equal(to, ARCHIVE);
	if (link_takes != 1)
		return link_takes;
	assert_true(n_asked < 4);
	asked[n_asked] = *ask;
	assert_int_equal(len, sizeof(*ask) + ask->name_len + ask->text_len);
	memcpy(asked_name[n_asked++], (const char *)question + sizeof(*ask),
	    ask->name_len);
	return 1;
}

/* A row behind the others. */
static void
row_add(uint64_t offset, uint64_t before, int format)
{
	snprintf(data[n_rows], sizeof(data[0]), "%d", (int)offset);
	row[n_rows] = (struct publication){.offset = offset,
	    .before = before,
	    .format = (uint8_t)format,
	    .time_ms = clock_wall_ms(),
	    .user = "",
	    .data = data[n_rows],
	    .data_len =
		format == FORMAT_JSON ? (uint32_t)strlen(data[n_rows]) : 0};
	n_rows++;
}

/* Publishes to a channel; who has more has that, too. */
static void
channel_says(const char *name)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", n_rows + 1);
	server_says(name, FORMAT_JSON, "", text);
	row_add((uint64_t)n_rows + 1, (uint64_t)n_rows, FORMAT_JSON);
}

/* A channel of which the ring has the newest publications alone. */
static void
channel_grows(const char *name)
{
	static char large[60000];

	door_node->ch.live.message_size = sizeof(large) + 8;
	n_rows = 0;
	for (int k = 0; k < SAID; k++)
		channel_says(name);
	memset(large, 'x', sizeof(large));
	large[0] = large[sizeof(large) - 2] = '"';
	large[sizeof(large) - 1] = '\0';
	for (int k = 0; k < 24; k++)
		server_says("talk", FORMAT_JSON, "", large);
	for (int k = 0; k < KEPT; k++)
		channel_says(name);
	channel_is_kept(name);
}

static int
setup(void **state)
{
	door_begin_readers(1 << READER_STORE);
	door_node->ch.live.channel[0].history = 100;
	door_node->ch.ask_send = ask_send;
	archive_linked(&door_node->ch, ARCHIVE);
	link_takes = 1;
	n_asked = 0;
	alice.fd = bob.fd = -1;
	channel_grows("room");
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, CONNECT);
	guest_forget(&alice);
	return 0;
}

static int
teardown(void **state)
{
	return door_end(state);
}

static uint8_t answer[1 << 16];

/* Puts rows that a question asks for behind the head; returns bytes. */
static size_t
answer_fill(const struct message_ask *ask, struct message_rows *head)
{
	size_t len = sizeof(*head);
	const struct publication *p;
	uint32_t messages = 0;

	for (int k = 0; k < n_rows; k++) {
		p = &row[ask->reverse ? n_rows - 1 - k : k];
		if (p->offset <= ask->since ||
		    (ask->upto != 0 && p->offset > ask->upto))
			continue;
		if (p->format == FORMAT_JSON && messages++ == ask->limit) {
			head->more = 1;
			break;
		}
		len += publication_encode(p, answer + len);
		head->n++;
	}
	head->bytes = len - sizeof(*head);
	memcpy(answer, head, sizeof(*head));
	return len;
}

/* It answers the nth question. */
static void
answers_nth(int nth, uint32_t result)
{
	struct message_rows head = {
	    .number = asked[nth].number, .result = result};
	const size_t len = answer_fill(&asked[nth], &head);

	assert_null(archive_answer(&door_node->ch, answer, len, -1));
	door_settle();
}

/* It answers the only one. */
static void
answers(void)
{
	assert_int_equal(n_asked, 1);
	n_asked = 0;
	answers_nth(0, ROWS_FOUND);
}

/* The numbers that stand in what alice was told, as "data":N. */
static void
told_numbers(const char *wanted)
{
	char got[256] = "";
	const char *at;

	assert_int_equal(alice.n_texts, 1);
	for (at = alice.text[0]; (at = strstr(at, "\"data\":")) != NULL;) {
		at += 7;
		if (*at != '{')
			snprintf(got + strlen(got), sizeof(got) - strlen(got),
			    "%d ", atoi(at));
	}
	assert_string_equal(got, wanted);
}

/* Alice asks for history with these members; it is asked for rows, or not, and
 * she gets these. */
static void
pages(const char *members, bool asks, const char *wanted)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "{\"id\":2,\"history\":{\"channel\":\"room\",%s}}", members);
	guest_say(&alice, text);
	if (asks) {
		told_nothing(&alice);
		answers();
	}
	assert_int_equal(n_asked, 0);
	told_numbers(wanted);
	assert_non_null(strstr(alice.text[0], "\"offset\":" TOP));
	guest_forget(&alice);
}

/* She is told that error. */
static void
refused(const char *code)
{
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], code));
	guest_forget(&alice);
}

/* What the ring has is not asked for. */
static void
test_ring(void **state)
{
	pages("\"limit\":0", false, "");
	pages("\"limit\":2,\"reverse\":true", false, "13 12 ");
	pages("\"limit\":3,\"reverse\":true", false, "13 12 11 ");
	pages("\"limit\":9,\"since\":{\"offset\":11}", false, "12 13 ");
	pages("\"limit\":1,\"reverse\":true,\"since\":{\"offset\":13}", false,
	    "12 ");
	door_node->ch.live.channel[0].history = KEPT;
	pages("\"limit\":9,\"reverse\":true", false, "13 12 11 ");
}

/* Newest first: the ring's, and those before it. */
static void
test_reverse(void **state)
{
	pages("\"limit\":5,\"reverse\":true", true, "13 12 11 10 9 ");
	pages("\"limit\":3,\"reverse\":true,\"since\":{\"offset\":13}", true,
	    "12 11 10 ");
	pages("\"limit\":2,\"reverse\":true,\"since\":{\"offset\":11}", true,
	    "10 9 ");
	pages("\"limit\":2,\"reverse\":true,\"since\":{\"offset\":5}", true,
	    "4 3 ");
	pages("\"limit\":9,\"reverse\":true,\"since\":{\"offset\":3}", true,
	    "2 1 ");
	pages(
	    "\"limit\":9,\"reverse\":true,\"since\":{\"offset\":1}", false, "");
}

/* Oldest first: those before the ring, and the ring's. */
static void
test_forward(void **state)
{
	pages("\"limit\":2", true, "1 2 ");
	pages("\"limit\":2,\"since\":{\"offset\":4}", true, "5 6 ");
	pages("\"limit\":5,\"since\":{\"offset\":8}", true, "9 10 11 12 13 ");
	pages("\"limit\":50,\"since\":{\"offset\":9}", true, "10 11 12 13 ");
	pages("\"limit\":100", true, "1 2 3 4 5 6 7 8 9 10 11 12 13 ");
	/* it has not got the newest yet */
	n_rows = SAID + 1;
	pages("\"limit\":50,\"since\":{\"offset\":9}", true, "10 11 12 13 ");
	n_rows = SAID;
	pages("\"limit\":3,\"since\":{\"offset\":9}", true, "10 11 12 ");
	pages("\"limit\":100,\"reverse\":true", true,
	    "13 12 11 10 9 8 7 6 5 4 3 2 1 ");
}

/* Where something is missing a page ends, and none goes on over it. */
static void
test_gap(void **state)
{
	memmove(&row[4], &row[5], sizeof(row[0]) * (size_t)(n_rows - 5));
	n_rows--; /* 5 */
	pages("\"limit\":50,\"since\":{\"offset\":2}", true, "3 4 ");
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":4}}}");
	answers();
	refused("\"code\":112");
	pages("\"limit\":50,\"reverse\":true", true, "13 12 11 10 9 8 7 6 ");
	pages("\"limit\":50,\"reverse\":true,\"since\":{\"offset\":6}", true,
	    "4 3 2 1 ");
	/* between its newest and the ring */
	n_rows = 8; /* up to 9 */
	pages("\"limit\":50,\"since\":{\"offset\":7}", true, "8 9 ");
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9,\"since\":"
	    "{\"offset\":9}}}");
	answers();
	refused("\"code\":112");
	pages("\"limit\":50,\"reverse\":true", true, "13 12 11 ");
}

/* What has been erased, and a leap, are in the chain and not in a page. */
static void
test_erased(void **state)
{
	for (int k = 3; k < 6; k++) {
		row[k].format = k == 4 ? FORMAT_LEAP : FORMAT_ERASED;
		row[k].data_len = 0;
	}
	pages("\"limit\":3,\"since\":{\"offset\":2}", true, "3 7 8 ");
	pages("\"limit\":3,\"reverse\":true,\"since\":{\"offset\":8}", true,
	    "7 3 2 ");
}

#define RECOVER(offset)                                                   \
	"{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true," \
	"\"offset\":" #offset "}}"

/* Alice asks to go on, is told nothing, and is told these; whole: she has
 * recovered. */
static void
recovers(const char *text, const char *wanted, bool whole)
{
	guest_say(&alice, text);
	told_nothing(&alice);
	assert_int_equal(subscription_count(&door_hub, alice.conn), 0);
	answers();
	told_numbers(wanted);
	assert_int_equal(
	    strstr(alice.text[0], "\"recovered\":true") != NULL, whole);
	assert_non_null(strstr(alice.text[0], "\"was_recovering\":true"));
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
}

static void
test_recover(void **state)
{
	recovers(RECOVER(7), "8 9 10 11 12 13 ", true);
	recovers(RECOVER(0), "1 2 3 4 5 6 7 8 9 10 11 12 13 ", true);
	/* what is published meanwhile comes once */
	guest_say(&alice, RECOVER(8));
	told_nothing(&alice);
	server_says("room", FORMAT_JSON, "", "14");
	told_nothing(&alice);
	answers();
	told_numbers("9 10 11 12 13 14 ");
	guest_say(&alice, "{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
	guest_forget(&alice);
	/* something is missing */
	row[8].before = 6;
	recovers(RECOVER(7), "", false);
	/* it has another epoch, and nothing is asked */
	guest_say(&alice,
	    "{\"id\":2,\"subscribe\":{\"channel\":\"room\",\"recover\":true,"
	    "\"offset\":7,\"epoch\":\"0000abcd\"}}");
	told_numbers("");
	assert_int_equal(n_asked, 0);
}

/* What cannot be read is refused for now in a page, and not recovered. */
static void
test_failed(void **state)
{
	guest_say(&alice,
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9}}");
	answers_nth(0, ROWS_FAILED);
	refused("\"code\":100,\"message\":\"internal server "
		"error\",\"temporary\":true");
	n_asked = 0;
	guest_say(&alice, RECOVER(7));
	answers_nth(0, ROWS_FAILED);
	told_numbers("");
	assert_null(strstr(alice.text[0], "\"recovered\""));
	assert_non_null(strstr(alice.text[0], "\"was_recovering\":true"));
}

/* Time goes by. */
static void
later(unsigned ms)
{
	door_node->ch.now_ms += ms;
	hold_sweep(&door_node->ch);
	archive_sweep(&door_node->ch);
	chat_turn(&door_node->ch);
	door_settle();
}

/* In vain: for 2 s, then refused for now; what comes later is dropped. */
static void
test_late(void **state)
{
	const char *const texts[] = {
	    "{\"id\":2,\"history\":{\"channel\":\"room\",\"limit\":9}}",
	    RECOVER(7)};

	for (int k = 0; k < 2; k++) {
		n_asked = 0;
		guest_say(&alice, texts[k]);
		told_nothing(&alice);
		hold_sweep(&door_node->ch);
		told_nothing(&alice);
		later(HOLD_ROWS_MS);
		refused("\"code\":100");
		assert_int_equal(n_asked, 1);
		answers_nth(0, ROWS_FOUND);
		told_nothing(&alice);
	}
	assert_int_equal(subscription_count(&door_hub, alice.conn), 0);
	/* and anew */
	n_asked = 0;
	pages("\"limit\":9,\"reverse\":true,\"since\":{\"offset\":4}", true,
	    "3 2 1 ");
}

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

/* The plain door. */
static void
test_plain(void **state)
{
	guest_come(&bob, &plain_door, "bob");
	guest_say(&bob, "/history room 5");
	told_nothing(&bob);
	answers();
	told(&bob,
	    "* history of room\n* [room] *server* says: 9\n"
	    "* [room] *server* says: 10\n* [room] *server* says: 11\n"
	    "* [room] *server* says: 12\n* [room] *server* says: 13");
	guest_say(&bob, "/history room 6");
	answers_nth(0, ROWS_FAILED);
	told(&bob, "* busy, try again");
}

/* A connect that goes on in the user's own channel waits, too; in vain it is
 * connected, and has not recovered. */
static void
test_connect(void **state)
{
	static const char text[] =
	    "{\"id\":1,\"connect\":{\"subs\":{\"#alice\":{\"recover\":true,"
	    "\"offset\":7}}}}";

	channel_grows("#alice");
	for (int k = 0; k < 2; k++) {
		n_asked = 0;
		guest_forget(&alice);
		guest_come(&bob, &centrifugo_door, "alice");
		guest_say(&bob, text);
		told_nothing(&bob);
		assert_memory_equal(asked_name[0], "#alice", 6);
		if (k == 0)
			answers();
		else
			later(HOLD_ROWS_MS);
		assert_int_equal(bob.n_texts, 1);
		assert_int_equal(
		    strstr(bob.text[0], "\"recovered\":true") != NULL, k == 0);
		assert_int_equal(
		    strstr(bob.text[0], "\"data\":8,") != NULL, k == 0);
		assert_non_null(strstr(bob.text[0], "\"was_recovering\":true"));
		close(bob.fd);
		bob.fd = -1;
		door_settle();
	}
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

static int called;
static uint32_t called_rows;

static void
call_done(struct chat *ch, uint64_t arg, const struct archive_rows *rows)
{
	assert_ptr_equal(ch, &door_node->ch);
	assert_true(arg == 77);
	called_rows = rows != NULL ? rows->n : UINT32_MAX;
	called++;
}

/* Without a command: told once, with rows, or without in time. */
static void
test_call(void **state)
{
	const struct archive_query q = {.ask = {.what = ASK_PAGE, .limit = 2},
	    .name = "room",
	    .name_len = 4};

	called = 0;
	assert_true(archive_call(&door_node->ch, &q, call_done, 77));
	answers();
	assert_int_equal(called, 1);
	assert_int_equal(called_rows, 2);
	assert_true(archive_call(&door_node->ch, &q, call_done, 77));
	later(HOLD_ROWS_MS / 2);
	assert_int_equal(called, 1);
	later(HOLD_ROWS_MS);
	assert_int_equal(called, 2);
	assert_true(called_rows == UINT32_MAX);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	    TEST(test_ring),
	    TEST(test_reverse),
	    TEST(test_forward),
	    TEST(test_gap),
	    TEST(test_erased),
	    TEST(test_recover),
	    TEST(test_failed),
	    TEST(test_late),
	    TEST(test_again),
	    TEST(test_question),
	    TEST(test_plain),
	    TEST(test_connect),
	    TEST(test_several),
	    TEST(test_call),
	    TEST(test_hostile),
	    TEST(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
