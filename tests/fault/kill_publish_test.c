/* kill_publish: a process without connections publishes, and one follows all
 * that is published; each dies at every kill point, and another goes on. Each
 * message is accepted once and in order, and none is passed over. */
#include "../unit/hub_fixture.h"
#include "kill_child.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hub/follower.h"
#include "hub/history.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/publisher.h"

enum { RING = 16384, ORDERS = 60, CHANNELS = 3, POINTS = 5000 };
enum { READER = 0, WRITER = 1 }; /* lines */

/* What outlives all of them. */
struct note {
	_Atomic uint64_t cursor;
	uint32_t handed[2 * ORDERS]; /* by position: how often */
	uint32_t relayed;
};

struct scene {
	struct hub h;
	struct note *note;
};

static void
scene_begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	fixture_hub(&s->h, 16, 16, RING, 1 << 20, 1 << 20);
	s->note = mmap(NULL, sizeof(*s->note), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->note != MAP_FAILED);
}

static void
scene_end(struct scene *s)
{
	munmap(s->note, sizeof(*s->note));
	hub_destroy(&s->h);
}

/* For struct publisher. */
static void
relay_cb(void *arg, const struct publication *p, uint64_t mask)
{
	struct note *note = arg;

	note->relayed++;
}

/* The newest order that was accepted; all before it were. */
static uint64_t
newest_order(struct hub *h)
{
	uint64_t at, order = 0;
	struct publication p;

	for (at = journal_oldest(h); at <= journal_tail(h); at++) {
		assert_int_equal(journal_peek(h, at, &p), JOURNAL_OK);
		assert_true(publication_order(&p) == order + 1);
		order = publication_order(&p);
	}
	return order;
}

/* Publishes what has not been, to channels that it makes. */
static void
publish_rest(struct scene *s)
{
	struct publisher pub = {
	    .hub = &s->h, .wall_ms = 1, .relay = relay_cb, .arg = s->note};
	struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_TEXT,
	    .user = "hub",
	    .user_len = 3,
	    .tags = "{}",
	    .tags_len = 2};
	char name[] = "a", text[64] = {0};
	struct publication p;
	uint64_t mask;

	hub_lock(&s->h); /* redoes what a dead process did not get to */
	hub_unlock(&s->h);
	for (what.order = newest_order(&s->h) + 1; what.order <= ORDERS;
	     what.order++) {
		name[0] = (char)('a' + what.order % CHANNELS);
		what.data = text;
		what.len = (size_t)snprintf(
		    text, sizeof(text), "order %d", (int)what.order);
		assert_int_equal(publisher_publish(&pub, name, 1, PUBLISH_MAKE,
				     &what, &p, &mask),
		    PUBLISH_OK);
		assert_int_equal(mask, 0);
		assert_true(p.offset == (what.order - 1) / CHANNELS + 1);
	}
}

/* Hands out all that there is; each is noted before it is done. */
static void
follow_rest(struct scene *s)
{
	char buf[RING / JOURNAL_SHARE];
	enum follower_result what;
	struct publication p;
	struct follower f;

	follower_init(&f, &s->h, &s->note->cursor, FOLLOWER_ALL);
	follower_begin(&f);
	while ((what = follower_next(&f)) != FOLLOWER_END) {
		assert_int_equal(what, FOLLOWER_FOUND);
		assert_int_equal(
		    follower_read(&f, buf, sizeof(buf), &p), JOURNAL_OK);
		s->note->handed[p.position]++;
		KILL_POINT();
		follower_done(&f);
	}
	assert_false(follower_end(&f));
}

/* One of the two at work in a child that dies at kill point n, if it gets
 * there: true. */
static bool
act_killed(struct scene *s, int line, uint64_t n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		hub_become(&s->h, line);
		kill_point_arm(n, SIGKILL);
		if (line == WRITER)
			publish_rest(s);
		else
			follow_rest(s);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* All orders are there once, and each channel's are its history. */
static void
check_orders(struct scene *s)
{
	static struct history found;
	struct history_query q = {.limit = HISTORY_MAX, .keep = ORDERS};
	struct publication p;
	struct presence_view v;
	char name[] = "a";
	uint32_t c, k, n = 0;

	assert_true(newest_order(&s->h) == ORDERS);
	assert_true(journal_tail(&s->h) == ORDERS);
	for (c = 0; c < CHANNELS; c++) {
		name[0] = (char)('a' + c);
		hub_lock(&s->h);
		q.channel = presence_find(&s->h, name, 1);
		hub_unlock(&s->h);
		assert_true(presence_read(&s->h, q.channel, &v));
		q.epoch = v.epoch;
		assert_int_equal(history_find(&s->h, &q, &found), 0);
		assert_true(found.offset == found.n);
		for (k = 0; k < found.n; k++, n++) {
			assert_int_equal(
			    journal_peek(&s->h, found.position[k], &p),
			    JOURNAL_OK);
			assert_true(p.offset == k + 1);
			assert_true(p.order % CHANNELS == c);
		}
	}
	assert_int_equal(n, ORDERS);
}

/* The writer dies at each point, its successor perhaps at one, too. */
static void
writer_dies(bool twice)
{
	struct scene s;
	bool died = true;
	uint64_t n;

	for (n = 1; died; n++) {
		assert_true(n < POINTS);
		scene_begin(&s);
		died = act_killed(&s, WRITER, n);
		if (died && twice)
			(void)act_killed(&s, WRITER, 1 + fixture_random(300));
		if (died)
			assert_false(act_killed(&s, WRITER, 0));
		hub_lock(&s.h);
		hub_unlock(&s.h);
		check_orders(&s);
		/* only a relay is lost with its process */
		assert_in_range(s.note->relayed, ORDERS - 2, ORDERS);
		scene_end(&s);
	}
	print_message("%llu kill points\n", (unsigned long long)n - 2);
	assert_true(n > 4 * ORDERS);
}

static void
test_writer(void **state)
{
	writer_dies(false);
}

static void
test_writer_twice(void **state)
{
	for (uint32_t k = 0; k < fixture_rounds(1); k++)
		writer_dies(true);
}

/* The reader dies at each point: none is passed over, and one at most, which
 * it had in hand, is handed out again. */
static void
test_reader(void **state)
{
	struct scene s;
	bool died = true;
	uint64_t n;
	uint32_t k, again;

	for (n = 1; died; n++) {
		assert_true(n < POINTS);
		scene_begin(&s);
		assert_false(act_killed(&s, WRITER, 0));
		died = act_killed(&s, READER, n);
		if (died)
			assert_false(act_killed(&s, READER, 0));
		for (k = 1, again = 0; k <= ORDERS; k++) {
			assert_in_range(s.note->handed[k], 1, 2);
			again += s.note->handed[k] - 1;
		}
		assert_in_range(again, 0, died);
		assert_true(s.note->cursor == ORDERS);
		scene_end(&s);
	}
	print_message("%llu kill points\n", (unsigned long long)n - 2);
	assert_true(n > 2 * ORDERS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_writer),
	    cmocka_unit_test(test_writer_twice),
	    cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
