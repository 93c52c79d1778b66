/* family_order: whom the master asks for a family's next process, and when,
 * when one of its processes dies meanwhile. The test plays the family. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/master/children.h"
#include "../../src/master/family.h"
#include "../../src/master/member.h"
#include "../../src/master/private.h"
#include "base/clock.h"
#include "hub/stats.h"
#include "hub_fixture.h"
#include "master/roles.h"

enum {
	PID = 4000001, /* of the first process; there are no such */
	KEEPER = 4000010,
	CONTINUE_MS = 30,
	KILL_MS = 200,
	LAST_MS = 20000,
	SOME_MS = 5
};

static const struct child_kind worker = {.name = "worker",
				   .n = CHILD_CONFIGURED},
			       keeper = {
				   .name = "keeper", .n = CHILD_EACH_WORKER};
static const struct child_row kinds[] = {
    {&worker, &worker_role}, {&keeper, &keeper_role}, {NULL, NULL}};
static struct master m;
static struct member *w;
static struct family *f;
static int n_notes, n_forks, notes_error;
static pid_t next_pid; /* that a fork will have */
static struct {
	pid_t pid;
	int sig;
} killed[16];
static int n_killed;

/* In place of libc's: nobody is killed, and all are children that live. */
int
kill(pid_t pid, int sig)
{
	killed[n_killed].pid = pid;
	killed[n_killed++].sig = sig;
	return 0;
}

int
waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	memset(info, 0, sizeof(*info));
	return 0;
}

/* In place of family_notes.c's. */
int
family_notes(struct family *family)
{
	n_notes++;
	errno = notes_error;
	return notes_error == 0 ? 0 : -1;
}

/* In place of family_fork.c's. */
pid_t
family_fork(const struct nursery *n, struct family_page *p, int home)
{
	n_forks++;
	if (next_pid != -1)
		atomic_store(&p->process, next_pid);
	return next_pid;
}

/* A place without a family. */
static int
setup(void **state)
{
	child_kinds_use(kinds);
	memset(&m, 0, sizeof(m));
	TAILQ_INIT(&m.orders);
	m.phase = PHASE_RUNNING;
	m.n_workers = m.wanted = 1;
	m.base = event_base_new();
	fixture_hub(&m.hub, 16, 16, 1 << 16, 1 << 20, 1 << 20);
	w = &m.member[0];
	member_init(w, &m, 0);
	f = &w->family;
	n_notes = n_forks = n_killed = notes_error = 0;
	next_pid = PID;
	return 0;
}

static int
teardown(void **state)
{
	family_close(f);
	event_base_free(m.base);
	hub_destroy(&m.hub);
	return 0;
}

/* Somebody is reaped, as the master sees it. */
static void
reaped(pid_t pid)
{
	families_look(&m);
	if (!children_died(&m, pid, SIGKILL))
		(void)families_reaped(&m, pid);
	families_go(&m);
}

/* What a keeper has been told and not carried out; 0: nothing. */
static uint32_t
told(unsigned k)
{
	return family_is_done(f->page, k)
	    ? 0
	    : atomic_load(&f->page->keeper[k].order) & FAMILY_ORDER_BITS;
}

/* A keeper carries out what it was told: makes a process of that pid, 0: it
 * cannot. */
static void
keeper_makes(unsigned k, pid_t pid)
{
	const uint32_t order = atomic_load(&f->page->keeper[k].order);
	const unsigned about = order >> FAMILY_ORDER_ABOUT & FAMILY_ORDER_BITS;

	if ((order & FAMILY_ORDER_BITS) == FAMILY_PROCESS)
		atomic_store(&f->page->process, pid);
	else
		atomic_store(&f->page->keeper[about].pid, pid);
	atomic_store(&f->page->keeper[k].done, order);
}

/* The process makes keepers of its own and says that they count. The pair
 * before is told to leave. Returns the first keeper's number. */
static unsigned
commits(pid_t pid)
{
	const unsigned before = family_pair(f->page);
	const unsigned k = family_other_pair(f->page);

	for (unsigned j = 0; j < FAMILY_KEEPERS; j++) {
		family_keeper_clear(f->page, k + j);
		atomic_store(&f->page->keeper[k + j].pid, pid + (pid_t)j);
	}
	atomic_store(&f->page->cur, k / FAMILY_KEEPERS);
	for (unsigned j = before; j < before + FAMILY_KEEPERS; j++)
		if (atomic_load(&f->page->keeper[j].pid) != 0)
			family_order(f->page, j, FAMILY_LEAVE, 0);
	return k;
}

