/* kill_hold: commands wait for a reader's answer, and worker and reader die at
 * each kill point on the way; so do their successors; or the connection changes
 * its worker meanwhile. Each command is carried out and answered once, in
 * order. */
#include "kill_talk.h"
#include "kill_answerer.h"

#include "conn/serve.h"
#include "hub/journal.h"
#include "hub/presence.h"

enum { TALK = 6000, CHANGES = 12, LONG = 20000 };

static struct answerer reader;
static uint32_t proposed; /* commands that are delivered by the reader */

/* Adds a frame with these commands, each a line without its id. */
static void
say(struct talker *t, const char *const *commands)
{
	char text[2048];
	size_t at = 0;

	for (; *commands != NULL; commands++) {
		t->asked++;
		t->commands++;
		t->publishes += strstr(*commands, "publish") != NULL ||
		    strstr(*commands, "message") != NULL;
		proposed += strstr(*commands, "strict") != NULL &&
		    strstr(*commands, "subscribe") == NULL;
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%s{\"id\":%u,%s}", at > 0 ? "\n" : "", t->asked,
		    *commands);
	}
	talk_frame(t, WS_TEXT, true, text, at);
}

#define PUBLISH(channel) "\"publish\":{\"channel\":\"" channel "\",\"data\":1}"
#define SUBSCRIBE(channel) "\"subscribe\":{\"channel\":\"" channel "\"}"
#define MESSAGE(to)                                              \
	"\"rpc\":{\"method\":\"message\",\"data\":{\"to\":\"" to \
	"\",\"data\":1}}"
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A worker and a reader, and a client at a door. */
static void
scene_open(struct talker *t, const struct door *door, const char *user)
{
	proposed = 0;
	talk_begin_with(t, door, user, 1 << READER_HOOKS);
	answerer_begin(&reader, &t->h);
}

/* With one at the Centrifugo door, and what it says. */
static void
scene_begin(struct talker *t)
{
	scene_open(t, &centrifugo_door, "");
	say(t,
	    TEXTS("\"connect\":{}", SUBSCRIBE("acked"), PUBLISH("acked"),
		"\"ping\":{}", PUBLISH("acked")));
	say(t,
	    TEXTS(SUBSCRIBE("strict"), SUBSCRIBE("free"), PUBLISH("strict")));
	talk_ping(t);
	say(t,
	    TEXTS(PUBLISH("free"), PUBLISH("strict"), PUBLISH("acked"),
		"\"ping\":{}"));
	say(t, TEXTS(SUBSCRIBE("kept")));
	say(t, TEXTS(PUBLISH("kept")));
}

/* Turns of the worker and of the reader. */
static bool
act(struct talker *t, struct node *node, bool next)
{
	int k;

	if (next)
		answerer_begin(&reader, &t->h);
	else /* in this process */
		hub_become(&reader.h, SHM_WORKERS);
	for (k = 0; k < TALK_TURNS && conn_unread(&node->ch, t->i); k++) {
		talk_turn(node, t->i);
		answerer_turn(&reader, RESULT_OK);
	}
	talk_turn(node, t->i);
	return k < TALK_TURNS;
}

/* How often something is in the journal: messages as they were said, or as the
 * reader has delivered them. */
static uint32_t
journal_count(const struct hub *h, bool again)
{
	struct publication p;
	uint64_t at;
	uint32_t n = 0;

	for (at = 1; at <= journal_tail(h); at++) {
		assert_int_equal(journal_peek(h, at, &p), JOURNAL_OK);
		n += p.format < FORMAT_JOIN &&
		    again == ((p.flags & PUBLICATION_AGAIN) != 0);
	}
	return n;
}

/* All is answered, each publication was accepted once, delivered once, and
 * nothing is left. */
