/* ready: sockets are told of once a turn each, and the set goes on in another
 * process's loop. */
#include <event2/event_struct.h>
#include <event2/event.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/ready.h"

enum { MANY = 50, NONE = -1, WORLDS = 64 };

/* A loop, its set, and what was told. */
struct world {
	struct event_base *base;
	struct ready *ready;
	bool kept;
	int stop_after;		 /* a turn ends after so many; 0: with all */
	uint64_t told[2 * MANY]; /* keys, */
	unsigned what[2 * MANY]; /* and what they are ready for */
	int n_told, n_seen;
	int renew_at;	    /* in that call the set is made anew; 0: never */
	struct event event; /* of the loop, */
	int n_event;	    /* so often told of, */
	bool breaks, late;  /* and the turn's end */
	int n_link[MANY];   /* links told of, */
	int links;	    /* so often, */
	int link_stop;	    /* and one ends the turn after so many; 0: none */
};

/* The loop is watched in the set, or the set in the loop. */
static bool leads;

static int pair[MANY][2];
/* What they have stays in reach, or it would look like a leak. */
static struct world worlds[WORLDS];
static int n_worlds;

static void
seen_cb(void *arg, uint64_t key)
{
	struct world *w = arg;

	w->n_seen++;
}

static bool
told_cb(void *arg, uint64_t key, unsigned what)
{
	struct world *w = arg;

	assert_in_range(w->n_told, 0, 2 * MANY - 1);
	w->told[w->n_told] = key;
	w->what[w->n_told++] = what;
	if (w->n_told == w->renew_at)
		assert_int_equal(close(ready_renew(w->ready)), 0);
	if (w->late)
		return false;
	return w->stop_after == 0 || w->n_told % w->stop_after != 0;
}

static struct world *
begin(int set)
{
	static const struct ready_host host = {
	    .seen = seen_cb, .ready = told_cb};
	struct world *w = &worlds[n_worlds++];
	int loop;

	assert_true(n_worlds <= WORLDS);
	assert_non_null(w->base = loop_new_set(&loop));
	w->ready = ready_new(w->base, set, &w->kept, &host, w);
	assert_non_null(w->ready);
	assert_true(ready_fd(w->ready) >= 0);
	assert_true(loop >= 0);
	if (leads)
		assert_int_equal(ready_lead(w->ready, loop), 0);
	return w;
}

static void
turn(struct world *w)
{
	w->n_told = w->n_seen = w->n_event = 0;
	w->late = false;
	assert_int_equal(ready_turn(w->ready, 0), 0);
}

static void
pairs(int n)
{
	for (int k = 0; k < n; k++)
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM, 0, pair[k]), 0);
}

static void
pairs_close(int n)
{
	for (int k = 0; k < n; k++) {
		close(pair[k][0]);
		close(pair[k][1]);
	}
}

static void
watch(struct world *w, int k, unsigned was, unsigned is)
{
	assert_int_equal(
	    ready_watch(w->ready, pair[k][0], 100 + (uint64_t)k, was, is), 0);
}

/* One is told of, for that. */
static void
told_one(struct world *w, int k, unsigned what)
{
	turn(w);
	assert_int_equal(w->n_told, what != 0);
	if (what != 0) {
		assert_int_equal(w->told[0], 100 + k);
		assert_int_equal(w->what[0], what);
	}
}

/* It is told of what it is watched for, whatever it was thought to be watched
 * for before. */
static void
test_watch(void **state)
{
	static const unsigned all[] = {
	    0, READY_READ, READY_WRITE, READY_READ | READY_WRITE};
	struct world *w;
	size_t was, is;

	pairs(1);
	w = begin(NONE);
	assert_false(w->kept);
	told_one(w, 0, 0);
	assert_int_equal(send(pair[0][1], "1", 1, 0), 1);
	for (was = 0; was < 4; was++)
		for (is = 0; is < 4; is++) {
			watch(w, 0, all[was], all[is]);
			told_one(w, 0, all[is]);
			told_one(w, 0, all[is]);
		}
	close(pair[0][1]); /* broken: whatever it is watched for */
	watch(w, 0, READY_READ, READY_WRITE);
	told_one(w, 0, READY_READ | READY_WRITE);
	watch(w, 0, READY_WRITE, 0);
	told_one(w, 0, 0);
	close(pair[0][0]);
	assert_int_equal(
	    ready_watch(w->ready, pair[0][0], 0, 0, READY_READ), -1);
	assert_int_equal(errno, EBADF);
}