/* A worker that serves, with two keepers. Returns the first one's number. */
static unsigned
serves(void)
{
	unsigned k;

	family_start(f, &w->child);
	assert_int_equal(w->child.pid, PID);
	k = commits(KEEPER);
	w->child.ready = true;
	family_hello(f);
	assert_int_equal(family_keepers(f), 2);
	n_killed = 0;
	return k;
}

/* Its worker dies. */
static void
worker_dies(void)
{
	reaped(w->child.pid);
}

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
	const unsigned k = serves(), other = FAMILY_KEEPERS - k;

	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
	atomic_store(&f->page->keeper[other].pid, KEEPER + 5);
	w->child.respawn_ms = 0;
	reaped(PID + 1);
	if (w->child.respawn_ms != 0) /* it waits, since it was not ready */
		family_start(f, &w->child);
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
	const unsigned k = serves(), other = FAMILY_KEEPERS - k;

	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
	atomic_store(&f->page->keeper[other].pid, KEEPER + 5);
	reaped(KEEPER);
	reaped(KEEPER + 1);
	reaped(PID + 1);
	if (w->child.respawn_ms != 0)
		family_start(f, &w->child);
	assert_int_equal(family_pair(f->page), other);
	assert_int_equal(told(other), FAMILY_PROCESS);
	assert_int_equal(n_forks, 1);
}

/* A pair that was told to leave has another table than the one that counts: it
 * is never asked, even if it is all that is left. */
static void
former_is_not_asked(void **state)
{
	const unsigned k = serves();

	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
	(void)commits(KEEPER + 5);
	reaped(KEEPER + 5);
	reaped(KEEPER + 6);
	reaped(PID + 1);
	if (w->child.respawn_ms != 0)
		family_start(f, &w->child);
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

	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
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

/* So it is if one has an order, and the link's end is seen first. */
static void
all_die_over_an_order(void **state)
{
	(void)serves();
	reaped(KEEPER);
	f->eof_ms = 1;
	family_time(f, 77);
	assert_int_equal(f->table, 0);
	family_time(f, 78);
	reaped(KEEPER + 1);
	worker_dies();
	assert_int_equal(n_forks, 2);
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
	worker_dies();
	keeper_makes(k, PID + 1);
	family_go(f);
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

/* The link's end comes before those who die with it are reaped: nobody has
 * spoilt anything, and who was lost is told with the next process. */
static void
all_die_slowly(void **state)
{
	(void)serves();
	f->eof_ms = clock_ms();
	family_time(f, 77);
	assert_int_equal(n_killed, 0);
	assert_int_equal(f->table, 1);
	reaped(KEEPER);
	reaped(KEEPER + 1);
	assert_int_equal(f->table, 1);
	next_pid = PID + 1;
	worker_dies();
	assert_int_equal(n_killed, 0);
	assert_int_equal(n_forks, 2);
	assert_int_equal(f->table, 2);
}

/* The table is spoilt: its other end of the link is closed, and somebody lives.
 */
static void
spoilt(void **state)
{
	struct child_end end = {.status = FAMILY_SPOILT << 8};

	(void)serves();
	f->eof_ms = 1;
	family_time(f, 77);
	assert_int_equal(f->table, 0);
	assert_int_equal(n_killed, 3);
	assert_true(w->child.killed);
	/* its process says so */
	family_close(f);
	w->child.pid = 0;
	(void)serves();
	family_died(f, &end);
	assert_int_equal(f->table, 0);
	assert_int_equal(n_killed, 2);
}

/* A link that takes no notes is no longer the family's: the next process begins
 * another family. */
static void
notes_do_not_arrive(void **state)
{
	(void)serves();
	notes_error = EPIPE;
	worker_dies();
	assert_int_equal(f->table, 1); /* they may be dying */
	assert_int_equal(n_killed, 0);
	f->since_ms -= 1000;
	family_go(f);
	assert_int_equal(f->table, 0);
	assert_int_equal(n_killed, 2);
	assert_true(family_awaits(f, &w->child));
	notes_error = 0;
	next_pid = PID + 1;
	family_time(f, 77);
	assert_int_equal(n_forks, 2);
	assert_int_equal(w->child.pid, PID + 1);
}

/* One that is on its way when chatd is told to leave, and cannot be made, is
 * not waited for. */
static void
fails_at_the_end(void **state)
{
	(void)serves();
	worker_dies();
	m.phase = PHASE_QUITTING;
	next_pid = -1;
	reaped(KEEPER);
	assert_false(m.done);
	reaped(KEEPER + 1);
	assert_false(member_is_there(w));
	assert_true(m.done);
	assert_int_equal(w->child.respawn_ms, 0);
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
	    TEST(all_die_over_an_order),
	    TEST(all_die_slowly),
	    TEST(spoilt),
	    TEST(notes_do_not_arrive),
	    TEST(fails_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
