/* kill_away: a user comes for whom something has come, and the worker dies at
 * each kill point on the way to telling it; so does its successor. All of it is
 * told, in order, perhaps again, and what is published then is told, too. */
#include "kill_talk.h"

#include "../../src/door/plain/plain.h"
#include "base/clock.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "room/archive.h"
#include "room/away.h"

enum {
	READER = SHM_WORKERS,
	ARCHIVE = SHM_WORKERS + 1,
	GOT = 3, /* she has got so much of her channel, */
	TOP = 5	 /* and so much came */
};

static struct hub reader_hub;
static struct reader reader;
static char entry[1 << 17];
static struct message_ask asked;
static bool is_asked;

/* In place of the link: a question is answered after the turn. */
static int
ask_send(struct chat *ch, int to, const void *question, size_t len)
{
	memcpy(&asked, question, sizeof(asked));
	is_asked = true;
	return 1;
}

/* Users' own channels are stored. */
static void
rules(struct conf_live *live)
{
	struct conf_channel *c = rule_add(live, "#*");

	c->store = CONF_STORE_YES;
	c->history = 100;
}

/* A worker, as this test has it. */
static void
node_set(struct node *n)
{
	talk_set(n);
	n->ch.ask_send = ask_send;
	archive_linked(&n->ch, ARCHIVE);
}

/* Alice comes. */
static void
scene_begin(struct talker *t)
{
	memset(t, 0, sizeof(*t));
	fixture_hub_readers(&t->h, TALK_SLOTS, 100, 1 << 20, 4 << 20, 1 << 20,
	    1 << READER_STORE, 0);
	node_live = rules;
	t->n = node_new(&t->h, 0);
	node_set(t->n);
	t->set = node_set;
	t->i = node_open_at(t->n, &plain_door, "alice", &t->client);
	t->id = slot_id(&t->h, t->i);
	t->fd = node_fd(t->n, t->i);
	assert_int_equal(
	    t->h.slot[t->i].flags & SLOT_OWED, (uint32_t)SLOT_OWED);
}

/* The reader opens her channel, and takes what there is. */
static void
reader_turn(void)
{
	const struct reader_opening o = {.stream = 7, .top = TOP};
	struct publication p;

	while (reader_next(&reader, entry, sizeof(entry), &p) == READER_FOUND)
		if (p.format == FORMAT_OPEN)
			reader_opened(&reader, p.channel, p.epoch, &o);
	reader_taken(&reader, reader.passed);
}

static void
opening_cb(void *arg, uint32_t channel, uint32_t epoch)
{
	const struct reader_opening o = {.stream = 7, .top = TOP};

	reader_opened(arg, channel, epoch, &o);
}

static void
reader_begin(const struct hub *h)
{
	reader_hub = *h;
	hub_become(&reader_hub, READER);
	reader_init(&reader, &reader_hub, READER_STORE, READER_NO_MARK);
	reader_opening(&reader, opening_cb, &reader);
}

/* Who has rows answers. */
static void
archive_turn(struct chat *ch)
{
	static uint8_t bytes[4096];
	struct message_rows head = {
	    .number = asked.number, .result = ROWS_FOUND};
	size_t len = sizeof(head);
	char text[8];

	if (!is_asked)
		return;
	is_asked = false;
	for (uint64_t k = asked.what == ASK_USER ? GOT : TOP;
	     head.n < asked.limit && k > 0; k--, head.n++) {
		snprintf(text, sizeof(text), "%d", (int)k);
		len += publication_encode(
		    &(struct publication){.offset = k,
			.before = k - 1,
			.time_ms = 1700000000000,
			.format = asked.what == ASK_USER ? FORMAT_DELIVERED
							 : FORMAT_TEXT,
			.user = "",
			.data = text,
			.data_len = asked.what == ASK_USER
			    ? 0
			    : (uint32_t)strlen(text)},
		    bytes + len);
	}
	head.bytes = len - sizeof(head);
	memcpy(bytes, &head, sizeof(head));
	assert_null(archive_answer(ch, bytes, len, -1));
	if (archive_answered(ch) != SHM_NONE)
		away_try(ch, archive_answered(ch));
}

/* Turns of the worker and the others, until her connection is told what is
 * published, and has been. */
static bool
act(struct talker *t, struct node *node, bool next)
{
	int k;

	reader_begin(&t->h);
	for (k = 0; k < TALK_TURNS; k++) {
		talk_turn(node, t->i);
		reader_turn();
		archive_turn(&node->ch);
		for (int part = 0; part < 11; part++)
			away_sweep(&node->ch);
		if (t->h.slot[t->i].offset == TOP && k > 5 &&
		    output_pending(&node->ch.conn[t->i].out) == 0)
			break;
	}
	assert_true(k < TALK_TURNS);
	node_say(node, "#alice", "after");
	talk_turn(node, t->i);
	talk_turn(node, t->i);
	return true;
}

/* All that alice has heard: a line each. */
static const char *
heard(struct talker *t)
{
	static char lines[sizeof(t->in)];
	struct pollfd p = {t->client, POLLIN, 0};
	size_t at = TALK_HEAD, len, n = 0;
	ssize_t r;

	while (poll(&p, 1, 0) == 1) {
		r = recv(t->client, t->in + t->have, sizeof(t->in) - t->have,
		    MSG_DONTWAIT);
		assert_true(r > 0);
		t->have += (size_t)r;
	}
	for (; at < t->have; at += 2 + len) {
		len = (uint8_t)t->in[at + 1];
		assert_true(len < 126 && at + 2 + len <= t->have);
		memcpy(lines + n, t->in + at + 2, len);
		n += len;
		lines[n++] = '\n';
	}
	lines[n] = '\0';
	return lines;
}

/* For apart(): deaths, and then all of it has been told. 0: there are not so
 * many points. */
static int
deaths_cb(void *arg)
{
	static const char all[] = "UTC\n*server* whispers: 4\n"
				  "*server* whispers: 5\n";
	static struct talker t;
	const char *lines;
	bool died;

	scene_begin(&t);
	died = talk_die(&t, act, arg);
	lines = heard(&t);
	if (strstr(lines, "* 2 messages since 2023-11-14 22:13 UTC\n") ==
		NULL ||
	    strstr(lines, all) == NULL ||
	    strstr(strstr(lines, all), "whispers: after\n") == NULL)
		fail_msg("heard: %s", lines);
	assert_null(strstr(lines, "whispers: 3\n"));
	assert_true(t.h.slot[t.i].offset == TOP);
	return died;
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, false, 3, 20);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, true, 10, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once), cmocka_unit_test(test_twice)};

	return cmocka_run_group_tests_name("kill_away", tests, NULL, NULL);
}