static void
assert_all_done(struct talker *t)
{
	talk_heard_all(t, t->publishes);
	hub_lock(&t->n->h);
	hub_unlock(&t->n->h);
	assert_int_equal(journal_count(&t->h, false), t->publishes);
	assert_int_equal(journal_count(&t->h, true), proposed);
	assert_int_equal(SHM_LOAD(t->h.slot[t->i].awaits), AWAITS_NOTHING);
	assert_null(input_part(&t->h, t->i));
}

/* For apart(): worker and reader die; then all is answered. 0: there are not so
 * many points. */
static int
deaths_cb(void *arg)
{
	static struct talker t;
	bool died;

	scene_begin(&t);
	died = talk_die(&t, act, arg);
	assert_all_done(&t);
	return died;
}

/* What is said at the plain door, and all that is heard then. */
static const char *const lines[] = {"/join acked", "/to acked one", "/rooms",
    "/join strict", "/to strict two", "/to lobby three", "/join kept",
    "/to kept four", "/rooms"};
static const char *const heard[] = {"* joined acked", "[acked] bob says: one",
    "* you are in lobby, acked", "* joined strict", "[strict] bob says: two",
    "bob says: three", "* joined kept", "[kept] bob says: four",
    "* you are in lobby, kept, strict, acked"};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };
enum { HEARD = sizeof(heard) / sizeof(heard[0]), SAID = 4 };

/* A client has heard just that. */
static void
assert_heard(int client)
{
	static char all[4096];
	size_t have = 0, at = 0, len;
	struct pollfd p = {client, POLLIN, 0};
	ssize_t r;
	int k;

	for (k = 0; k < HEARD; k++) {
		len = strlen(heard[k]);
		while (have < at + 2 + len) {
			assert_int_equal(poll(&p, 1, 5000), 1);
			r = recv(client, all + have, sizeof(all) - have, 0);
			assert_true(r > 0);
			have += (size_t)r;
		}
		assert_int_equal((uint8_t)all[at], 0x80 | WS_TEXT);
		if ((uint8_t)all[at + 1] != len ||
		    memcmp(all + at + 2, heard[k], len) != 0)
			fail_msg("wanted: %s", heard[k]);
		at += 2 + len;
	}
	assert_int_equal(have, at);
	assert_int_equal(poll(&p, 1, 0), 0);
}

/* deaths_cb() at the plain door. */
static int
plain_cb(void *arg)
{
	static struct talker t;
	bool died;
	int k;

	scene_open(&t, &plain_door, "bob");
	for (k = 0; k < LINES; k++)
		talk_frame(&t, WS_TEXT, true, lines[k], strlen(lines[k]));
	died = talk_die(&t, act, arg);
	assert_heard(t.client);
	assert_int_equal(journal_count(&t.h, false), SAID);
	assert_int_equal(SHM_LOAD(t.h.slot[t.i].awaits), AWAITS_NOTHING);
	return died;
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, false, 10, 300);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, true, 50, 300);
}

static void
test_plain(void **state)
{
	deaths_each_point(plain_cb, false, 10, 300);
	deaths_each_point(plain_cb, true, 50, 300);
}

/* Says frames of anything, until it is enough. */
static void
say_anything(struct talker *t)
{
	static const char *const what[] = {PUBLISH("acked"), PUBLISH("strict"),
	    PUBLISH("free"), PUBLISH("kept"), "\"ping\":{}",
	    "\"presence_stats\":{\"channel\":\"acked\"}"};
	const char *frame[9];
	uint32_t k, n;

	while (t->len < TALK) {
		n = 1 + fixture_random(8);
		for (k = 0; k < n; k++)
			frame[k] = what[fixture_random(6)];
		frame[n] = NULL;
		if (fixture_random(4) == 0)
			talk_ping(t);
		say(t, frame);
	}
}

/* The connection goes on at the other one of two workers, or comes back from
 * there; or at the next worker of that number. Returns who has it. */
