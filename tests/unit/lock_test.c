/* lock: its holder dies or stops; who waits is seen to live. */
#include "hub_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/stats.h"

/* A child that takes the lock as that worker and then waits for a signal. */
static pid_t
holder_start(struct hub *h, int worker)
{
	pid_t pid = fork();

	if (pid == 0) {
		hub_become(h, worker);
		hub_lock(h);
		for (;;)
			pause();
	}
	while (lock_holder(h) != worker)
		sched_yield();
	return pid;
}

/* A child that takes the lock, writes its number behind the tail and leaves. */
static pid_t
waiter_start(struct hub *h, int worker)
{
	struct publication p = {.user = "", .data = "", .format = FORMAT_TEXT};
	pid_t pid = fork();

	if (pid == 0) {
		hub_become(h, worker);
		hub_lock(h);
		p.ordinal = (uint32_t)worker;
		journal_append(h, &p);
		hub_unlock(h);
		_exit(0);
	}
	return pid;
}

static void
end_by(pid_t pid, int sig)
{
	int status;

	if (sig != 0)
		kill(pid, sig);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (sig == 0)
		assert_int_equal(status, 0);
	else
		assert_int_equal(WTERMSIG(status), sig);
}

/* Nobody, then a holder, then nobody. */
static void
test_holder(void **state)
{
	struct hub h;

	fixture_hub(&h, 16, 16, 65536, 1 << 20, 1 << 20);
	hub_become(&h, 5);
	assert_int_equal(lock_holder(&h), -1);
	hub_lock(&h);
	assert_int_equal(lock_holder(&h), 5);
	assert_int_equal(h.me->lock_state, LOCK_WANTED);
	hub_unlock(&h);
	assert_int_equal(lock_holder(&h), -1);
	assert_int_equal(h.me->lock_state, LOCK_NONE);
	hub_destroy(&h);
}

/* Its holder dies again and again: the next one gets it. */
static void
test_death(void **state)
{
	struct hub h;
	uint32_t i;

	fixture_hub(&h, 16, 16, 65536, 1 << 20, 1 << 20);
	for (i = 0; i < fixture_rounds(30); i++) {
		end_by(holder_start(&h, 1), SIGKILL);
		hub_lock(&h);
		assert_int_equal(lock_holder(&h), 0);
		hub_unlock(&h);
		end_by(waiter_start(&h, 2), 0);
		assert_int_equal(journal_tail(&h), i + 1);
	}
	hub_destroy(&h);
}

/* While it is held, who waits ticks and says so; the holder's death lets all
 * of them go on. */
static void
test_waiting(void **state)
{
	enum { WAITERS = 3 };
	struct hub h;
	pid_t holder, pid[WAITERS];
	uint64_t tick[WAITERS];
	int i;

	fixture_hub(&h, 16, 16, 65536, 1 << 20, 1 << 20);
	holder = holder_start(&h, 9);
	kill(holder, SIGSTOP); /* it does not tick */
	for (i = 0; i < WAITERS; i++)
		pid[i] = waiter_start(&h, 1 + i);
	for (i = 0; i < WAITERS; i++) {
		while (h.worker[1 + i].lock_state != LOCK_WAITING)
			sched_yield();
		tick[i] = h.worker[1 + i].tick;
	}
	for (i = 0; i < WAITERS; i++)
		while (h.worker[1 + i].tick < tick[i] + 3)
			sched_yield();
	for (i = 0; i < WAITERS; i++)
		assert_int_equal(h.worker[1 + i].lock_state, LOCK_WAITING);
	assert_int_equal(lock_holder(&h), 9);
	assert_int_equal(h.worker[9].tick, 0);
	end_by(holder, SIGKILL);
	for (i = 0; i < WAITERS; i++) {
		end_by(pid[i], 0);
		assert_int_equal(h.worker[1 + i].lock_state, LOCK_NONE);
	}
	assert_int_equal(journal_tail(&h), WAITERS);
	assert_int_equal(lock_holder(&h), -1);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_holder),
	    cmocka_unit_test(test_death),
	    cmocka_unit_test(test_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