/* Each is told of once a turn, though it stays ready; those that a turn did not
 * get to are the first of the next one. */
static void
test_turns(void **state)
{
	struct world *w;
	int n[MANY] = {0}, k, t;

	pairs(MANY);
	w = begin(NONE);
	for (k = 0; k < MANY; k++) {
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
		watch(w, k, 0, READY_READ);
	}
	turn(w);
	assert_int_equal(w->n_told, MANY);
	assert_int_equal(w->n_seen, MANY);
	w->stop_after = 7;
	for (t = 0; t < MANY; t++) {
		turn(w);
		for (k = 0; k < w->n_told; k++)
			n[w->told[k] - 100]++;
		for (k = 1; k < MANY; k++)
			assert_in_range(n[k] + 1 - n[0], 0, 2);
	}
	pairs_close(MANY);
}

/* Another loop goes on with the set; what is none is left alone. */
static void
test_kept(void **state)
{
	struct world *first, *w;
	const int other[] = {NONE, 1 << 20, STDOUT_FILENO, -5};
	int set, copy;

	pairs(1);
	first = begin(NONE);
	assert_int_equal(fcntl(ready_fd(first->ready), F_GETFD), 0);
	watch(first, 0, 0, READY_READ);
	set = dup(ready_fd(first->ready));
	w = begin(set);
	assert_true(w->kept);
	assert_int_equal(ready_fd(w->ready), set);
	assert_int_equal(send(pair[0][1], "1", 1, 0), 1);
	told_one(w, 0, READY_READ);
	for (size_t k = 0; k < sizeof(other) / sizeof(other[0]); k++) {
		copy = k == 0 ? dup(pair[0][0]) : other[k];
		w = begin(copy);
		assert_false(w->kept);
		assert_int_not_equal(ready_fd(w->ready), copy);
		told_one(w, 0, 0);
		watch(w, 0, 0, READY_READ);
		told_one(w, 0, READY_READ);
		if (k == 0)
			assert_int_equal(close(copy), 0);
	}
	pairs_close(1);
}

/* A new set has nothing in it, and what the former one told of is forgotten. */
static void
test_renew(void **state)
{
	struct world *w;
	int k, former;

	pairs(MANY);
	w = begin(NONE);
	for (k = 0; k < MANY; k++) {
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
		watch(w, k, 0, READY_READ);
	}
	w->renew_at = 5;
	turn(w);
	assert_int_equal(w->n_told, 5);
	w->renew_at = 0;
	told_one(w, 0, 0);
	watch(w, 3, READY_READ, READY_READ);
	told_one(w, 3, READY_READ);
	former = ready_fd(w->ready);
	assert_int_equal(ready_renew(w->ready), former);
	close(former);
	told_one(w, 0, 0);
	pairs_close(MANY);
}

static void
event_cb(int fd, short what, void *arg)
{
	struct world *w = arg;

	w->n_event++;
	w->late = w->breaks;
	if (w->breaks)
		event_base_loopbreak(w->base);
}

/* Has the loop watch the last pair. */
static void
event_begin(struct world *w)
{
	event_assign(&w->event, w->base, pair[MANY - 1][0],
	    EV_READ | EV_PERSIST, event_cb, w);
	assert_int_equal(event_add(&w->event, NULL), 0);
	assert_int_equal(send(pair[MANY - 1][1], "1", 1, 0), 1);
}

/* The loop has its part of each turn, or of each second one if turns are short,
 * and so have the sockets, though all are always ready. */
static void
test_fair(void **state)
{
	struct world *w;
	int k, t, n_event, n_told;

	pairs(MANY);
	w = begin(NONE);
	event_begin(w);
	turn(w);
	assert_int_equal(w->n_event, 1);
	assert_int_equal(w->n_told, 0);
	for (k = 0; k < MANY - 1; k++) {
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
		watch(w, k, 0, READY_READ);
	}
	turn(w);
	assert_int_equal(w->n_event, 1);
	assert_int_equal(w->n_told, MANY - 1);
	w->stop_after = 7; /* sockets are too many for a turn */
	for (t = n_event = n_told = 0; t < MANY; t++) {
		turn(w);
		n_event += w->n_event;
		n_told += w->n_told;
	}
	assert_in_range(n_event, MANY / 2, MANY);
	assert_true(n_told >= MANY * 6);
	w->stop_after = 0;
	turn(w);	  /* the rest, with the loop */
	w->breaks = true; /* the loop takes the whole of its turn */
	for (t = n_event = n_told = 0; t < MANY; t++) {
		turn(w);
		n_event += w->n_event;
		n_told += w->n_told;
	}
	assert_in_range(n_event, MANY / 2 - 1, MANY);
	assert_true(n_told >= (MANY - 1) * (MANY / 2 - 1));
	event_del(&w->event);
	pairs_close(MANY);
}