static struct node *
change(struct talker *t, struct node *n, struct node **other)
{
	const int to = (*other)->h.self;
	struct node *was = n;
	int fd;

	if (to == 1 && fixture_random(3) == 0) {
		close(n->ch.conn[t->i].fd);
		return talk_take_over(t);
	}
	assert_int_equal(give_freeze(&n->ch, to), t->i);
	if (fixture_random(2)) /* between the two the reader may answer */
		answerer_turn(&reader, RESULT_OK);
	if (fixture_random(3) == 0) {
		give_back(&n->ch, to);
		return n;
	}
	fd = dup(t->fd);
	assert_int_equal(
	    move_take(&(*other)->ch, n->h.self, &t->id, &fd, 1, NULL, NULL), 1);
	give_done(&n->ch, to, t->id);
	n = *other;
	*other = was;
	return n;
}

/* For apart(): frames, cut anywhere on their way, while the connection changes
 * its worker, the reader is replaced, and answers late. */
static int
anything_cb(void *arg)
{
	static struct talker t;
	struct node *n, *other;
	uint32_t k, left = CHANGES;

	fixture_seed = *(const uint64_t *)arg;
	scene_begin(&t);
	say_anything(&t);
	n = t.n;
	other = node_new(&t.h, 1);
	talk_set(other);
	for (k = 0; k < LONG && !talk_is_done(&t); k++) {
		talk_send(&t, fixture_random(fixture_random(2) ? 30 : 2000));
		talk_turn(n, t.i);
		chat_turn(&other->ch);
		hold_sweep(&n->ch);
		talk_hear(&t, n);
		if (fixture_random(4) == 0)
			answerer_turn(&reader, RESULT_OK);
		if (fixture_random(64) == 0)
			answerer_begin(&reader, &t.h);
		if (left > 0 && fixture_random(16) == 0) {
			left--;
			n = change(&t, n, &other);
		}
	}
	assert_true(k < LONG);
	talk_turn(n, t.i);
	t.n = n;
	assert_all_done(&t);
	assert_int_equal(n->ch.n_waiting, 0);
	return 0;
}

static void
test_anything(void **state)
{
	uint32_t times = fixture_rounds(20);
	uint64_t seed;

	while (times-- > 0) {
		fixture_fill(&seed, sizeof(seed));
		apart(anything_cb, &seed);
	}
}

/* A worker dies between an answer and the word that the result is answered: the
 * next one stores that before it looks at anything else. */
static void
test_stale(void **state)
{
	struct talker t;
	struct slot *s;
	struct node *n;
	int k;

	scene_open(&t, &centrifugo_door, "");
	s = &t.h.slot[t.i];
	say(&t, TEXTS("\"connect\":{}", SUBSCRIBE("acked")));
	say(&t,
	    TEXTS(PUBLISH("acked"), "\"ping\":{}", "\"ping\":{}", "\"ping\":{}",
		"\"ping\":{}"));
	talk_send(&t, TALK_MAX);
	for (k = 0; k < TALK_TURNS && t.answered < 4; k++) {
		talk_turn(t.n, t.i);
		answerer_turn(&reader, RESULT_OK);
		talk_hear(&t, t.n);
	}
	assert_int_equal(t.answered, 4);
	assert_int_equal(SHM_LOAD(s->awaits), AWAITS_NOTHING);
	SHM_STORE(s->committed, KEY(KEY_POSITION(SHM_OWN(s->committed)), 1));
	SHM_STORE(s->awaits, AWAITS_DONE + RESULT_TEMPORARY);
	close(t.n->ch.conn[t.i].fd);
	n = talk_take_over(&t);
	talk_turn(n, t.i);
	assert_int_equal(SHM_LOAD(s->awaits), AWAITS_NOTHING);
	assert_non_null(input_part(&t.h, t.i));
	while (t.answered < t.asked) {
		talk_turn(n, t.i);
		talk_hear(&t, n);
	}
	talk_end(&t);
}

