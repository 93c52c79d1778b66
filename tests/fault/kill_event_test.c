/* kill_event: readers of the journal are told of users, channels and
 * connections. A worker dies at each kill point while it enters and leaves
 * channels, or opens and ends a connection; another one cleans up or goes on.
 * All that is true is told once: presence is what the journal's entries say. */
#include "../unit/chat_fixture.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include <stdio.h>

#include "hub/event.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"
#include "room/event.h"
#include "room/kept.h"

enum {
	SLOTS = 64,
	ENTRIES = 24,
	NAMES = 8,
	ACTS = 40,
	STATES = 2 * ENTRIES + 1,
	HOOKS = 1 << READER_HOOKS
};

static const struct adopt_fault no_fault;

/* A hub with a reader that wants events; its ring has all of a run. */
static void
hub_begin(struct hub *h)
{
	fixture_hub_readers(
	    h, SLOTS, ENTRIES, 1 << 20, 4 << 20, 1 << 20, HOOKS, HOOKS);
}

/* What the events so far say. */
struct told {
	bool held[STATES];
	int connects[SLOTS], ends[SLOTS];
	int online, offline;
};

/* Takes one event in: what was told is not told again. */
static void
told_add(struct told *t, const struct publication *p)
{
	const bool begins =
	    p->format == FORMAT_ONLINE || p->format == FORMAT_OCCUPIED;
	uint32_t i = (uint32_t)p->sender;

	switch (p->format) {
	case FORMAT_ONLINE:
	case FORMAT_OCCUPIED:
	case FORMAT_OFFLINE:
	case FORMAT_VACATED:
		assert_in_range(p->channel, 0, STATES - 1);
		assert_int_equal(t->held[p->channel], !begins);
		assert_int_equal(p->mask != 0, begins);
		t->held[p->channel] = begins;
		t->online += p->format == FORMAT_ONLINE;
		t->offline += p->format == FORMAT_OFFLINE;
		break;
	case FORMAT_CONNECT:
		assert_in_range(i, 0, SLOTS - 1);
		t->connects[i]++;
		assert_int_equal(t->connects[i], t->ends[i] + 1);
		break;
	case FORMAT_DISCONNECT:
		assert_in_range(i, 0, SLOTS - 1);
		t->ends[i]++;
		assert_int_equal(t->connects[i], t->ends[i]);
		break;
	}
}

/* Reads all events: presence is what they say, and so is what is charged. */
static struct told
told_check(struct hub *h)
{
	uint32_t e, users = 0;
	struct publication p;
	struct told t = {0};
	uint64_t at;

	assert_true(journal_oldest(h) == 1);
	for (at = 1; at <= journal_tail(h); at++) {
		assert_int_equal(journal_peek(h, at, &p), JOURNAL_OK);
		told_add(&t, &p);
	}
	assert_int_equal(h->n_entries, STATES);
	for (e = 0; e < h->n_entries; e++) {
		assert_int_equal(presence_mask(h, e) != 0, t.held[e]);
		users += presence_is_user(h, e) && t.held[e];
	}
	charge_recount(h);
	assert_int_equal(charge_held(h, CHARGE_USERS), users);
	return t;
}

/* Enters or leaves some names, so that entries are used again, too. */
static void
act(struct hub *h)
{
	char name[16];
	bool first;
	uint32_t e;

	for (int k = 0; k < ACTS; k++) {
		snprintf(name, sizeof(name), "%s%u",
		    fixture_random(2) ? "#user" : "room",
		    fixture_random(2) ? fixture_random(NAMES)
				      : fixture_random(1000));
		hub_lock(h);
		e = presence_find(h, name, strlen(name));
		if (presence_mask(h, e) & 1ull << h->self)
			presence_leave(h, e, h->self);
		else
			presence_enter(h, name, strlen(name), &first);
		hub_unlock(h);
	}
}

/* For presence_clear(). */
static void
left_cb(const struct presence_view *v, void *arg)
{
	++*(int *)arg;
}

/* A worker's process that dies while it acts, and perhaps the one that cleans
 * up after it. */
struct run {
	uint64_t at;
	/* presence: while it cleans up; connection: it is cleaned up after */
	bool cleaning;
	bool moving; /* connection: another worker takes it first */
};

static int
run_presence(void *arg)
{
	const struct run *r = arg;
	struct told before, after;
	int left = 0;
	struct hub h;
	bool killed;
	pid_t pid;

	alarm(60);
	hub_begin(&h);
	fixture_seed = 88172645463325252ull + r->at % 7;
	act(&h); /* worker 0, who lives on */
	hub_become(&h, 1);
	if (r->cleaning)
		act(&h);
	if ((pid = fork()) == 0) {
		child_signals();
		hub_become(&h, r->cleaning ? 2 : 1);
		kill_point_arm(r->at, SIGKILL);
		if (r->cleaning)
			presence_clear(&h, 1, left_cb, &left);
		else
			act(&h);
		_exit(0);
	}
	killed = child_was_killed(pid);
	hub_become(&h, 0);
	hub_lock(&h);
	hub_unlock(&h);
	before = told_check(&h);
	presence_clear(&h, 1, left_cb, &left);
	after = told_check(&h);
	assert_int_equal(after.online, before.online);
	for (uint32_t e = 0; e < h.n_entries; e++)
		assert_int_equal(presence_mask(&h, e) >> 1, 0);
	act(&h);
	told_check(&h);
	hub_destroy(&h);
	return killed;
}

