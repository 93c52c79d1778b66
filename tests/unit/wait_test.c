/* wait: input that is too much for one turn waits; all of it is done in order,
 * once, whichever worker has the connection by then, and the others go
 * first. */
#include "talker.h"
#include "apart.h"

#include "hub/journal.h"
#include "hub/stats.h"

enum { CONNECT = 4, SUBSCRIBE = 5, KINDS = 4, TURNS = 20000, DEATHS = 12 };

/* A frame of commands; `kinds` names them, -1 ends. */
static void
say(struct talker *t, const int *kinds)
{
	char text[2048];
	size_t at = 0;

	for (; *kinds >= 0; kinds++) {
		if (at > 0)
			text[at++] = '\n';
		at += talk_command(t, text + at, sizeof(text) - at, *kinds);
	}
	talk_frame(t, WS_TEXT, true, text, at);
}

/* The beginning of all talk: it is connected and in the room. */
static void
say_hello(struct talker *t)
{
	static const int hello[] = {CONNECT, SUBSCRIBE, -1};

	say(t, hello);
}

/* say() as fragments, with pings between them. */
static void
say_in_pieces(struct talker *t, uint32_t n)
{
	char text[2048];
	size_t at = 0, from = 0, len;
	int opcode = WS_TEXT;

	while (n-- > 0) {
		if (at > 0)
			text[at++] = '\n';
		at += talk_command(t, text + at, sizeof(text) - at,
		    (int)fixture_random(KINDS));
	}
	for (; from < at; from += len, opcode = WS_CONTINUATION) {
		len = 1 + fixture_random(100);
		if (len > at - from)
			len = at - from;
		talk_frame(t, opcode, from + len == at, text + from, len);
	}
}

/* Turns until all is answered. */
static void
go_on(struct talker *t, struct node *n)
{
	int k;

	for (k = 0; k < TURNS && !talk_is_done(t); k++) {
		talk_send(t, TALK_MAX);
		talk_turn(n, t->i);
		talk_hear(t, n);
	}
	assert_true(talk_is_done(t));
	talk_turn(n, t->i);
	assert_int_equal(n->ch.n_waiting, 0);
	assert_null(input_part(&t->h, t->i));
	assert_int_equal(journal_tail(&t->h), t->publishes);
}

/* One command a turn; another one, who comes meanwhile, is served at once. */
static void
test_others_first(void **state)
{
	static const int many[] = {0, 2, 0, 2, 0, 2, 0, 0, -1};
	struct talker t;
	uint32_t other, before;
	int client;

	talk_begin(&t);
	other = node_open(t.n, "bob", &client);
	say_hello(&t);
	say(&t, many);
	talk_send(&t, TALK_MAX);
	talk_turn(t.n, t.i);
	talk_hear(&t, t.n);
	assert_in_range(t.answered, 1, 3);
	assert_true(t.n->ch.conn[t.i].waits);
	assert_int_equal(t.n->ch.conn[t.i].watched, 0);
	assert_true(conn_unread(&t.n->ch, t.i));
	before = t.answered;
	node_read(t.n, other, client, "/rooms");
	talk_turn(t.n, t.i);
	assert_int_equal(
	    client_got(client, "* you are in lobby", "* you are in lobby"), 1);
	talk_hear(&t, t.n);
	assert_in_range(t.answered, before + 1, before + 2);
	go_on(&t, t.n);
	assert_int_equal(t.n->ch.conn[t.i].watched, READY_READ);
	close(client);
	talk_end(&t);
}

