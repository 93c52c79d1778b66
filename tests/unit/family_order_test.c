/* family_order: whom the master asks for a family's next process, and when,
 * when one of its processes dies meanwhile. The test plays the family. */
#include "family_fixture.h"

/* The first process is forked, with its notes; it has a page of its own. */
static void
first_is_forked(void **state)
{
	family_start(f, &w->child);
	assert_int_equal(n_notes, 1);
	assert_int_equal(n_forks, 1);
	assert_int_equal(f->table, 1);
	assert_int_equal(f->step, FAMILY_RESTS);
	assert_int_equal(f->first_home, -1);
	assert_false(family_awaits(f, &w->child));
	assert_non_null(family_problem(f));
	(void)commits(KEEPER);
	family_hello(f);
	assert_null(family_problem(f));
	assert_int_equal(f->keeper[0].pid, KEEPER);
	assert_int_equal(SHM_LOAD(m.hub.worker[0].keeper), (uint32_t)KEEPER);
}

/* What cannot be forked, or told, is tried again. */
static void
first_fails(void **state)
{
	next_pid = -1;
	family_start(f, &w->child);
	assert_true(w->child.respawn_ms != 0);
	assert_int_equal(f->table, 0);
	notes_error = EAGAIN;
	family_start(f, &w->child);
	assert_int_equal(n_forks, 1);
	assert_int_equal(f->table, 0);
	assert_int_equal(f->home, -1);
	assert_int_equal(w->child.generation, 2); /* never used twice */
}

/* The next one is asked of a keeper, and is there when its pid is. */
static void
next_is_ordered(void **state)
{
	const unsigned k = serves();

	worker_dies();
	assert_true(family_awaits(f, &w->child));
	assert_int_equal(w->child.generation, 2);
	assert_int_equal(told(k), FAMILY_PROCESS);
	assert_int_equal(told(k + 1), 0);
	family_go(f);
	assert_int_equal(w->child.pid, 0);
	keeper_makes(k, PID + 1);
	family_go(f);
	assert_int_equal(w->child.pid, PID + 1);
	assert_int_equal(n_forks, 1);
	assert_int_equal(n_notes, 2);
	assert_int_equal(n_killed, 0);
}

/* A keeper that dies before it has carried out its order: the other one gets
 * it, the notes are there. */
static void
keeper_dies_before(void **state)
{
	const unsigned k = serves();

	worker_dies();
	reaped(KEEPER);
	assert_int_equal(told(k + 1), FAMILY_PROCESS);
	assert_int_equal(n_notes, 2);
	keeper_makes(k + 1, PID + 1);
	family_go(f);
	assert_int_equal(w->child.pid, PID + 1);
}

/* One that dies after it has: nobody else is asked, though it has not said so.
 */
static void
keeper_dies_after(void **state)
{
	const unsigned k = serves();

	worker_dies();
	atomic_store(&f->page->process, PID + 1);
	reaped(KEEPER);
	assert_int_equal(told(k + 1), 0);
	assert_int_equal(w->child.pid, PID + 1);
}

/* The process that it has made may be dead, too, and be reaped first. */
static void
process_dies_unseen(void **state)
{
	const unsigned k = serves();

	worker_dies();
	keeper_makes(k, PID + 1);
	reaped(PID + 1);
	assert_int_equal(w->child.generation, 3); /* one more */
	assert_int_equal(atomic_load(&f->page->process), 0);
	assert_int_equal(told(k), FAMILY_PROCESS);
	assert_int_equal(told(k + 1), 0);
}

/* One that does not answer is continued, then killed; the other one is asked
 * when it is reaped. */
static void
silent_one_is_replaced(void **state)
{
	const unsigned k = serves();

	worker_dies();
	f->asked_ms -= CONTINUE_MS;
	family_go(f);
	assert_int_equal(n_killed, 1);
	assert_int_equal(killed[0].pid, KEEPER);
	assert_int_equal(killed[0].sig, SIGCONT);
	f->asked_ms -= KILL_MS;
	family_go(f);
	assert_int_equal(killed[1].pid, KEEPER);
	assert_int_equal(killed[1].sig, SIGKILL);
	assert_int_equal(told(k + 1), 0);
	reaped(KEEPER);
	assert_int_equal(told(k + 1), FAMILY_PROCESS);
}

/* The last one that has the table is not killed for being slow. */
static void
last_one_has_time(void **state)
{
	(void)serves();
	worker_dies();
	reaped(KEEPER);
	f->asked_ms -= KILL_MS + CONTINUE_MS;
	family_go(f);
	assert_int_equal(n_killed, 1);
	assert_int_equal(killed[0].sig, SIGCONT);
	f->asked_ms -= LAST_MS;
	family_go(f);
	assert_int_equal(killed[1].pid, KEEPER + 1);
	assert_int_equal(killed[1].sig, SIGKILL);
}

/* One that is in the midst of another order is not asked. */
static void
busy_one_is_not_asked(void **state)
{
	const unsigned k = serves();

	family_order(f->page, k, FAMILY_KEEPER, k + 1);
	worker_dies();
	assert_int_equal(told(k), FAMILY_KEEPER);
	assert_int_equal(told(k + 1), FAMILY_PROCESS);
}

/* One that could not make it, with no room for a process: later, and with the
 * notes that are there, since nobody reads them meanwhile. */
static void
keeper_cannot(void **state)
{
	const unsigned k = serves();

	worker_dies();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(told(k), FAMILY_PROCESS);
		keeper_makes(k, 0);
		family_go(f);
		assert_int_equal(f->step, FAMILY_CLEARS);
		assert_true(family_awaits(f, &w->child));
		family_go(f);
		assert_int_equal(told(k), 0); /* not at once */
		f->again_ms -= CHILD_RETRY_MS;
		family_go(f);
	}
	assert_int_equal(n_notes, 2);
	assert_int_equal(w->child.generation, 2);
	keeper_makes(k, PID + 1);
	family_go(f);
	assert_int_equal(w->child.pid, PID + 1);
}

