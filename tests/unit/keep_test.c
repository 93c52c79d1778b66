/* keep: the processes that hold a slot's sockets, as the master sees them die.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../src/master/children.h"
#include "../../src/master/keep.h"
#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "master/roles.h"

static struct master m;
static int killed; /* how often kill() was called */

/* In place of libc's. */
int
kill(pid_t pid, int sig)
{
	killed++;
	return 0;
}

/* A slot whose worker has retired, and whose keeper is being replaced. */
static int
setup(void **state)
{
	struct member *w = &m.member[0];

	memset(&m, 0, sizeof(m));
	m.phase = PHASE_RUNNING;
	m.n_workers = 1;
	member_init(w, &m, 0);
	w->former.pid = 1000001;
	w->before.pid = 1000002;
	w->former.link = w->before.link = -1;
	killed = 0;
	return 0;
}

/* Who is dead and reaped is not killed: its pid may be another process's. */
static void
reaped_is_not_killed(void **state)
{
	struct member *w = &m.member[0];

	assert_true(keep_source_died(w, 1000001));
	assert_int_equal(w->former.pid, 0);
	assert_int_equal(w->before.pid, 1000002);
	assert_true(keep_source_died(w, 1000002));
	assert_int_equal(w->before.pid, 0);
	assert_int_equal(killed, 0);
}

/* Who is not needed any more is. */
static void
not_needed_is_killed(void **state)
{
	keep_source_end(&m.member[0], KEEP_FORMER);
	keep_source_end(&m.member[0], KEEP_BEFORE);
	assert_int_equal(killed, 2);
	keep_source_end(&m.member[0], KEEP_FORMER);
	assert_int_equal(killed, 2);
}

/* The next worker has all connections of one that has retired, its keeper does
 * not yet: should that worker die now, they are nowhere else. */
static void
former_stays_until_all_is_kept(void **state)
{
	struct member *w = &m.member[0];

	w->keeper.pid = 1000003;
	w->custody = 5;
	w->keeper_linked = true;
	keep_ready(w);
	assert_int_equal(w->former.pid, 1000001);
	keep_filled(w, 4); /* another one's late word */
	assert_int_equal(w->former.pid, 1000001);
	assert_int_equal(killed, 0);
	keep_filled(w, 5);
	assert_int_equal(w->former.pid, 0);
	assert_int_equal(w->before.pid, 0);
	assert_int_equal(killed, 2);
}

/* One that dies again and again before it has everything is not tried for ever
 * without a pause; the one before goes on meanwhile. */
static void
next_is_waited_for(void **state)
{
	static const struct child_kind kind = {
	    .name = "keeper", .gets = CHILD_MUTE, .backoff_max_ms = 1000};
	static struct shm_worker line[1];
	struct member *w = &m.member[0];

	m.hub.worker = line;
	for (int i = 0; i < POLICY_FAULTS; i++) {
		assert_true(m.renew_keeper_ms <= master_clock_ms(&m));
		w->before.kind = w->keeper.kind = &kind;
		w->before.role = w->keeper.role = &keeper_role;
		w->before.pid = 1000002;
		w->keeper.pid = 1000003;
		w->keeper.ready = true;
		w->keeper.started_ms = master_clock_ms(&m);
		assert_true(children_died(&m, 1000003, SIGSEGV));
		assert_int_equal(w->keeper.pid, 1000002);
		assert_int_equal(w->keeper_wait_ms, 0);
	}
	assert_true(m.renew_keeper_ms > master_clock_ms(&m));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(reaped_is_not_killed, setup),
	    cmocka_unit_test_setup(not_needed_is_killed, setup),
	    cmocka_unit_test_setup(former_stays_until_all_is_kept, setup),
	    cmocka_unit_test_setup(next_is_waited_for, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
