/* keeper: what it says in shared memory of what it has, that it lives, what it
 * lets go of and what it gives back. */
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

#include "hub/claim.h"
#include "hub/kept.h"
#include "hub/slot.h"
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

/* A connection that there is, in custody; its id, and its client's end. */
static uint64_t
connect_one(struct claim *slots, int *client)
{
	struct custody_note note = {.type = CUSTODY_KEEP, .n = 1};
	uint32_t i = slot_take(&hub, slots);
	int fd[2];

	assert_int_not_equal(i, SHM_NONE);
	slot_set(&hub, i, SLOT_OPEN);
	note.id[0] = slot_id(&hub, i);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(custody_send(link_fd, &note, &fd[1]), 0);
	close(fd[1]);
	*client = fd[0];
	return note.id[0];
}

/* A note of one id without a descriptor, or of none. */
static void
tell(uint32_t type, uint32_t n, uint64_t id)
{
	const struct custody_note note = {.type = type, .n = n, .id = {id}};

	assert_int_equal(custody_send(link_fd, &note, NULL), 0);
}

/* All that the keeper gives back is that connection (0: nothing), which goes on
 * being in custody. Once for each link. */
static void
gives_back(uint64_t id)
{
	static struct custody_note note;
	int fd[CUSTODY_MAX], r;
	uint32_t n = 0;
	struct pollfd p = {link_fd, POLLIN, 0};

	assert_int_equal(custody_ask(link_fd, UINT32_MAX), 0);
	do {
		assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
		r = custody_receive(link_fd, &note, fd);
		assert_int_equal(r, 1);
		for (uint32_t k = 0; k < note.n; k++, n++) {
			assert_true(note.id[k] == id);
			close(fd[k]);
		}
	} while (note.type != CUSTODY_DONE);
	assert_int_equal(n, id != 0);
}

/* Whether the client sees that no process has its connection any more. */
static bool
ended_within(int client, int ms)
{
	struct pollfd p = {client, POLLIN, 0};
	char byte;

	return poll(&p, 1, ms) == 1 && recv(client, &byte, 1, 0) == 0;
}

/* The master brings another link. */
static void
link_again(void)
{
	int fd[2];

	close(link_fd);
	assert_int_equal(custody_pair(fd), 0);
	assert_int_equal(custody_order(control, KEEPER_LINK, fd[1]), 0);
	close(fd[1]);
	link_fd = fd[0];
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

/* What is given up is just the connection that is named: not the one that its
 * slot has now, nor what lies behind all slots. */
static void
gives_up(void **state)
{
	struct claim slots;
	uint64_t id;
	int client;

	assert_int_equal(claim_init(&slots, hub.slot_owner, hub.n_slots, 0), 0);
	id = connect_one(&slots, &client);
	tell(CUSTODY_GIVE_UP, 1, id - (1ull << 32));
	tell(CUSTODY_GIVE_UP, 1, id + (1ull << 32));
	tell(CUSTODY_GIVE_UP, 1, id + 1);
	tell(CUSTODY_GIVE_UP, 1, hub.n_slots);
	tell(CUSTODY_GIVE_UP, 1, UINT64_MAX);
	gives_back(id);
	assert_int_equal(kept_by(&hub, id), NUMBER);
	assert_false(ended_within(client, 0));
	tell(CUSTODY_GIVE_UP, 1, id);
	assert_true(ended_within(client, LIMIT_MS));
	assert_int_equal(kept_by(&hub, id), 0);
	link_again();
	gives_back(0);
	close(client);
	claim_deinit(&slots);
}

/* A slot's next connection takes the place of the one before, which is let go
 * of. An older one is not taken. */
static void
keeps_newest(void **state)
{
	struct claim slots;
	uint64_t id, next;
	int client[2];

	assert_int_equal(claim_init(&slots, hub.slot_owner, hub.n_slots, 0), 0);
	id = connect_one(&slots, &client[0]);
	assert_true(kept_within(NUMBER, id, LIMIT_MS));
	slot_release(&hub, &slots, (uint32_t)id);
	next = connect_one(&slots, &client[1]);
	assert_true(next == id + (1ull << 32));
	assert_true(ended_within(client[0], LIMIT_MS));
	hand_over(id);
	gives_back(next);
	assert_false(ended_within(client[1], 0));
	close(client[0]);
	close(client[1]);
	claim_deinit(&slots);
}

/* Connections that are over are dropped when the worker, or the master, says
 * so; those that are there stay, and so does the link. */
static void
checks(void **state)
{
	struct claim slots;
	uint64_t id[3];
	int client[3];

	assert_int_equal(claim_init(&slots, hub.slot_owner, hub.n_slots, 0), 0);
	for (int k = 0; k < 3; k++)
		id[k] = connect_one(&slots, &client[k]);
	assert_true(kept_within(NUMBER, id[2], LIMIT_MS));
	slot_release(&hub, &slots, (uint32_t)id[0]);
	tell(CUSTODY_CHECK, 0, 0);
	assert_true(ended_within(client[0], LIMIT_MS));
	slot_release(&hub, &slots, (uint32_t)id[1]);
	assert_int_equal(custody_order(control, KEEPER_CHECK, -1), 0);
	assert_true(ended_within(client[1], LIMIT_MS));
	gives_back(id[2]);
	assert_false(ended_within(client[2], 0));
	for (int k = 0; k < 3; k++)
		close(client[k]);
	claim_deinit(&slots);
}

/* Notes that make no sense do not end the link. */
static void
bad_notes(void **state)
{
	struct claim slots;
	uint64_t id;
	int client;

	assert_int_equal(claim_init(&slots, hub.slot_owner, hub.n_slots, 0), 0);
	assert_int_equal(send(link_fd, "x", 1, 0), 1);
	tell(99, 1, 1);
	tell(CUSTODY_KEEP, 0, 0);
	tell(CUSTODY_CHECK, 1, 1);
	id = connect_one(&slots, &client);
	gives_back(id);
	close(client);
	claim_deinit(&slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(has_it_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(ticks_for_itself, setup, teardown),
	    cmocka_unit_test_setup_teardown(gives_up, setup, teardown),
	    cmocka_unit_test_setup_teardown(keeps_newest, setup, teardown),
	    cmocka_unit_test_setup_teardown(checks, setup, teardown),
	    cmocka_unit_test_setup_teardown(bad_notes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