/* Several who wait are served one after another. */
static void
test_in_turn(void **state)
{
	static const int many[] = {CONNECT, 0, 0, 0, 0, 0, 0, 0, -1};
	static struct talker t[3];
	uint32_t k, least, most, turns;

	for (k = 0; k < 3; k++) {
		if (k == 0)
			talk_begin(&t[0]);
		else {
			t[k] = (struct talker){.h = t[0].h, .n = t[0].n};
			t[k].i = node_open_at(
			    t[0].n, &centrifugo_door, "", &t[k].client);
			t[k].out = malloc(TALK_MAX);
			client_all(t[k].client, "101", &t[k].have);
			t[k].have = 0;
		}
		say(&t[k], many);
		talk_send(&t[k], TALK_MAX);
	}
	for (k = 0; k < 3; k++)
		conn_read(&t[0].n->ch, t[k].i);
	t[0].n->ch.budget_us = 0; /* one of them a turn */
	for (turns = 0; turns < 21; turns++) {
		chat_turn(&t[0].n->ch);
		least = UINT32_MAX;
		most = 0;
		for (k = 0; k < 3; k++) {
			talk_hear(&t[k], t[0].n);
			if (t[k].answered < least)
				least = t[k].answered;
			if (t[k].answered > most)
				most = t[k].answered;
		}
		assert_true(most - least <= 1);
	}
	for (k = 0; k < 3; k++)
		assert_true(talk_is_done(&t[k]));
	for (k = 1; k < 3; k++) {
		close(t[k].client);
		free(t[k].out);
	}
	talk_end(&t[0]);
}

/* What a worker does in a turn at most, whether now and then it is another one,
 * and which random numbers there are. */
struct anything {
	uint64_t budget_bytes, budget_us, seed;
	bool deaths;
};

/* For apart(): frames, pieces of frames and pings, cut anywhere on their way.
 */
static int
anything_cb(void *arg)
{
	static struct talker t;
	const struct anything *a = arg;
	struct node *n;
	uint32_t k, kinds, left = a->deaths ? DEATHS : 0;
	int many[9];

	fixture_seed = a->seed;
	talk_begin(&t);
	n = t.n;
	say_hello(&t);
	while (t.len < 8000) {
		switch (fixture_random(4)) {
		case 0:
			talk_ping(&t);
			break;
		case 1:
			say_in_pieces(&t, 1 + fixture_random(8));
			break;
		default:
			kinds = 1 + fixture_random(8);
			for (k = 0; k < kinds; k++)
				many[k] = (int)fixture_random(KINDS);
			many[k] = -1;
			say(&t, many);
			break;
		}
	}
	n->ch.budget_bytes = a->budget_bytes;
	n->ch.budget_us = a->budget_us;
	for (k = 0; k < TURNS && !talk_is_done(&t); k++) {
		talk_send(&t, fixture_random(fixture_random(2) ? 30 : 2000));
		talk_turn(n, t.i);
		talk_hear(&t, n);
		if (left > 0 && fixture_random(16) == 0) {
			left--;
			close(n->ch.conn[t.i].fd);
			n = talk_take_over(&t);
			n->ch.budget_bytes = a->budget_bytes;
			n->ch.budget_us = a->budget_us;
		}
	}
	assert_true(talk_is_done(&t));
	go_on(&t, n);
	assert_int_equal(t.pushes, t.publishes);
	talk_end(&t);
	return 0;
}

/* Talks a number of times, each time with other random numbers. */
static void
talk_anything(uint32_t times, bool deaths)
{
	struct anything a = {.deaths = deaths};

	while (times-- > 0) {
		a.budget_bytes = 1 + fixture_random(3) * 100;
		a.budget_us = fixture_random(2) * CHAT_BUDGET_US;
		fixture_fill(&a.seed, sizeof(a.seed));
		apart(anything_cb, &a);
	}
}

static void
test_anything(void **state)
{
	struct anything usual = {CHAT_BUDGET_BYTES, CHAT_BUDGET_US, 1, false};

	talk_anything(fixture_rounds(20), false);
	apart(anything_cb, &usual);
}

static void
test_anything_and_deaths(void **state)
{
	talk_anything(fixture_rounds(20), true);
}

