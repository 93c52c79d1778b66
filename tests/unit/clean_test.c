/* clean: who goes on for a dead worker is waited for as long as it gets on, not
 * as long as clients come and go there. */
#include "chat_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "../../src/master/clean.h"
#include "../../src/master/giver.h"
#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "master/roles.h"

enum { CLEANER, DEAD, SLOTS = 64, PERIOD_MS = 100 };

static struct master m;
static struct node *node;
static int client[8];
static uint32_t conn[8];

/* Starts a process that waits to be killed. */
static pid_t
child_new(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

/* Ends one. */
static void
child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Worker 0 goes on for worker 1, which has eight connections. */
static int
setup(void **state)
{
	memset(&m, 0, sizeof(m));
	TAILQ_INIT(&m.orders);
	m.phase = PHASE_RUNNING;
	m.n_workers = m.wanted = 2;
	fixture_hub(&m.hub, SLOTS, 100, 1 << 20, 4 << 20, 1 << 20);
	for (int i = 0; i < 2; i++)
		member_init(&m.member[i], &m, i);
	node = node_new(&m.hub, DEAD);
	for (int i = 0; i < 8; i++)
		conn[i] = node_open(node, "alice", &client[i]);
	m.member[CLEANER].child.pid = child_new();
	m.member[CLEANER].child.ready = true;
	m.member[DEAD].unclean = true;
	m.member[DEAD].child.respawn_ms = 1;
	m.member[DEAD].cleaner = CLEANER;
	m.member[DEAD].cleaner_left = 8;
	return 0;
}

static int
teardown(void **state)
{
	child_end(m.member[CLEANER].child.pid);
	for (int i = 0; i < 8; i++)
		close(client[i]);
	hub_destroy(&m.hub);
	return 0;
}

/* Others connect to the cleaner and leave it. */
static void
come_and_go(void)
{
	struct shm_worker *line = &m.hub.worker[CLEANER];

	SHM_STORE(line->connections, SHM_LOAD(line->connections) ^ 1);
}

/* One that hangs is found, be there ever so many who come and go. */
static void
hangs(void **state)
{
	struct member *dead = &m.member[DEAD];
	uint64_t now = 0;

	for (; now < CLEANED_MS; now += PERIOD_MS) {
		assert_false(m.member[CLEANER].child.killed);
		come_and_go();
		clean_time(dead, now);
	}
	for (; now <= CLEANED_MS + 2 * PERIOD_MS; now += PERIOD_MS) {
		come_and_go();
		clean_time(dead, now);
	}
	assert_true(m.member[CLEANER].child.killed);
}

/* One that gets on, however slowly, is waited for. */
static void
gets_on(void **state)
{
	struct member *dead = &m.member[DEAD];
	uint64_t now = 0;

	for (int i = 0; i < 8; i++) {
		for (uint64_t to = now + CLEANED_MS - 2 * PERIOD_MS; now < to;
		     now += PERIOD_MS)
			clean_time(dead, now);
		assert_true(slot_pass(
		    &m.hub, conn[i], DEAD, SLOT_OPEN, CLEANER, SLOT_OPEN));
		clean_time(dead, now);
	}
	assert_false(m.member[CLEANER].child.killed);
}

/* A worker that has retired and is stopped, while another is to go on for it,
 * is continued. */
static void
giver_is_stopped(void **state)
{
	struct member *dead = &m.member[DEAD];
	int status;

	dead->giver[GIVER_WORKER].pid = child_new();
	dead->giver[GIVER_WORKER].link = -1;
	kill(dead->giver[GIVER_WORKER].pid, SIGSTOP);
	assert_int_equal(
	    waitpid(dead->giver[GIVER_WORKER].pid, &status, WUNTRACED),
	    dead->giver[GIVER_WORKER].pid);
	assert_true(WIFSTOPPED(status));
	for (uint64_t now = 0; now < 1000; now += PERIOD_MS) {
		come_and_go();
		clean_time(dead, now);
		giver_time(dead, now);
	}
	assert_int_equal(waitpid(dead->giver[GIVER_WORKER].pid, &status,
			     WCONTINUED | WNOHANG),
	    dead->giver[GIVER_WORKER].pid);
	assert_true(WIFCONTINUED(status));
	child_end(dead->giver[GIVER_WORKER].pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(hangs, setup, teardown),
	    cmocka_unit_test_setup_teardown(gets_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(giver_is_stopped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
