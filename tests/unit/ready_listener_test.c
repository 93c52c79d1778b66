/* ready: listeners, which several processes watch: one is woken for a
 * connection, not all. */
#include <event2/event.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/loop.h"
#include "net/ready.h"

/* A loop, its set, and what was told. */
struct world {
	struct ready *ready;
	bool kept;
	int n_seen, listeners;
};

/* The loop is watched in the set, or the set in the loop. */
static bool leads;

/* What they have stays in reach, or it would look like a leak. */
static struct world worlds[16];
static struct event_base *bases[16];
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
	return true;
}

static struct world *
begin(int set)
{
	static const struct ready_host host = {
	    .seen = seen_cb, .ready = told_cb};
	struct world *w = &worlds[n_worlds];
	int loop;

	bases[n_worlds] = loop_new_set(&loop);
	assert_non_null(bases[n_worlds]);
	w->ready = ready_new(bases[n_worlds++], set, &w->kept, &host, w);
	assert_non_null(w->ready);
	if (leads)
		assert_int_equal(ready_lead(w->ready, loop), 0);
	return w;
}

static void
turn(struct world *w)
{
	w->n_seen = 0;
	assert_int_equal(ready_turn(w->ready, 0), 0);
}

static void
listener_cb(void *arg, int k)
{
	struct world *w = arg;

	assert_int_equal(k, 3);
	w->listeners++;
}

/* A listener of this process, and a client that connects to it. */
static int
listener(int *client)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(a);

	/* a name that the kernel chooses */
	assert_int_equal(bind(fd, (void *)&a, sizeof(a.sun_family)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	*client = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fork() == 0) {
		usleep(500000); /* the others wait by then */
		_exit(connect(*client, (void *)&a, len) == 0 ? 0 : 1);
	}
	return fd;
}

/* A process that waits for a connection: its status is how many it was told
 * of. */
static void
listener_wait(int fd)
{
	struct world *w;

	if (fork() != 0)
		return;
	w = begin(-1);
	ready_set_listeners(w->ready, listener_cb, w);
	if (ready_listen(w->ready, 3, fd) != 0 ||
	    ready_turn(w->ready, 2000) != 0)
		_exit(2);
	_exit(w->listeners);
}

/* Of many that wait for a connection one is told of it. Where the loop watches
 * the set, all are. */
static void
test_listener_one(void **state)
{
	enum { WAITING = 5 };
	int client, status, told = 0;
	const int fd = listener(&client);

	for (int k = 0; k < WAITING; k++)
		listener_wait(fd);
	for (int k = 0; k < WAITING + 1; k++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		told += WEXITSTATUS(status);
	}
	assert_int_equal(told, leads ? 1 : WAITING);
	close(fd);
	close(client);
}

/* It is told of in each turn while a connection waits, by a set made anew, too;
 * without one, where it is looked at unasked. One that a former process has
 * left in the set is not told of. */
static void
test_listener(void **state)
{
	struct world *w = begin(-1), *next;
	int client, status;
	const int fd = listener(&client);

	ready_set_listeners(w->ready, listener_cb, w);
	ready_unlisten(w->ready, 3, fd);
	assert_int_equal(ready_listen(w->ready, 3, fd), 0);
	turn(w);
	assert_int_equal(w->listeners, 0);
	ready_look_listeners(w->ready);
	assert_int_equal(ready_turn(w->ready, leads ? -1 : 0), 0);
	assert_int_equal(w->listeners, leads ? 1 : 0);
	w->listeners = 0;
	assert_true(wait(&status) > 0 && status == 0);
	turn(w);
	turn(w);
	assert_int_equal(w->listeners, 2);
	close(ready_renew(w->ready));
	turn(w);
	assert_int_equal(w->listeners, 3);
	next = begin(dup(ready_fd(w->ready)));
	assert_true(next->kept);
	ready_unlisten(next->ready, 3, fd);
	turn(next);
	assert_int_equal(next->n_seen, 0);
	turn(w);
	assert_int_equal(w->listeners, 3);
	ready_unlisten(w->ready, 3, fd);
	turn(w);
	assert_int_equal(w->listeners, 3);
	close(fd);
	close(client);
}

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
	    cmocka_unit_test(test_listener_one),
	    cmocka_unit_test(test_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0 ||
	    cmocka_run_group_tests(tests, lead_setup, NULL) != 0;
}
