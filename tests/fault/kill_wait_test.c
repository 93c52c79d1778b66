/* kill_wait: a client says more at once than its worker does in a turn, and the
 * worker dies at each kill point on the way, between two commands of a frame
 * whose rest waits, too; so does its successor. Each command is carried out
 * and answered once, in order. */
#include "../unit/talker.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include "hub/journal.h"
#include "hub/lock.h"

enum { CONNECT = 4, SUBSCRIBE = 5, TURNS = 200, POINTS = 5000 };

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

/* Turns of worker 0, or of the next one, in a child that dies at kill point n,
 * if it gets there: true. */
static bool
act_killed(struct talker *t, bool next, uint64_t n)
{
	struct node *node = t->n;
	pid_t pid = fork();
	int k;

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		hub_become(&t->n->h, 0); /* its own thread, for the lock */
		kill_point_arm(n, SIGKILL);
		if (next) {
			hub_lock(&t->n->h); /* as takeover() does */
			hub_unlock(&t->n->h);
			node = talk_take_over(t);
		}
		for (k = 0; k < TURNS && conn_unread(&node->ch, t->i); k++)
			talk_turn(node, t->i);
		talk_turn(node, t->i);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* The worker dies at point n, its successor at point `again` (0: at none). */
struct deaths {
	uint64_t n, again;
};

/* For apart(): they die; then all is answered. 0: there are not so many points.
 */
static int
deaths_cb(void *arg)
{
	static struct talker t;
	const struct deaths *d = arg;
	bool died;

	scene_begin(&t);
	talk_send(&t, TALK_MAX);
	died = act_killed(&t, false, d->n);
	if (died && d->again != 0)
		(void)act_killed(&t, true, d->again);
	if (died)
		assert_false(act_killed(&t, true, 0));
	while (t.answered < t.asked || t.pushes < t.publishes)
		assert_true(talk_listen(&t, 5000));
	assert_false(talk_listen(&t, 0));
	assert_int_equal(t.answered, t.asked);
	hub_lock(&t.n->h);
	hub_unlock(&t.n->h);
	assert_int_equal(journal_tail(&t.h), t.publishes);
	assert_int_equal(t.pushes, t.publishes);
	assert_null(input_part(&t.h, t.i));
	return died;
}

/* A death at each step-th point, and perhaps one more. */
static void
every_point(bool twice, uint64_t step)
{
	struct deaths d = {.n = 1};

	for (;; d.n += step) {
		assert_true(d.n < POINTS);
		d.again = twice ? 1 + fixture_random(400) : 0;
		if (!apart(deaths_cb, &d))
			break;
	}
	print_message("%llu kill points\n", (unsigned long long)d.n - 1);
	assert_true(d.n > 300);
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(false, 1);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(true, getenv("LONG") != NULL ? 1 : 5);
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
