/* kill_opening: a client connects, subscribes and looks at channels that a
 * reader of the journal has to open first, and one of the two processes dies at
 * each kill point on the way; so does its successor. Each command is answered
 * once, in order, and where the user's own channel stands is pushed once. */
#include "../unit/talker.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include "hub/journal.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"

enum { LINE = SHM_WORKERS, TURNS = 300, POINTS = 5000, TOP = 95, ASKED = 5 };

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

	talk_begin_with(t, 1 << READER_HOOKS);
	assert_true(centrifugo_door.keep_name(&t->n->ch, t->i, "tolda", 5));
	talk_frame(t, WS_TEXT, true, text, sizeof(text) - 1);
	t->asked = ASKED;
}

/* The reader opens what asks, wherever it stands. */
static void
reader_open(void *arg, uint32_t channel, uint32_t epoch)
{
	const struct reader_opening o = {.stream = 7, .top = TOP};

	(void)reader_opened(arg, channel, epoch, &o);
}

/* A turn of the reader. */
static void
reader_turn(struct reader *r)
{
	static char buf[1 << 17];
	enum reader_result what;
	struct publication p;

	hub_become(r->h, LINE);
	while ((what = reader_next(r, buf, sizeof(buf), &p)) != READER_END)
		if (what == READER_FOUND && p.format == FORMAT_OPEN)
			reader_open(r, p.channel, p.epoch);
	reader_taken(r, r->passed);
}

/* Whether there is nothing more to do. */
static bool
scene_is_done(const struct talker *t, struct node *n)
{
	const struct slot *s = &t->h.slot[t->i];

	return KEY_POSITION(SHM_LOAD(s->committed)) >= t->len &&
	    s->offset == TOP && !conn_unread(&n->ch, t->i);
}

/* Turns of worker 0 and of the reader, or of the next ones, in a child that
 * dies at kill point n, if it gets there: true. */
static bool
act_killed(struct talker *t, bool next, uint64_t n)
{
	struct hub reader_hub = t->h;
	struct node *node = t->n;
	struct reader r;
	pid_t pid = fork();
	int k;

	assert_true(pid >= 0);
	if (pid != 0)
		return child_was_killed(pid);
	child_signals();
	hub_become(&t->n->h, 0); /* its own thread, for the lock */
	kill_point_arm(n, SIGKILL);
	if (next) {
		hub_lock(&t->n->h); /* as takeover() does */
		hub_unlock(&t->n->h);
		node = talk_take_over(t);
	}
	hub_become(&reader_hub, LINE);
	reader_init(&r, &reader_hub, READER_HOOKS, READER_NO_MARK);
	reader_opening(&r, reader_open, &r);
	for (k = 0; k < TURNS && !scene_is_done(t, node); k++) {
		hub_become(&node->h, 0);
		talk_turn(node, t->i);
		reader_turn(&r);
	}
	hub_become(&node->h, 0);
	talk_turn(node, t->i);
	_exit(k == TURNS);
}

/* A process dies at point n, its successor at point `again` (0: at none). */
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
	while (t.answered < t.asked || t.pushes < 1)
		assert_true(talk_listen(&t, 5000));
	assert_false(talk_listen(&t, 0));
	assert_int_equal(t.answered, t.asked);
	assert_int_equal(t.pushes, 1);
	assert_int_equal(t.h.slot[t.i].offset, TOP);
	assert_int_equal(subscription_count(&t.h, t.i), 1);
	assert_null(input_part(&t.h, t.i));
	return died;
}

/* A death at each step-th point, from one of the first on by chance, so that
 * many runs take all; and perhaps one more. In a long run: at each. */
static void
every_point(bool twice, uint32_t step)
{
	struct deaths d = {.n = 1};

	if (getenv("LONG") != NULL)
		step = 1;
	d.n += arc4random_uniform(step);
	for (;; d.n += step) {
		assert_true(d.n < POINTS);
		d.again = twice ? 1 + fixture_random(300) : 0;
		if (!apart(deaths_cb, &d))
			break;
	}
	print_message(
	    "%llu kill points, each %u.\n", (unsigned long long)d.n - 1, step);
	assert_true(d.n > 100);
}

static void
test_once(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(false, 6);
}

static void
test_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(true, 30);
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
