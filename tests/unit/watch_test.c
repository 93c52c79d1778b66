/* watch: a worker keeps the epoll set of the one before, with few system calls,
 * and one that tells of what is none of its own is made anew. */
#include "watched.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "apart.h"
#include "net/ready.h"

enum { CONNS = 20, SWEEPS = 30 };

static struct hub h;
static int n_calls;	 /* of epoll_ctl */
static bool refuses;	 /* it fails */
static int refused = -1; /* it fails for this descriptor, once */

/* In place of libc's. */
int
epoll_ctl(int set, int how, int fd, struct epoll_event *e)
{
	n_calls++;
	if (refuses || fd == refused) {
		refused = -1;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, set, how, fd, e);
}

/* A worker that has some connections. */
static struct node *
begin(int *client)
{
	struct node *n;
	char user[16];
	uint32_t k;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	n = watched_next(&h);
	for (k = 0; k < CONNS; k++) {
		snprintf(user, sizeof(user), "u%u", k);
		(void)node_open(n, user, &client[k]);
	}
	watched_look(n);
	return n;
}

/* What a test looks at, in a process of its own. */
static void
alone(int (*piece)(void *arg))
{
	assert_int_equal(apart(piece, NULL), 0);
}

/* The next worker changes nothing for those that are read from, and finds
 * everyone else as it is to be. */
static int
kept_cb(void *arg)
{
	int client[CONNS], set;
	struct node *n = begin(client), *next;
	uint32_t i = 0;

	set = watched_set(n);
	n_calls = 0;
	next = watched_next(&h);
	assert_int_equal(n_calls, 1); /* the set, in its loop */
	assert_int_equal(watched_set(next), set);
	assert_int_equal(next->ch.n_open, CONNS);
	watched_look(next);
	n = next;
	n->ch.conn[3].blocked = true; /* is not: that is private */
	conn_watch(&n->ch, 3);
	conn_pause(&n->ch, 5, true);
	n->ch.conn[6].blocked = true;
	conn_pause(&n->ch, 6, true);
	watched_look(n);
	n_calls = 0;
	next = watched_next(&h);
	assert_in_range(n_calls, 4, 7);
	assert_int_equal(watched_set(next), set);
	watched_look(next);
	/* and they are told of */
	assert_int_equal(send(client[i], "x", 1, 0), 1);
	event_base_loop(next->ch.base, EVLOOP_ONCE);
	chat_turn(&next->ch);
	assert_true(n_calls < 10);
	return 0;
}

static void
test_kept(void **state)
{
	alone(kept_cb);
}

/* A set of another table, or none, is not kept: all are added to a new one. */
static int
anew_cb(void *arg)
{
	int client[CONNS], set, k;
	struct node *n = begin(client), *next;

	for (k = 0; k < 3; k++, n = next) {
		set = watched_set(n);
		if (k == 0)
			SHM_STORE(h.worker[0].watch, 0);
		else if (k == 1) /* closed, and its number is another file's */
			assert_int_equal(dup2(client[0], set), set);
		else /* that number in another table */
			SHM_STORE(
			    h.worker[0].watch, 9ull << 32 | (uint32_t)set);
		n_calls = 0;
		next = watched_next(&h);
		assert_true(n_calls > CONNS);
		assert_int_equal(next->ch.n_open, CONNS);
		assert_int_not_equal(watched_set(next), set);
		watched_look(next);
	}
	return 0;
}

static void
test_anew(void **state)
{
	alone(anew_cb);
}

/* What a worker dies over before all are in a new set counts as no set. */
static int
unsettled_cb(void *arg)
{
	int client[CONNS];
	struct node *next;

	(void)begin(client);
	SHM_STORE(h.worker[0].watch, 0);
	next = node_new(&h, 0);
	assert_int_equal(watched_set(next), -1);
	next = watched_next(&h);
	watched_look(next);
	return 0;
}

