/* past_fixture: alice at the centrifugo door, a room of which the ring has the
 * newest publications alone, and who has more: a made one, which answers when
 * the test says so. */
#ifndef CHATD_TESTS_PAST_FIXTURE_H
#define CHATD_TESTS_PAST_FIXTURE_H

#include "centrifugo_fixture.h"

#include "base/clock.h"
#include "conn/hold.h"
#include "../../src/hub/heads.h"
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
static inline void
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
static inline int
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
static inline void
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
static inline void
channel_says(const char *name)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", n_rows + 1);
	server_says(name, FORMAT_JSON, "", text);
	row_add((uint64_t)n_rows + 1, (uint64_t)n_rows, FORMAT_JSON);
}

/* A channel of which the ring has the newest publications alone. */
static inline void
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

/* The reader that fills it has committed all up to there. */
static inline void
committed(uint64_t position)
{
	SHM_STORE(door_hub.heads->reader[READER_STORE].taken, position);
}

static inline int
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
	committed(UINT64_MAX);
	guest_come(&alice, &centrifugo_door, "alice");
	guest_say(&alice, CONNECT);
	guest_forget(&alice);
	return 0;
}

static inline int
teardown(void **state)
{
	return door_end(state);
}

static uint8_t answer[1 << 16];

/* Puts rows that a question asks for behind the head; returns bytes. */
static inline size_t
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
static inline void
answers_nth(int nth, uint32_t result)
{
	struct message_rows head = {
	    .number = asked[nth].number, .result = result};
	const size_t len = answer_fill(&asked[nth], &head);

	assert_null(archive_answer(&door_node->ch, answer, len, -1));
	door_settle();
}

/* It answers the only one. */
static inline void
answers(void)
{
	assert_int_equal(n_asked, 1);
	n_asked = 0;
	answers_nth(0, ROWS_FOUND);
}

/* The numbers that stand in what alice was told, as "data":N. */
static inline void
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
static inline void
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
static inline void
refused(const char *code)
{
	assert_int_equal(alice.n_texts, 1);
	assert_non_null(strstr(alice.text[0], code));
	guest_forget(&alice);
}

/* Time goes by. */
static inline void
later(unsigned ms)
{
	door_node->ch.now_ms += ms;
	hold_sweep(&door_node->ch);
	archive_sweep(&door_node->ch);
	chat_turn(&door_node->ch);
	door_settle();
}

#endif
