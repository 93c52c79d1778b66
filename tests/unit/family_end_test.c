/* family_end: when a family's table is lost or spoilt, and what the master says
 * and does then. The test plays the family. */
#include "family_fixture.h"

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

/* An upgrade while a process has not said yet that its keepers count: they will
 * do all the same if those before them die, and then it does. */
static void
half_made_over_an_upgrade(void **state)
{
	const unsigned other = next_half_made(serves());
	char line[256] = "";
	FILE *out = fmemopen(line, sizeof(line), "w");
	int used;

	family_save(f, out);
	fclose(out);
	assert_int_equal(sscanf(line, "family %*d%n", &used), 0);
	event_free(f->event);
	event_free(f->timer);
	family_page_unmap(f->page);
	family_init(f, w);
	assert_true(family_load(f, line + used));
	assert_int_equal(family_adopt(f), 0);
	half_made_does(other);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(all_die_over_an_order),
	    TEST(all_die_slowly),
	    TEST(spoilt),
	    TEST(notes_do_not_arrive),
	    TEST(fails_at_the_end),
	    TEST(half_made_over_an_upgrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