/* A process that dies with keepers of its own that do not count yet: those are
 * killed, and nobody is asked before they are reaped. */
static void
half_made_is_killed(void **state)
{
	const unsigned k = serves();

	(void)next_half_made(k);
	next_dies();
	assert_int_equal(killed[0].pid, KEEPER + 5);
	assert_int_equal(killed[0].sig, SIGKILL);
	assert_int_equal(told(k), 0);
	reaped(KEEPER + 5);
	assert_int_equal(told(k), FAMILY_PROCESS);
}

/* If those that count are dead by then, the others will do: they have a copy of
 * the table. */
static void
half_made_will_do(void **state)
{
	half_made_does(next_half_made(serves()));
}

/* A pair that was told to leave has another table than the one that counts: it
 * is never asked, even if it is all that is left. */
static void
former_is_not_asked(void **state)
{
	const unsigned k = serves();

	next_begins(k);
	(void)commits(KEEPER + 5);
	reaped(KEEPER + 5);
	reaped(KEEPER + 6);
	next_dies();
	assert_int_equal(told(k), FAMILY_LEAVE);
	assert_int_equal(killed[0].pid, KEEPER);
	assert_int_equal(killed[1].pid, KEEPER + 1);
	assert_int_equal(n_forks, 1);
	reaped(KEEPER);
	next_pid = PID + 2;
	reaped(KEEPER + 1);
	assert_int_equal(n_forks, 2);
	assert_int_equal(f->table, 2);
	assert_int_equal(w->child.pid, PID + 2);
}

/* It is killed when the next worker serves, if it has not left by then. */
static void
former_ends(void **state)
{
	const unsigned k = serves();

	next_begins(k);
	(void)commits(KEEPER + 5);
	assert_int_equal(n_killed, 0);
	family_hello(f);
	assert_int_equal(n_killed, 2);
	assert_int_equal(killed[0].pid, KEEPER);
	assert_int_equal(f->keeper[0].pid, KEEPER + 5);
	reaped(KEEPER);
	assert_int_equal(atomic_load(&f->page->keeper[k].pid), 0);
}

/* All three are dead: another family. */
static void
all_are_dead(void **state)
{
	(void)serves();
	reaped(KEEPER);
	reaped(KEEPER + 1);
	next_pid = PID + 1;
	worker_dies();
	assert_int_equal(n_forks, 2);
	assert_int_equal(f->table, 2);
	assert_int_equal(w->child.pid, PID + 1);
}

/* A keeper that dies is made by the other one, and does not carry out what the
 * dead one was told; not while the process has none of its own. */
static void
keeper_is_completed(void **state)
{
	const unsigned k = serves();

	family_order(f->page, k, FAMILY_PROCESS, 0);
	reaped(KEEPER);
	assert_int_equal(told(k + 1), FAMILY_KEEPER);
	assert_int_equal(told(k), 0);
	assert_non_null(family_problem(f));
	keeper_makes(k + 1, KEEPER + 2);
	family_go(f);
	assert_null(family_problem(f));
	assert_int_equal(f->keeper[0].pid, KEEPER + 2);
	next_begins(k);
	reaped(KEEPER + 1);
	assert_int_equal(told(k), 0); /* PID + 1 makes its own */
}

/* Nor is it without a process: there is no worker for a while. */
static void
keeper_is_completed_alone(void **state)
{
	const unsigned k = serves();

	m.member[0].course = COURSE_LEAVES;
	worker_dies();
	assert_false(family_awaits(f, &w->child));
	reaped(KEEPER + 1);
	assert_int_equal(told(k), FAMILY_KEEPER);
	keeper_makes(k, KEEPER + 2);
	family_go(f);
	assert_int_equal(family_keepers(f), 2);
}

/* The worker dies while its keeper is being completed: nobody is told two
 * things at once. */
static void
worker_dies_meanwhile(void **state)
{
	const unsigned k = serves();

	reaped(KEEPER);
	assert_int_equal(told(k + 1), FAMILY_KEEPER);
	worker_dies();
	assert_int_equal(told(k + 1), FAMILY_KEEPER);
	keeper_makes(k + 1, KEEPER + 2);
	family_go(f);
	assert_true(told(k) == FAMILY_PROCESS || told(k + 1) == FAMILY_PROCESS);
	assert_true(told(k) == 0 || told(k + 1) == 0);
}

/* Both keepers are dead: the worker is told to hold its sockets, and its
 * successor's family is another one. */
static void
rescue(void **state)
{
	(void)serves();
	reaped(KEEPER);
	reaped(KEEPER + 1);
	assert_int_equal(w->retire_ms, 0);
	family_time(f, 77);
	assert_int_equal(w->retire_ms, 77);
	assert_true(w->holds);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(first_is_forked),
	    TEST(first_fails),
	    TEST(next_is_ordered),
	    TEST(keeper_dies_before),
	    TEST(keeper_dies_after),
	    TEST(process_dies_unseen),
	    TEST(silent_one_is_replaced),
	    TEST(last_one_has_time),
	    TEST(busy_one_is_not_asked),
	    TEST(keeper_cannot),
	    TEST(half_made_is_killed),
	    TEST(half_made_will_do),
	    TEST(former_is_not_asked),
	    TEST(former_ends),
	    TEST(all_are_dead),
	    TEST(keeper_is_completed),
	    TEST(keeper_is_completed_alone),
	    TEST(worker_dies_meanwhile),
	    TEST(rescue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
