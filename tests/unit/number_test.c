/* number: the limit of connections. What other workers have counts, and numbers
 * that another process wrote over do not have everybody refused for good: a
 * worker tells its own again, and what stands for a stopped one is no number.
 */
#include "chat_fixture.h"

#include "hub/stats.h"

enum { SLOTS = 64, MOST = 10 };

/* Whether a connection gets a slot here; it ends at once. */
static bool
slot_is_given(struct node *n)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint32_t i;
	bool given;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	i = conn_accept(&n->ch, 0, fd[0], (void *)&a);
	assert_int_not_equal(i, SHM_NONE);
	given = conn_has_slot(&n->ch, i);
	conn_drop(&n->ch, i, NULL);
	close(fd[1]);
	return given;
}

static void
test_limit(void **state)
{
	struct node *n;
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 1 << 20, 1 << 20);
	n = node_new(&h, 0);
	n->ch.max_conns = MOST;
	SHM_STORE(h.line[1].state, WORKER_RUNNING);
	SHM_STORE(h.worker[1].connections, MOST - 1);
	conn_sweep(&n->ch); /* it looks who is there */
	assert_true(slot_is_given(n));
	SHM_STORE(h.worker[1].connections, MOST);
	assert_false(slot_is_given(n));
	SHM_STORE(h.line[1].state, WORKER_STOPPED);
	assert_true(slot_is_given(n));
	SHM_STORE(h.line[1].state, WORKER_WAITING);
	assert_false(slot_is_given(n));
	hub_destroy(&h);
}

/* It has no connection that would begin or end. */
static void
test_told_again(void **state)
{
	struct node *n, *other;
	struct hub h;

	fixture_hub(&h, SLOTS, 100, 1 << 20, 1 << 20, 1 << 20);
	n = node_new(&h, 0);
	other = node_new(&h, 1);
	n->ch.max_conns = MOST;
	SHM_STORE(h.line[1].state, WORKER_RUNNING);
	SHM_STORE(h.worker[1].connections, MOST);
	conn_sweep(&n->ch);
	assert_false(slot_is_given(n));
	conn_sweep(&other->ch);
	assert_true(slot_is_given(n));
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit), cmocka_unit_test(test_told_again)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
