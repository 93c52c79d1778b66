/* keeper: what it says in shared memory of what it has, and that it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/kept.h"
#include "hub_fixture.h"
#include "keeper/keeper.h"
#include "net/custody.h"

enum { NUMBER = 7, OTHER = 8, LIMIT_MS = 10000, QUIET_MS = 500 };

static struct hub hub;
static pid_t keeper;
static int control, link_fd;

/* Starts a keeper with a link to it. */
static int
setup(void **state)
{
	int word[2], fd[2];

	fixture_hub(&hub, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	SHM_STORE(hub.me->custody, NUMBER);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, word), 0);
	assert_int_equal(custody_pair(fd), 0);
	if ((keeper = fork()) == 0) {
		const struct child_start start = {
		    .kind = &keeper_kind, .hub = &hub, .link = word[1]};

		close(word[0]);
		close(fd[0]);
		close(fd[1]);
		keeper_main(&start, NUMBER);
	}
	assert_true(keeper > 0);
	close(word[1]);
	control = word[0];
	assert_int_equal(custody_order(control, KEEPER_LINK, fd[1]), 0);
	close(fd[1]);
	link_fd = fd[0];
	return 0;
}

/* The master is gone: so is the keeper. */
static int
teardown(void **state)
{
	int status = -1;

	close(control);
	close(link_fd);
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	hub_destroy(&hub);
	return status;
}

/* Hands a connection over: its socket is the link itself, say. */
static void
hand_over(uint64_t id)
{
	const struct custody_note note = {
	    .type = CUSTODY_KEEP, .n = 1, .id = {id}};

	assert_int_equal(custody_send(link_fd, &note, &link_fd), 0);
}

/* Waits until the keeper's life sign is another one; false: it stays. */
static bool
ticks_within(int ms)
{
	const uint64_t before = SHM_LOAD(hub.me->keeper_tick);

	for (; ms > 0; ms--) {
		if (SHM_LOAD(hub.me->keeper_tick) != before)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

/* Waits until that keeper is said to have a connection. */
static bool
kept_within(uint32_t number, uint64_t id, int ms)
{
	for (; ms > 0 && kept_by(&hub, id) != number; ms--)
		poll(NULL, 0, 1);
	return ms > 0;
}

/* Another keeper has had the connection for a while: it has given it up, or is
 * dead and its word stands there. It is handed over again, and this one, which
 * has had it all the time, says so. */
static void
has_it_again(void **state)
{
	const uint64_t id = 5ull << 32 | 3;

	hand_over(id);
	assert_true(kept_within(NUMBER, id, LIMIT_MS));
	kept_set(&hub, OTHER, id);
	kept_clear(&hub, OTHER, id);
	hand_over(id);
	assert_true(kept_within(NUMBER, id, LIMIT_MS));
	kept_set(&hub, OTHER, id);
	hand_over(id);
	assert_true(kept_within(NUMBER, id, LIMIT_MS));
}

/* The slot's life sign is that of its keeper, not of the one which is being
 * replaced and lives on: otherwise nobody sees that the next one hangs. */
static void
ticks_for_itself(void **state)
{
	assert_true(ticks_within(LIMIT_MS));
	SHM_STORE(hub.me->custody, OTHER);
	(void)ticks_within(QUIET_MS); /* one that was on its way */
	assert_false(ticks_within(QUIET_MS));
	SHM_STORE(hub.me->custody, NUMBER);
	assert_true(ticks_within(LIMIT_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(has_it_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(ticks_for_itself, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
