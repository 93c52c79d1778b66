/* kill_watch: a worker dies at each kill point while it changes what sockets
 * are watched for, and so does its successor. The next one finds each in the
 * set as it is to be, and what a slot says of that is never wrong. */
#include "../unit/watched.h"
#include "../unit/apart.h"
#include "kill_child.h"

#include "net/ready.h"

enum { CONNS = 4 };

static struct hub h;
static int client[CONNS], ours[CONNS], late[2][2]; /* for each of two workers */
static int set;

/* All that a connection's registration goes through. */
static void
act(struct node *n, int socket)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	uint32_t i;

	conn_pause(&n->ch, 0, true);
	n->ch.conn[1].blocked = true;
	conn_watch(&n->ch, 1);
	conn_pause(&n->ch, 1, true);
	conn_pause(&n->ch, 1, false);
	i = conn_accept(&n->ch, 0, socket, (void *)&a);
	assert_int_not_equal(i, SHM_NONE);
	conn_drop(&n->ch, 2, NULL);
	n->ch.conn[1].blocked = false;
	conn_watch(&n->ch, 1);
	conn_pause(&n->ch, 0, false);
	conn_unwatch(&n->ch, 3);
	conn_watch(&n->ch, 3);
}

/* The worker, or the next one, in a child that dies at kill point n if it gets
 * there: true. */
static bool
killed(struct node *n, uint64_t point)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child_signals();
		hub_become(&h, 0);
		kill_point_only("watch.c");
		kill_point_arm(point, SIGKILL);
		if (n != NULL)
			act(n, late[0][0]);
		else
			act(watched_next(&h), late[1][0]);
		_exit(0);
	}
	return child_was_killed(pid);
}

/* What slots say is so after each death. */
static void
truth(void)
{
	unsigned what;
	uint64_t key;
	uint32_t i;

	for (i = 0; i < h.n_slots; i++) {
		if (!SHM_LOAD(h.slot[i].watched) ||
		    slot_state(&h, i) == SLOT_FREE)
			continue;
		(void)watched_in(
		    set, (int)(uint32_t)slot_socket(&h, i), &what, &key);
		assert_int_equal(what, READY_READ);
		assert_int_equal(key, slot_id(&h, i));
	}
}

/* Closes what no slot claims: the dead had tables of their own. */
static void
sweep(const struct node *n)
{
	uint32_t i;
	int fd, k;

	for (k = 0; k < CONNS + 2; k++) {
		fd = k < CONNS ? ours[k] : late[k - CONNS][0];
		for (i = 0; i < h.n_slots; i++)
			if (slot_fd(&n->h, i) == fd)
				break;
		if (i == h.n_slots)
			close(fd);
	}
}

struct deaths {
	uint64_t n, again;
};

/* For apart(). 0: there are not so many points. */
static int
deaths_cb(void *arg)
{
	const struct deaths *d = arg;
	struct node *n;
	char user[16];
	bool died;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	n = watched_next(&h);
	for (uint32_t k = 0; k < CONNS; k++) {
		snprintf(user, sizeof(user), "u%u", k);
		assert_int_equal(node_open(n, user, &client[k]), k);
		ours[k] = n->ch.conn[k].fd;
	}
	for (int k = 0; k < 2; k++)
		assert_int_equal(socketpair(AF_UNIX,
				     SOCK_STREAM | SOCK_NONBLOCK, 0, late[k]),
		    0);
	watched_look(n);
	set = watched_set(n);
	died = killed(n, d->n);
	truth();
	if (died && d->again != 0) {
		(void)killed(NULL, d->again);
		truth();
	}
	sweep(n);
	n = watched_next(&h);
	assert_int_equal(watched_set(n), set);
	watched_look(n);
	assert_in_range(n->ch.n_open, CONNS - 1, CONNS);
	return died;
}

static void
test_once(void **state)
{
	struct deaths d = {.n = 1};

	while (apart(deaths_cb, &d) != 0)
		d.n++;
	print_message("%u points\n", (unsigned)d.n - 1);
	assert_true(d.n > 15);
}

static void
test_twice(void **state)
{
	struct deaths d = {.n = 1, .again = 1};

	for (; apart(deaths_cb, &d) != 0; d.n += 2)
		for (d.again = 1; d.again < 30; d.again += 2)
			(void)apart(deaths_cb, &d);
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
