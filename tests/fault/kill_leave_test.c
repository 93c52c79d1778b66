/* kill_leave: connections end, and the worker that has them dies at each kill
 * point on the way; so does its successor. Their rooms and their own channels
 * are told that they have left, each once, and the log says so of their users,
 * at most once. */
#include "../unit/chat_fixture.h"
#include "../unit/apart.h"
#include "kill_child.h"
#include "room/event.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "room/user.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"

enum { SLOTS = 64, PEOPLE = 3, ROOMS = 2, LEAVES = ROOMS + 1 };

static const struct adopt_fault no_fault;

/* People of worker 0, each in two rooms that tell joins and leaves. */
struct scene {
	struct hub h;
	uint32_t conn[PEOPLE];
	uint64_t id[PEOPLE];
	int fd[PEOPLE], client[PEOPLE];
	struct node *n;
	FILE *log;
};

static const char *const people[PEOPLE] = {"alice", "bob", "carol"};

static void
scene_begin(struct scene *s)
{
	static const struct subscription terms = {
	    .flags = SUBSCRIPTION_PRESENT | SUBSCRIPTION_JOIN_LEAVE};
	static const struct conf_channel own = {
	    .pattern = "#*", .len = 1, .prefix = 1, .join_leave = 1};
	static const char *const room[ROOMS] = {"den", "hall"};
	struct channel_position at;
	uint32_t sub;
	int k, r;

	fixture_hub(&s->h, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	s->n = node_new(&s->h, 0);
	s->n->ch.live.channel[0] = own;
	s->n->ch.live.n_channels = 1;
	for (k = 0; k < PEOPLE; k++) {
		s->conn[k] = node_open_at(
		    s->n, &centrifugo_door, people[k], &s->client[k]);
		s->id[k] = slot_id(&s->h, s->conn[k]);
		s->fd[k] = node_fd(s->n, s->conn[k]);
		for (r = 0; r < ROOMS; r++) {
			assert_int_equal(
			    channel_subscribe(&s->n->ch, s->conn[k], room[r],
				strlen(room[r]), &terms, &at, &sub),
			    CHANNEL_OK);
			channel_tell_join(&s->n->ch, sub);
		}
	}
	chat_turn(&s->n->ch);
	s->log = tmpfile();
	assert_non_null(s->log);
}

/* What worker 0 does to the first of them; its next one takes over all, or all
 * but the first, whom the keeper does not have; or there is none. */
enum act { END, DROP, KEEP, LOSE, CLEAN };

/* A worker 0 takes over, those from number `from` on. */
static void
take_over(struct scene *s, int from)
{
	static int fd[SLOTS];
	struct node *n = node_new(&s->h, 0);
	struct adopt_result r;

	hub_lock(&n->h); /* as takeover() does */
	hub_unlock(&n->h);
	slot_recall(&n->h, 0);
	for (int k = from; k < PEOPLE; k++)
		if (slot_find(&n->h, s->id[k]) != SHM_NONE)
			fd[s->conn[k]] = dup(s->fd[k]) + 1;
	node_adopt(n, fd, &no_fault, &r);
}

static void
act(struct scene *s, enum act what)
{
	switch (what) {
	case END:
		conn_end(&s->n->ch, s->conn[0], CLOSE_GOING_AWAY, 0);
		chat_turn(&s->n->ch);
		break;
	case DROP:
		conn_drop(&s->n->ch, s->conn[0], NULL);
		break;
	case KEEP:
		take_over(s, 0);
		break;
	case LOSE:
		take_over(s, 1);
		break;
	case CLEAN:
		chat_clean(&node_new(&s->h, 1)->h, 0);
		break;
	}
}

/* In a child that dies at kill point n, if it gets there: true. */
static bool
act_killed(struct scene *s, enum act what, uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		dup2(fileno(s->log), 2);
		hub_become(&s->n->h, 0); /* its own thread, for the lock */
		kill_point_arm(n, SIGKILL);
		act(s, what);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* How many leaves of a connection were told. */
static int
leaves(struct scene *s, uint64_t id)
{
	struct publication p;
	uint64_t at;
	int n = 0;

	for (at = 1; at <= journal_tail(&s->h); at++)
		n += journal_peek(&s->h, at, &p) == JOURNAL_OK &&
		    p.format == FORMAT_LEAVE && p.sender == id;
	return n;
}

/* How often the log says that somebody has left. */
static int
logged(struct scene *s, const char *user)
{
	char line[256], what[32];
	int n = 0;

	snprintf(what, sizeof(what), "%s left\n", user);
	rewind(s->log);
	while (fgets(line, sizeof(line), s->log) != NULL)
		n += strstr(line, what) != NULL;
	return n;
}

/* The first has left, once; the others are where they were, with all of theirs,
 * or have left, too. */
static int
check(struct scene *s, bool all)
{
	int k, n = logged(s, people[0]);

	hub_lock(&s->n->h);
	hub_unlock(&s->n->h);
	assert_int_equal(leaves(s, s->id[0]), LEAVES);
	assert_int_equal(slot_find(&s->h, s->id[0]), SHM_NONE);
	assert_true(n <= 1);
	for (k = 1; k < PEOPLE; k++) {
		assert_int_equal(leaves(s, s->id[k]), all ? LEAVES : 0);
		assert_true(logged(s, people[k]) <= all);
		if (!all)
			assert_int_equal(
			    subscription_count(&s->h, s->conn[k]), 2);
	}
	return n;
}

/* Acts, one after the other; each but the last may be killed at its kill point
 * of that number (0: the second is left out). */
struct acts {
	enum act first, second, last;
	uint64_t n, again;
};

/* What came of them. */
enum { ACTS_DIED = 1, ACTS_SAID = 2 };

/* For apart(): does them; in the end it is done whole. */
static int
acts_cb(void *arg)
{
	const struct acts *a = arg;
	struct scene s;
	int what;

	scene_begin(&s);
	what = act_killed(&s, a->first, a->n) ? ACTS_DIED : 0;
	if (a->again != 0)
		(void)act_killed(&s, a->second, a->again);
	assert_false(act_killed(&s, a->last, 0));
	return what | (check(&s, a->last == CLEAN) > 0 ? ACTS_SAID : 0);
}

/* Dies at each point of one act and, with a second one, at some point of what
 * comes then. */
static void
every_point(enum act first, enum act second, enum act last)
{
	struct acts a = {first, second, last, 0, 0};
	int what = ACTS_DIED, said = 0, runs = 0;

	while (what & ACTS_DIED) {
		a.n = (uint64_t)++runs;
		a.again = fixture_random(2) ? 1 + fixture_random(150) : 0;
		what = apart(acts_cb, &a);
		said += (what & ACTS_SAID) != 0;
	}
	print_message("%d kill points, \"left\" is logged in %d of %d\n",
	    runs - 1, said, runs);
	assert_true(runs > 20);
	/* one point each is between the end and its line */
	assert_true(said * 10 >= runs * 8);
}

static void
test_end(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(END, KEEP, LOSE);
}

static void
test_end_lost(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(END, LOSE, LOSE);
}

static void
test_drop(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(DROP, KEEP, LOSE);
}

static void
test_kept_then_lost(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(KEEP, LOSE, LOSE);
}

static void
test_clean(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(CLEAN, CLEAN, CLEAN);
}

static void
test_end_and_clean(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		every_point(END, KEEP, CLEAN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_end_lost),
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_kept_then_lost),
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_end_and_clean),
	};

	log_set_verbose(true); /* that users leave is told there alone */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
