/* kill_wait: a client says more at once than its worker does in a turn, and the
 * worker dies at each kill point on the way, between two commands of a frame
 * whose rest waits, too; so does its successor. Each command is carried out
 * and answered once, in order. */
#include "kill_talk.h"

#include "hub/journal.h"

enum { CONNECT = 4, SUBSCRIBE = 5 };

/* What it says: a frame of commands, a ping, one in two fragments with a ping
 * between them, and some more frames. */
static void
scene_begin(struct talker *t)
{
	static const int frame[][7] = {{CONNECT, SUBSCRIBE, 1, 0, 1, -1},
	    {1, 3, 1, 2, 1, 1, -1}, {0, -1}, {1, 0, -1}, {1, -1}};
	char text[512];
	size_t at, k, c, half;

	talk_begin(t);
	for (k = 0; k < sizeof(frame) / sizeof(frame[0]); k++) {
		half = 0;
		if (k == 3) { /* its ping comes first, and is answered first */
			t->asked++;
			half = 1;
		}
		for (at = 0, c = 0; frame[k][c] >= 0; c++) {
			if (c > 0)
				text[at++] = '\n';
			at += talk_command(
			    t, text + at, sizeof(text) - at, frame[k][c]);
		}
		if (half == 0)
			talk_frame(t, WS_TEXT, true, text, at);
		else {
			char ping[16];
			uint32_t number = t->asked - 2;

			talk_frame(t, WS_TEXT, false, text, 10);
			talk_frame(t, WS_PING, true, ping,
			    (size_t)snprintf(ping, sizeof(ping), "%u", number));
			talk_frame(
			    t, WS_CONTINUATION, true, text + 10, at - 10);
		}
		if (k == 1)
			talk_ping(t);
	}
}

/* Turns of the worker. */
static bool
act(struct talker *t, struct node *node, bool next)
{
	for (int k = 0; k < TALK_TURNS && conn_unread(&node->ch, t->i); k++)
		talk_turn(node, t->i);
	talk_turn(node, t->i);
	return !conn_unread(&node->ch, t->i);
}

/* For apart(): workers die; then all is answered. 0: there are not so many
 * points. */
static int
deaths_cb(void *arg)
{
	static struct talker t;
	bool died;

	scene_begin(&t);
	died = talk_die(&t, act, arg);
	talk_heard_all(&t, t.publishes);
	hub_lock(&t.n->h);
	hub_unlock(&t.n->h);
	assert_int_equal(journal_tail(&t.h), t.publishes);
	assert_null(input_part(&t.h, t.i));
	return died;
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, false, 1, 300);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		deaths_each_point(deaths_cb, true, 5, 300);
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
