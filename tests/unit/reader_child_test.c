/* reader_child: what every child does that reads the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/message.h"
#include "hub/line.h"
#include "hub/lock.h"
#include "hub/reader.h"
#include "net/link.h"
#include "process/child.h"
#include "process/reader_child.h"

enum { WORKERS = 3 };

static const struct child_kind kind = {
    .name = "reads", .n = 1, .gets = CHILD_HUB, .reader = READER_HOOKS + 1};
static struct conf_live live;
static struct hub hub;
static struct reader reader;
static struct reader_child c;
static struct child_start start;
static int master;	    /* its end of the link to the child */
static int worker[WORKERS]; /* the workers' ends of their links; -1: none */

/* A reader in a hub of its own, which has no links yet. */
static int
setup(void **state)
{
	const struct hub_limits limits = {.connections = 64,
	    .users = 64,
	    .channels = 64,
	    .journal_bytes = 1024 * 1024,
	    .output_bytes = 4 * 1024 * 1024,
	    .input_bytes = 1024 * 1024,
	    .readers = 1 << READER_HOOKS};
	int fd[2];

	assert_int_equal(hub_create(&hub, &limits), 0);
	hub_become(&hub, SHM_WORKERS);
	assert_int_equal(link_pair(fd), 0);
	master = fd[1];
	start = (struct child_start){.kind = &kind,
	    .link = fd[0],
	    .hub = &hub,
	    .line = hub.mine,
	    .live = &live};
	for (int k = 0; k < WORKERS; k++)
		worker[k] = -1;
	reader_init(&reader, &hub, READER_HOOKS, READER_NO_MARK);
	reader_child_init(&c, &start, &reader);
	return 0;
}

/* Gives all back. */
static int
teardown(void **state)
{
	for (int k = 0; k < WORKERS; k++) {
		if (worker[k] != -1)
			close(worker[k]);
		if (c.link[k] != -1)
			close(c.link[k]);
	}
	close(start.link);
	close(master);
	hub_destroy(&hub);
	return 0;
}

/* The master gives it a link to that line; the worker's end, if it is one's,
 * takes the place of the one before. */
static void
give(uint32_t line)
{
	const struct message_link link = {.peer = line, .generation = 1};
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	assert_int_equal(
	    link_send(master, MSG_LINK, &link, sizeof(link), fd[0]), 0);
	close(fd[0]);
	if (line >= WORKERS) {
		close(fd[1]);
		return;
	}
	if (worker[line] != -1)
		close(worker[line]);
	worker[line] = fd[1];
}

/* How many descriptors are open. */
static int
descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* How often a worker has been woken. */
static int
woken(int k)
{
	struct link_datagram d[LINK_BATCH];
	struct relay_record rec;
	const void *payload;
	const char *why;
	size_t len;
	int n = link_receive(worker[k], d);

	for (int i = 0; i < n; i++) {
		assert_int_equal(message_check(d[i].bytes, d[i].len, d[i].n_fds,
				     PARTY_READER, &payload, &len, &why),
		    MSG_RELAY);
		assert_int_equal(len, sizeof(rec));
		memcpy(&rec, payload, sizeof(rec));
		assert_int_equal(rec.length, 0);
	}
	return n;
}

/* A worker is woken once when it gets its link, since it may have missed
 * something, then once a turn if it is to be; one without a link is not. */
static void
test_wake(void **state)
{
	reader_child_wake(&c, UINT64_MAX); /* nobody is there */
	assert_true(reader_child_turn(&c, 0));
	for (uint32_t k = 0; k < WORKERS; k++)
		give(k);
	assert_true(reader_child_turn(&c, 0));
	assert_true(reader_child_turn(&c, 0));
	for (int k = 0; k < WORKERS; k++)
		assert_int_equal(woken(k), 1);
	reader_child_wake(&c, 1);
	reader_child_wake(&c, 1 | 1 << 2 | 1ull << 63);
	assert_int_equal(woken(0), 0);
	assert_true(reader_child_turn(&c, 0));
	assert_int_equal(woken(0), 1);
	assert_int_equal(woken(1), 0);
	assert_int_equal(woken(2), 1);
	reader_child_wake(&c, 2);
	reader_child_flush(&c);
	assert_int_equal(woken(1), 1);
	assert_true(reader_child_turn(&c, 0));
	assert_int_equal(woken(1), 0);
}