static void
test_unsettled(void **state)
{
	alone(unsettled_cb);
}

/* A socket that is none of the worker's any more and stays in the set, as it is
 * open elsewhere: told of without end, until there is a new set. Sockets that
 * are its own do no such thing. */
static int
stale_cb(void *arg)
{
	int client[CONNS], set, pair[2], k, lost;
	struct node *n = begin(client);
	struct epoll_event e = {
	    .events = EPOLLIN, .data.u64 = 0x900000000ull | CONNS};

	set = watched_set(n);
	/* as one that is paused after the kernel has told of it */
	assert_int_equal(send(client[1], "\x89\x80\0\0\0\0", 6, 0), 6);
	n->ch.conn[1].watched = 0;
	event_base_loop(n->ch.base, EVLOOP_ONCE);
	n->ch.conn[1].watched = 1;
	for (k = 0; k < SWEEPS; k++) {
		assert_int_equal(send(client[1], "\x89\x80\0\0\0\0", 6, 0), 6);
		event_base_loop(n->ch.base, EVLOOP_ONCE);
		chat_turn(&n->ch);
		watch_sweep(&n->ch);
	}
	assert_int_equal(watched_set(n), set);
	for (lost = 0; lost < 3; lost++) {
		set = watched_set(n);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		assert_int_equal(send(pair[1], "1", 1, 0), 1);
		e.data.u64 = lost == 0 ? 0x900000000ull | CONNS : /* nobody */
		    lost == 1 ? slot_id(&h, 2) + (1ull << 32)
			      : /* a former */
		    UINT64_MAX; /* nonsense */
		assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &e), 0);
		for (k = 0; k < SWEEPS && watched_set(n) == set; k++) {
			event_base_loop(
			    n->ch.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
			event_base_loop(
			    n->ch.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
			chat_turn(&n->ch);
			watch_sweep(&n->ch);
		}
		assert_in_range(k, 9, 12);
		watched_look(n);
		assert_int_equal(n->ch.n_open, CONNS);
		close(pair[0]);
		close(pair[1]);
	}
	return 0;
}

static void
test_stale(void **state)
{
	alone(stale_cb);
}

/* While there are two sets the kernel may have no more watches: who is not in
 * the new one is added when there is no other. */
static int
crowded_cb(void *arg)
{
	int client[CONNS], set, pair[2], k;
	struct node *n = begin(client);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	unsigned what;
	uint32_t given;
	uint64_t key;

	set = watched_set(n);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(send(pair[1], "1", 1, 0), 1);
	assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &e), 0);
	refused = n->ch.conn[4].fd;
	given = give_freeze(&n->ch, 1);
	for (k = 0; k < SWEEPS && watched_set(n) == set; k++) {
		event_base_loop(n->ch.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		event_base_loop(n->ch.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		chat_turn(&n->ch);
		watch_sweep(&n->ch);
	}
	assert_int_equal(refused, -1);
	/* and who is on the way to another worker is in neither */
	(void)watched_in(watched_set(n), n->ch.conn[given].fd, &what, &key);
	assert_int_equal(what, 0);
	give_back(&n->ch, 1);
	watched_look(n);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void
test_crowded(void **state)
{
	alone(crowded_cb);
}

/* One that cannot be watched is refused, and leaves nothing. */
static int
refused_cb(void *arg)
{
	int client[CONNS], pair[2];
	struct node *n = begin(client);
	struct sockaddr_in a = {.sin_family = AF_INET};
	uint32_t before = n->ch.n_here;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	refuses = true;
	assert_int_equal(conn_accept(&n->ch, 0, pair[0], (void *)&a), SHM_NONE);
	refuses = false;
	assert_int_equal(n->ch.n_here, before);
	watched_look(n);
	return 0;
}

static void
test_refused(void **state)
{
	alone(refused_cb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_anew),
	    cmocka_unit_test(test_unsettled),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_crowded),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
