/* kill_opening: a client connects, subscribes and looks at channels that a
 * reader of the journal has to open first, and one of the two processes dies at
 * each kill point on the way; so does its successor. Each command is answered
 * once, in order, and where the user's own channel stands is pushed once. */
#include "kill_talk.h"
#include "kill_answerer.h"

#include "hub/presence.h"

enum { ASKED = 5 };

static struct answerer reader;

/* What it says, in one frame. The channels, and its own, are those that the
 * reader of tests opens (room/kept.c). */
static void
scene_begin(struct talker *t)
{
	static const char text[] =
	    "{\"id\":1,\"connect\":{}}\n"
	    "{\"id\":2,\"subscribe\":{\"channel\":\"told1\"}}\n"
	    "{\"id\":3,\"ping\":{}}\n"
	    "{\"id\":4,\"presence_stats\":{\"channel\":\"told2\"}}\n"
	    "{\"id\":5,\"history\":{\"channel\":\"told3\",\"limit\":0}}";

	talk_begin_with(t, &centrifugo_door, "", 1 << READER_HOOKS);
	assert_true(centrifugo_door.keep_name(&t->n->ch, t->i, "tolda", 5));
	talk_frame(t, WS_TEXT, true, text, sizeof(text) - 1);
	t->asked = ASKED;
}

/* Whether there is nothing more to do. */
static bool
scene_is_done(const struct talker *t, struct node *n)
{
	const struct slot *s = &t->h.slot[t->i];

	return KEY_POSITION(SHM_LOAD(s->committed)) >= t->len &&
	    s->offset == ANSWERER_TOP && !conn_unread(&n->ch, t->i);
}

/* Turns of the worker and of the reader. */
static bool
act(struct talker *t, struct node *node, bool next)
{
	int k;

	answerer_begin(&reader, &t->h);
	for (k = 0; k < TALK_TURNS && !scene_is_done(t, node); k++) {
		talk_turn(node, t->i);
		answerer_turn(&reader, RESULT_OK);
	}
	talk_turn(node, t->i);
	return k < TALK_TURNS;
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
	talk_heard_all(&t, 1);
	assert_int_equal(t.h.slot[t.i].offset, ANSWERER_TOP);
	assert_int_equal(subscription_count(&t.h, t.i), 1);
	assert_null(input_part(&t.h, t.i));
	return died;
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, false, 6, 100);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, true, 30, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