/* One that has ended is given up, one that is full is kept, and another one
 * takes the place of the one before. */
static void
test_links(void **state)
{
	int n;

	give(0);
	give(1);
	assert_true(reader_child_turn(&c, 0));
	assert_true(c.link[0] != -1 && c.link[1] != -1);
	close(worker[0]);
	worker[0] = -1;
	for (int i = 0; i < 100000; i++) {
		reader_child_wake(&c, 3);
		reader_child_flush(&c);
	}
	assert_int_equal(c.link[0], -1);
	assert_true(c.link[1] != -1);
	while (woken(1) > 0)
		;
	reader_child_wake(&c, 3);
	reader_child_flush(&c);
	assert_int_equal(woken(1), 1);
	n = descriptors();
	give(1);
	assert_true(reader_child_turn(&c, 0));
	assert_int_equal(descriptors(), n);
	give(0);
	assert_true(reader_child_turn(&c, 0));
	assert_true(reader_child_turn(&c, 0));
	assert_int_equal(woken(0), 1);
	assert_int_equal(woken(1), 1);
}

/* A link with what is no worker is closed, and so is what else the master may
 * say with a descriptor. */
static void
test_others(void **state)
{
	const int n = descriptors();

	give(SHM_WORKERS);
	assert_int_equal(link_send(master, MSG_PAGE, NULL, 0, STDIN_FILENO), 0);
	assert_true(reader_child_turn(&c, 0));
	for (int k = 0; k < SHM_WORKERS; k++)
		assert_int_equal(c.link[k], -1);
	assert_int_equal(descriptors(), n);
}

/* It ticks each turn, waits, and leaves when the master says so or is gone. */
static void
test_turn(void **state)
{
	const uint64_t tick = SHM_LOAD(hub.mine->tick);
	uint64_t now = clock_ms();

	assert_true(reader_child_turn(&c, 0));
	assert_int_equal(SHM_LOAD(hub.mine->tick), tick + 1);
	now = clock_ms();
	assert_true(reader_child_turn(&c, READER_CHILD_WAIT_MS));
	assert_true(clock_ms() - now + 1 >= READER_CHILD_WAIT_MS);
	assert_int_equal(SHM_LOAD(hub.mine->tick), tick + 2);
	assert_int_equal(link_send(master, MSG_STOP, NULL, 0, -1), 0);
	assert_false(reader_child_turn(&c, 0));
	assert_true(reader_child_turn(&c, 0));
	close(master);
	master = dup(STDIN_FILENO);
	assert_false(reader_child_turn(&c, 0));
}

/* That it cannot go on is in its line, until it can, or begins anew. */
static void
test_blocked(void **state)
{
	assert_int_equal(SHM_LOAD(hub.mine->hand), HAND_NOTHING);
	reader_child_blocked(&c, true);
	assert_int_equal(SHM_LOAD(hub.mine->hand), HAND_BLOCKED);
	reader_child_blocked(&c, false);
	assert_int_equal(SHM_LOAD(hub.mine->hand), HAND_NOTHING);
	reader_child_blocked(&c, true);
	reader_child_init(&c, &start, &reader);
	assert_int_equal(SHM_LOAD(hub.mine->hand), HAND_NOTHING);
}

/* One that is blocked waits, though there is something to read. */
static void
test_blocked_waits(void **state)
{
	uint64_t now;

	hub_lock(&hub);
	journal_append_event(&hub,
	    &(struct publication){.format = FORMAT_OPEN, .data = ""},
	    1 << READER_HOOKS, 0);
	hub_unlock(&hub);
	now = clock_ms();
	assert_true(reader_child_turn(&c, 10 * 1000));
	assert_true(clock_ms() - now < 5 * 1000);
	reader_child_blocked(&c, true);
	now = clock_ms();
	assert_true(reader_child_turn(&c, READER_CHILD_WAIT_MS));
	assert_true(clock_ms() - now + 1 >= READER_CHILD_WAIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_wake, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_blocked, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_blocked_waits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