/* What the loop has left over is not waited with, though the kernel tells of
 * nothing. */
static void
test_broken(void **state)
{
	struct world *w;
	struct event other[2];
	uint64_t from;
	char c;
	int k;

	pairs(MANY);
	w = begin(NONE);
	event_begin(w);
	for (k = 0; k < 2; k++) {
		event_assign(
		    &other[k], w->base, pair[k][0], EV_READ, event_cb, w);
		assert_int_equal(event_add(&other[k], NULL), 0);
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
	}
	w->breaks = true;
	turn(w);
	assert_int_equal(w->n_event, 1);
	for (k = 0; k < 2; k++)
		assert_int_equal(recv(pair[k][0], &c, 1, 0), 1);
	assert_int_equal(recv(pair[MANY - 1][0], &c, 1, 0), 1);
	from = clock_ms();
	for (k = 0; k < 4 && w->n_event < 3; k++)
		assert_int_equal(ready_turn(w->ready, 5000), 0);
	assert_int_equal(w->n_event, 3);
	assert_true(clock_ms() - from < 4000);
	event_del(&w->event);
	for (k = 0; k < 2; k++)
		event_del(&other[k]);
	pairs_close(MANY);
}

/* It waits as long as it is told, and for the loop as for sockets. */
static void
test_wait(void **state)
{
	struct world *w;
	uint64_t from = clock_ms();

	pairs(MANY);
	w = begin(NONE);
	assert_int_equal(ready_turn(w->ready, 20), 0);
	assert_true(clock_ms() - from >= 20);
	assert_int_equal(send(pair[0][1], "1", 1, 0), 1);
	watch(w, 0, 0, READY_READ);
	assert_int_equal(ready_turn(w->ready, -1), 0);
	assert_int_equal(w->n_told, 1);
	watch(w, 0, READY_READ, 0);
	event_begin(w);
	assert_int_equal(ready_turn(w->ready, -1), 0);
	assert_int_equal(w->n_event, 1);
	event_del(&w->event);
	pairs_close(MANY);
}

/* The loop is in the new set, too; one that a former process has left in the
 * set is a socket that nobody knows. */
static void
test_loop_kept(void **state)
{
	struct world *w, *next;
	int set;

	pairs(MANY);
	w = begin(NONE);
	event_begin(w);
	set = ready_renew(w->ready);
	assert_true(set >= 0);
	close(set);
	turn(w);
	assert_int_equal(w->n_event, 1);
	set = dup(ready_fd(w->ready));
	next = begin(set);
	assert_true(next->kept);
	turn(next);
	assert_int_equal(next->n_told, leads);
	assert_int_equal(next->n_seen, leads);
	assert_int_equal(next->n_event, 0);
	event_del(&w->event);
	pairs_close(MANY);
}

/* A loop that cannot be watched goes on waiting itself. */
static void
test_lead_fails(void **state)
{
	const int other[] = {NONE, 1 << 20};
	const bool both = leads;
	struct world *w;

	pairs(MANY);
	leads = false;
	w = begin(NONE);
	leads = both;
	event_begin(w);
	watch(w, 0, 0, READY_READ);
	assert_int_equal(send(pair[0][1], "1", 1, 0), 1);
	for (size_t k = 0; k < sizeof(other) / sizeof(other[0]); k++) {
		assert_int_equal(ready_lead(w->ready, other[k]), 0);
		turn(w);
		assert_int_equal(w->n_event, 1);
		assert_int_equal(w->n_told, 1);
	}
	event_del(&w->event);
	pairs_close(MANY);
}