/* A user is known. */
static void
make(struct talker *t, const char *name)
{
	hub_lock(&t->n->h);
	assert_int_not_equal(
	    presence_make(&t->n->h, name, strlen(name)), SHM_NONE);
	hub_unlock(&t->n->h);
}

/* The channel opens when its command has waited for that in vain, but has not
 * been told so: the command is carried out, and its result is waited for. */
static void
test_late_opening(void **state)
{
	struct talker t;
	struct slot *s;
	int k;

	scene_open(&t, &centrifugo_door, "");
	make(&t, "#ackedtom");
	s = &t.h.slot[t.i];
	say(&t, TEXTS("\"connect\":{}"));
	say(&t, TEXTS(MESSAGE("ackedtom")));
	talk_send(&t, TALK_MAX);
	for (k = 0; k < TALK_TURNS && !t.n->ch.conn[t.i].held; k++)
		talk_turn(t.n, t.i);
	assert_true(t.n->ch.conn[t.i].held);
	t.n->ch.now_ms += HOLD_OPENED_MS;
	hold_sweep(&t.n->ch);
	assert_int_equal(t.n->ch.conn[t.i].ended, HOLD_LATE);
	answerer_turn(&reader, RESULT_OK);
	talk_turn(t.n, t.i);
	assert_int_equal(SHM_LOAD(s->awaits), AWAITS_RESULT);
	answerer_turn(&reader, RESULT_OK);
	while (t.answered < t.asked) {
		talk_turn(t.n, t.i);
		talk_hear(&t, t.n);
	}
	talk_end(&t);
}

/* One that waits is given to another worker and comes back: its command is not
 * counted twice by the message rate. */
static void
test_rate(void **state)
{
	struct talker t;
	struct node *other;
	int k;

	scene_open(&t, &plain_door, "bob");
	other = node_new(&t.h, 1);
	t.n->ch.live.message_rate = t.n->ch.live.message_burst = 1;
	t.h.slot[t.i].rate_tokens = 1000;
	t.h.slot[t.i].rate_ms = (uint32_t)t.n->ch.now_ms;
	talk_frame(&t, WS_TEXT, true, "/join acked", strlen("/join acked"));
	talk_send(&t, TALK_MAX);
	for (k = 0; k < TALK_TURNS && !t.n->ch.conn[t.i].held; k++)
		talk_turn(t.n, t.i);
	assert_true(t.n->ch.conn[t.i].held);
	assert_int_equal(give_freeze(&t.n->ch, other->h.self), t.i);
	give_back(&t.n->ch, other->h.self);
	talk_turn(t.n, t.i);
	assert_int_equal(t.n->ch.conn[t.i].phase, CONN_OPEN);
	assert_true(t.n->ch.conn[t.i].held);
	talk_end(&t);
}

/* A message that the reader delivers is answered with the offset that its
 * result tells, also when this worker, which is behind, has not come to that.
 */
static void
test_message(void **state)
{
	struct talker t;
	int k;

	scene_open(&t, &centrifugo_door, "");
	make(&t, "#stricttom");
	say(&t, TEXTS("\"connect\":{}"));
	say(&t, TEXTS(MESSAGE("stricttom")));
	talk_send(&t, TALK_MAX);
	for (k = 0;
	     k < TALK_TURNS && SHM_LOAD(t.h.slot[t.i].awaits) != AWAITS_RESULT;
	     k++) {
		answerer_turn(&reader, RESULT_OK);
		talk_turn(t.n, t.i);
	}
	assert_true(t.n->ch.conn[t.i].held);
	answerer_turn(&reader, RESULT_OK);
	hold_sweep(&t.n->ch);
	assert_true(conn_serve_waiting(&t.n->ch));
	assert_false(t.n->ch.conn[t.i].held);
	while (t.answered < t.asked) {
		talk_turn(t.n, t.i);
		talk_hear(&t, t.n);
	}
	talk_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_late_opening),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_message),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_anything),
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