/* Each point of that, one after the other; how many there are. */
static uint64_t
each_point(int (*run)(void *), bool cleaning, bool moving)
{
	struct run r = {.cleaning = cleaning, .moving = moving};

	for (r.at = 1; apart(run, &r) == 1; r.at++)
		;
	printf("%d kill points\n", (int)r.at - 1);
	return r.at - 1;
}

static void
test_presence(void **state)
{
	assert_in_range(each_point(run_presence, false, false), 200, 5000);
	assert_in_range(each_point(run_presence, true, false), 50, 5000);
}

/* A user comes with a connection and goes; its worker dies at one point. Then
 * another one takes over, or cleans up. */
static int
run_connection(void *arg)
{
	const struct run *r = arg;
	int client, fd[SLOTS] = {0};
	struct adopt_result result;
	struct sockaddr_in a;
	struct node *old, *next;
	struct told t;
	struct hub h;
	bool killed;
	uint32_t i;
	uint64_t id;
	pid_t pid;

	alarm(60);
	hub_begin(&h);
	old = node_new(&h, 0);
	tcp_pair(&client, &fd[0], &a);
	i = conn_accept(&old->ch, 0, fd[0], (void *)&a);
	fd[0] = 0;
	fd[i] = node_fd(old, i) + 1;
	if ((pid = fork()) == 0) {
		child_signals();
		kill_point_arm(r->at, SIGKILL);
		if (conn_open(&old->ch, i, &plain_door, "alice", 5, "", 0,
			"101", 3, 0) < 0)
			_exit(1);
		chat_turn(&old->ch);
		conn_end(&old->ch, i, CLOSE_KICKED, REASON_KICKED);
		conn_drop(&old->ch, i, NULL);
		_exit(0);
	}
	killed = child_was_killed(pid);
	next = node_new(&h, r->cleaning);
	if (r->moving) {
		hub_lock(&next->h);
		hub_unlock(&next->h);
		id = slot_id(&h, i);
		move_take(
		    &next->ch, 0, &id, &(int){fd[i] - 1}, 1, &no_fault, NULL);
		t = told_check(&next->h);
		assert_int_equal(t.connects[i] - t.ends[i],
		    slot_is_open(&next->h, i) && slot_worker(&h, i) == 1);
	}
	if (r->cleaning) {
		chat_clean(&next->h, 0);
		if (next->ch.conn[i].phase != CONN_NONE)
			conn_drop(&next->ch, i, NULL);
	} else {
		hub_lock(&next->h);
		hub_unlock(&next->h);
		node_adopt(next, fd, &no_fault, &result);
		t = told_check(&next->h);
		/* one that is open has been told */
		assert_int_equal(
		    t.connects[i] - t.ends[i], slot_is_open(&next->h, i));
		for (i = SHM_NONE; conn_next(&next->ch, &i);)
			conn_drop(&next->ch, i, NULL);
		i = 0;
	}
	t = told_check(&next->h);
	assert_int_equal(t.online, t.offline);
	assert_in_range(t.online, t.connects[i], 1);
	assert_int_equal(t.connects[i], t.ends[i]);
	assert_int_equal(t.connects[i], killed ? t.connects[i] : 1);
	for (uint32_t e = 0; e < h.n_entries; e++)
		assert_true(presence_mask(&h, e) == 0);
	close(client);
	return killed;
}

static void
test_connection(void **state)
{
	assert_in_range(each_point(run_connection, false, false), 50, 5000);
	assert_in_range(each_point(run_connection, true, false), 50, 5000);
	assert_in_range(each_point(run_connection, true, true), 50, 5000);
}

/* What the rules say here. */
static void
test_rules(void **state)
{
	static const struct {
		const char *name;
		uint8_t flags, settle;
	} rules[] = {{"room", 0, 0}, {"tol", 0, 0}, {"untold", 0, 0},
	    {"told", HOOKS, 0}, {"#told", HOOKS, 0}, {"told1", HOOKS, 0},
	    {"kept", HOOKS | HOOKS << PRESENCE_REQUIRED, 0},
	    {"acked:a", HOOKS | HOOKS << PRESENCE_REQUIRED, PUBLICATION_WAITS},
	    {"#strict", HOOKS | HOOKS << PRESENCE_REQUIRED,
		PUBLICATION_WAITS | PUBLICATION_PROPOSED}};
	struct node *n;
	struct hub h;

	hub_begin(&h);
	n = node_new(&h, 0);
	for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++) {
		const char *name = rules[k].name;
		uint32_t e;

		hub_lock(&n->h);
		e = presence_make(&n->h, name, strlen(name));
		hub_unlock(&n->h);
		assert_int_equal(presence_flags(&h, e),
		    rules[k].flags == 0
			? 0
			: rules[k].flags | PRESENCE_COLD << PRESENCE_WARMTH);
		assert_int_equal(
		    kept_settle(&n->ch, name, strlen(name)), rules[k].settle);
	}
	/* other readers than the tests' */
	n->h.readers = 1 << READER_STORE;
	assert_int_equal(kept_settle(&n->ch, "strict", 6), 0);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_presence),
	    cmocka_unit_test(test_connection), cmocka_unit_test(test_rules)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