static bool
link_cb(void *arg, int k)
{
	struct world *w = arg;

	assert_in_range(k, 0, MANY - 1);
	w->n_link[k]++;
	w->links++;
	w->late = w->link_stop != 0 && w->links % w->link_stop == 0;
	return !w->late;
}

/* Links are the pairs from `from` to `to`, which have something. */
static void
links_begin(struct world *w, int from, int to)
{
	ready_set_links(w->ready, link_cb, w);
	for (int k = from; k < to; k++) {
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
		assert_int_equal(ready_link(w->ready, k, pair[k][0]), 0);
	}
}

/* Links are told of as links, until they are unlinked; what is unlinked tells
 * of nothing, though it is open elsewhere. They are in the new set, too, and in
 * that which a next process keeps they are nobody's. */
static void
test_links(void **state)
{
	struct world *w, *next;
	int copy, set;

	pairs(MANY);
	w = begin(NONE);
	links_begin(w, 0, 3);
	turn(w);
	assert_int_equal(w->links, 3);
	assert_int_equal(w->n_told, 0);
	assert_int_equal(w->n_seen, 0);
	copy = dup(pair[0][0]);
	ready_unlink(w->ready, 0);
	ready_unlink(w->ready, 0);
	close(pair[0][0]);
	turn(w);
	assert_int_equal(w->links, 5);
	assert_int_equal(w->n_link[0], 1);
	assert_int_equal(w->n_seen, 0);
	pair[0][0] = copy;
	assert_int_equal(ready_link(w->ready, 0, copy), 0);
	assert_int_equal(ready_link(w->ready, 4, -1), -1);
	ready_unlink(w->ready, 4);
	set = ready_renew(w->ready);
	assert_true(set >= 0);
	close(set);
	turn(w);
	assert_int_equal(w->links, 8);
	next = begin(dup(ready_fd(w->ready)));
	assert_true(next->kept);
	ready_set_links(next->ready, link_cb, next);
	turn(next);
	assert_int_equal(next->links, 0);
	assert_int_equal(next->n_told, 3);
	pairs_close(MANY);
}

/* Links have their part of each turn, or of each second one if the turns are
 * short, each of them as often; and so have the sockets and the loop, though
 * all are always ready. */
static void
test_links_fair(void **state)
{
	struct world *w;
	int k, t, links, n_event = 0, n_told = 0, n_turns = 0;

	pairs(MANY);
	w = begin(NONE);
	links_begin(w, 0, 5);
	event_begin(w);
	for (k = 5; k < MANY - 1; k++) {
		assert_int_equal(send(pair[k][1], "1", 1, 0), 1);
		watch(w, k, 0, READY_READ);
	}
	w->stop_after = 7; /* sockets are too many for a turn, */
	for (t = 0; t < MANY; t++) {
		turn(w);
		n_turns += w->links >= 5 * (t + 1) - 5;
	}
	assert_int_equal(n_turns, MANY);
	memset(w->n_link, 0, sizeof(w->n_link));
	w->links = 0;
	w->link_stop = 2; /* and links; then events, too */
	for (t = 0; t < 8 * MANY; t++) {
		w->breaks = t >= 4 * MANY;
		links = w->links;
		turn(w);
		n_event += w->n_event;
		n_told += w->n_told;
		if (w->links != links && w->links % 2 == 0)
			assert_int_equal(w->n_told, 0);
	}
	assert_true(w->links >= 3 * MANY);
	for (k = 1; k < 5; k++)
		assert_in_range(w->n_link[k] + 1 - w->n_link[0], 0, 2);
	assert_true(n_event >= MANY);
	assert_true(n_told >= MANY * 20);
	event_del(&w->event);
	pairs_close(MANY);
}

/* A set that is gone is not asked without end. */
static void
test_gone(void **state)
{
	struct world *w = begin(NONE);

	close(ready_fd(w->ready));
	assert_int_equal(ready_turn(w->ready, 0), leads ? -1 : 0);
}

/* Both ways round. */
static int
lead_setup(void **state)
{
	leads = true;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_watch),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_renew),
	    cmocka_unit_test(test_fair),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_wait),
	    cmocka_unit_test(test_loop_kept),
	    cmocka_unit_test(test_lead_fails),
	    cmocka_unit_test(test_links),
	    cmocka_unit_test(test_links_fair),
	    cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0 ||
	    cmocka_run_group_tests(tests, lead_setup, NULL) != 0;
}