/* What waits goes with its connection, and comes back with it. */
static void
test_moves(void **state)
{
	static const int many[] = {0, 1, 2, 0, 1, 0, 1, 1, -1};
	struct node *taker;
	struct talker t;
	int fd;

	talk_begin(&t);
	taker = node_new(&t.h, 1);
	talk_set(taker);
	say_hello(&t);
	say(&t, many);
	say(&t, many);
	talk_send(&t, TALK_MAX);
	talk_turn(t.n, t.i);
	talk_turn(t.n, t.i);
	talk_turn(t.n, t.i);
	assert_int_equal(give_freeze(&t.n->ch, 1), t.i);
	assert_int_equal(t.n->ch.n_waiting, 0);
	chat_turn(&t.n->ch);
	give_back(&t.n->ch, 1);
	assert_int_equal(t.n->ch.n_waiting, 1);
	talk_turn(t.n, t.i);
	talk_turn(t.n, t.i);
	talk_hear(&t, t.n);
	assert_false(talk_is_done(&t));
	assert_int_equal(give_freeze(&t.n->ch, 1), t.i);
	fd = dup(t.fd);
	assert_int_equal(
	    move_take(&taker->ch, 0, &t.id, &fd, 1, NULL, NULL), 1);
	give_done(&t.n->ch, 1, t.id);
	assert_int_equal(t.n->ch.n_waiting, 0);
	assert_int_equal(t.n->ch.input.pages.n_used, 0);
	assert_int_equal(taker->ch.n_waiting, 1);
	go_on(&t, taker);
	assert_int_equal(taker->ch.input.pages.n_used, 0);
	talk_end(&t);
}

/* Its worker dies over a message that waits, having published and not answered;
 * the next one gives it away and has it back: it is answered all the same. */
static void
test_torn_comes_back(void **state)
{
	static const int many[] = {CONNECT, SUBSCRIBE, 1, 1, 1, 1, -1};
	const struct publishing what = {
	    .command = 3, .format = FORMAT_JSON, .data = "1", .len = 1};
	struct publishing next = what;
	struct publication p;
	struct talker t;
	struct node *n;
	uint64_t mask;

	talk_begin(&t);
	say(&t, many);
	talk_send(&t, TALK_MAX);
	for (int k = 0; k < 10 && t.answered < 3; k++) {
		talk_turn(t.n, t.i);
		talk_hear(&t, t.n);
	}
	assert_int_equal(t.answered, 3);
	assert_true(t.n->ch.conn[t.i].waits);
	next.conn = t.i;
	assert_int_equal(
	    publish(&t.n->ch, "room", 4, PUBLISH_MAKE, &next, &p, &mask),
	    PUBLISH_OK);
	close(t.n->ch.conn[t.i].fd);
	n = talk_take_over(&t);
	assert_int_equal(n->ch.n_waiting, 1);
	assert_int_equal(give_freeze(&n->ch, 1), t.i);
	chat_turn(&n->ch);
	give_back(&n->ch, 1);
	go_on(&t, n);
	assert_int_equal(t.pushes, t.publishes);
	talk_end(&t);
}

/* In a drain who has always more to be done is ended, too: behind the message
 * in hand, the rest of which is answered. */
static void
test_drains(void **state)
{
	static const int many[] = {0, 0, 0, 0, 0, 0, 0, 0, -1};
	struct talker t;
	struct conn *c;
	uint32_t before;

	talk_begin(&t);
	c = &t.n->ch.conn[t.i];
	say_hello(&t);
	for (int k = 0; k < 50; k++)
		say(&t, many);
	talk_send(&t, TALK_MAX);
	while (t.answered < 2 + 8 + 3) {
		talk_turn(t.n, t.i);
		talk_hear(&t, t.n);
	}
	before = t.answered;
	assert_true(c->waits);
	conn_drain(&t.n->ch, t.i);
	assert_int_equal(c->phase, CONN_OPEN);
	for (int k = 0; k < TURNS && c->phase == CONN_OPEN; k++) {
		talk_turn(t.n, t.i);
		if (c->phase == CONN_OPEN)
			talk_hear(&t, t.n);
	}
	assert_int_not_equal(c->phase, CONN_OPEN);
	assert_in_range(t.answered, before + 1, t.asked - 1);
	assert_int_equal(KEY_COUNT(SHM_LOAD(t.h.slot[t.i].answered)), 8);
	assert_int_equal(t.n->ch.n_waiting, 0);
	assert_int_equal(t.n->ch.input.pages.n_used, 0);
	/* one that has nothing behind that message */
	talk_end(&t);
	talk_begin(&t);
	c = &t.n->ch.conn[t.i];
	say(&t, (const int[]){CONNECT, 0, 0, 0, -1});
	talk_send(&t, TALK_MAX);
	talk_turn(t.n, t.i);
	assert_true(c->waits);
	conn_drain(&t.n->ch, t.i);
	while (c->waits)
		talk_turn(t.n, t.i);
	assert_int_not_equal(c->phase, CONN_OPEN);
	assert_int_equal(KEY_COUNT(SHM_LOAD(t.h.slot[t.i].answered)), 4);
	/* one that has nothing to be done ends at once */
	talk_end(&t);
	talk_begin(&t);
	conn_drain(&t.n->ch, t.i);
	assert_int_equal(t.n->ch.conn[t.i].phase, CONN_ENDING);
	talk_end(&t);
}

/* Without room for what is to wait all is done at once, if it does not take
 * long; if it does, the connection is closed. */
static void
test_no_room(void **state)
{
	static const int many[] = {0, 1, 2, 0, 1, 0, 1, 1, -1};
	struct talker t;
	uint32_t k;

	talk_begin(&t);
	for (k = 0; k < claim_blocks(t.h.n_pages); k++)
		t.h.page_owner[k] = 9;
	say_hello(&t);
	say(&t, many);
	talk_send(&t, TALK_MAX);
	talk_turn(t.n, t.i);
	assert_int_equal(t.n->ch.n_waiting, 0);
	talk_hear(&t, t.n);
	assert_true(talk_is_done(&t));
	talk_end(&t);
}

/* It goes while it waits: nothing of it is left. */
static void
test_goes(void **state)
{
	static const int many[] = {0, 1, 2, 0, 1, 0, 1, 1, -1};
	struct talker t;
	int how;

	for (how = 0; how < 3; how++) {
		talk_begin(&t);
		say_hello(&t);
		say(&t, many);
		talk_send(&t, TALK_MAX);
		talk_turn(t.n, t.i);
		assert_int_equal(t.n->ch.n_waiting, 1);
		if (how == 0)
			conn_drop(&t.n->ch, t.i, NULL);
		else if (how == 1)
			conn_drop_later(&t.n->ch, t.i, NULL);
		else
			conn_end(&t.n->ch, t.i, CLOSE_GOING_AWAY, 0);
		assert_int_equal(t.n->ch.n_waiting, 0);
		chat_turn(&t.n->ch);
		assert_int_equal(t.n->ch.input.pages.n_used, 0);
		talk_end(&t);
	}
}

/* What somebody scribbled into what waits costs that connection at most. */
static void
test_scribbled(void **state)
{
	static const int many[] = {0, 1, 2, 0, 1, 0, 1, 1, -1};
	struct input_part *part;
	struct talker t;
	int how;

	for (how = 0; how < 6; how++) {
		talk_begin(&t);
		say_hello(&t);
		say(&t, many);
		talk_send(&t, TALK_MAX);
		talk_turn(t.n, t.i);
		part = (struct input_part *)input_part(&t.h, t.i);
		assert_non_null(part);
		if (how == 0)
			part->raw = UINT32_MAX;
		else if (how == 1)
			part->raw = SHM_STAGE;
		else if (how == 2)
			part->bytes = UINT64_MAX;
		else if (how == 3)
			part->bytes = UINT64_MAX - SHM_STAGE;
		else if (how == 4)
			part->end = 1;
		else
			part->end = UINT64_MAX;
		for (int k = 0; k < 20; k++)
			talk_turn(t.n, t.i);
		talk_end(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_others_first),
	    cmocka_unit_test(test_in_turn),
	    cmocka_unit_test(test_anything),
	    cmocka_unit_test(test_anything_and_deaths),
	    cmocka_unit_test(test_moves),
	    cmocka_unit_test(test_torn_comes_back),
	    cmocka_unit_test(test_drains),
	    cmocka_unit_test(test_no_room),
	    cmocka_unit_test(test_goes),
	    cmocka_unit_test(test_scribbled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
