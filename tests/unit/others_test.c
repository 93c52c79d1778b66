/* others: children that are neither workers nor keepers, as the master sees
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../src/master/children.h"
#include "../../src/master/others.h"
#include "../../src/master/own_user.h"
#include "../../src/master/private.h"
#include "base/bundle.h"
#include "codec/message.h"
#include "net/link.h"

static const struct child_kind kind = {
    .name = "one", .n = 1, .executable = "nowhere"};
static const struct child_row kinds[] = {{&kind, NULL}, {NULL, NULL}};
static bool wanted; /* what the configuration says of the next ones */
static bool wanted_cb(const struct conf *c);
static const struct child_kind maybe = {
    .name = "maybe", .n = 2, .wanted = wanted_cb};
static const struct child_kind reads = {.name = "reads",
    .n = 1,
    .gets = CHILD_HUB,
    .wanted = wanted_cb,
    .reader = 2,
    .user = "reads",
    .still_ms = 10000};
static const struct child_row some[] = {
    {&maybe, NULL}, {&reads, NULL}, {NULL, NULL}};
static const struct options options = {.binary = "/nonexistent/sbin/chatd"};
static struct master m;
static struct shm_line line[SHM_LINES];
static int end;	   /* the child's of its link */
static int killed; /* how often kill() was called */

/* For kinds that need not be there. */
static bool
wanted_cb(const struct conf *c)
{
	return wanted;
}

/* In place of libc's. */
int
kill(pid_t pid, int sig)
{
	killed++;
	return 0;
}

/* A child that is not ready yet. */
static int
setup(void **state)
{
	struct child *c = &m.other[0];
	int fd[2];

	child_kinds_use(kinds);
	memset(&m, 0, sizeof(m));
	m.phase = PHASE_RUNNING;
	m.options = &options;
	m.hub.line = line;
	m.nursery.pages = m.nursery.log = -1;
	assert_int_equal(link_pair(fd), 0);
	child_init(c, &kinds[0], 0, SHM_WORKERS);
	c->role = &other_role;
	c->budget = 8;
	c->master = &m;
	c->pid = 1000001;
	c->link = fd[0];
	c->line = &line[SHM_WORKERS];
	c->generation = 7;
	c->started_ms = 1;
	m.n_others = 1;
	end = fd[1];
	killed = 0;
	return 0;
}

/* Gives back the link. */
static int
teardown(void **state)
{
	children_ignore(&m.other[0]);
	child_unlink(&m.other[0]);
	close(end);
	return 0;
}

/* While it starts it need not tick: that is not held against it later. */
static void
silence_ends_when_it_is_ready(void **state)
{
	const struct message_hello hello = {0, 7};

	m.watchdog.line[SHM_WORKERS].still_ms = CHILD_HELLO_MS - 1;
	assert_int_equal(
	    link_send(end, MSG_HELLO, &hello, sizeof(hello), -1), 0);
	children_read(&m.other[0]);
	children_time(&m, 2);
	assert_true(m.other[0].ready);
	assert_int_equal(watchdog_still_ms(&m.watchdog, SHM_WORKERS), 0);
	assert_int_equal(killed, 0);
}

/* The chat is not served before a child that is to be there first, but for some
 * seconds; one that ends by itself ends the start. */
static void
first_is_waited_for(void **state)
{
	static const struct child_kind first = {
	    .name = "first", .n = 1, .first = true};
	struct child *c = &m.other[0];

	m.watchdog.looked_ms = UINT64_MAX; /* the clock stands */
	m.watchdog.clock_ms = 1000;
	assert_false(others_first(&m));
	c->kind = &first;
	assert_false(others_first(&m)); /* not while it serves */
	m.phase = PHASE_STARTING;
	assert_true(others_first(&m));
	c->ready = true;
	assert_false(others_first(&m));
	c->ready = false;
	m.watchdog.clock_ms = 10999;
	assert_true(others_first(&m));
	m.watchdog.clock_ms = 11000;
	assert_false(others_first(&m));
	assert_true(other_role.may_start(c));
	/* killed: it is not to blame */
	assert_true(other_role.died(c, &(struct child_end){.fault = false}));
	assert_true(other_role.died(
	    c, &(struct child_end){.fault = true, .unready = true}));
	assert_int_equal(m.status, 0);
}

/* One that sends what it should not is replaced, before it fills the log. */
static void
bad_message_is_the_last(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(link_send(end, MSG_RETIRED, NULL, 0, -1), 0);
	children_read(&m.other[0]);
	assert_int_equal(killed, 1);
	children_time(&m, 3);
	assert_int_equal(killed, 1);
}

/* Whether programs are there is asked before there is no way back: one that is
 * gone after an upgrade's rehearsal must not cost the daemon. */
static void
missing_program_is_no_end(void **state)
{
	char error[512] = "";

	assert_int_equal(others_check(&m, error, sizeof(error)), -1);
	assert_int_equal(others_init(&m, error, sizeof(error)), 0);
	close(m.nursery.pages);
}

/* A child of a kind that this program does not have is to leave, and its line
 * is no other child's until it has. */
static void
stranger_keeps_its_line(void **state)
{
	char error[512];

	m.other[0].kind = NULL;
	assert_int_equal(others_init(&m, error, sizeof(error)), 0);
	assert_int_equal(m.other[0].link, -1);
	assert_int_equal(m.other[0].pid, 1000001);
	assert_int_equal(m.n_others, 2);
	assert_ptr_equal(m.other[1].kind, &kind);
	assert_int_equal(m.other[1].at, SHM_WORKERS + 1);
	assert_false(children_died(&m, 1000001, 0));
	assert_true(others_stranger_died(&m, 1000001));
	assert_false(others_stranger_died(&m, 1000001));
	close(m.nursery.pages);
}

/* What others_init() makes of the kinds that need not be there. */
static void
init_some(bool want, uint8_t readers)
{
	char error[512] = "";

	child_kinds_use(some);
	wanted = want;
	m.limits.readers = readers;
	assert_int_equal(others_init(&m, error, sizeof(error)), 0);
	if (m.nursery.pages != -1)
		close(m.nursery.pages);
	m.nursery.pages = -1;
}

/* A kind that the configuration does not want has no children, nor has a reader
 * of the journal for which the memory was not made; and those that there are,
 * of the program before this one, leave. */
static void
only_what_is_wanted_is_there(void **state)
{
	char state_line[] = "reads 66 0 1000002 -1 1 1 0 0 0 0 0 0 0";

	child_unlink(&m.other[0]);
	memset(&m.other[0], 0, sizeof(m.other[0]));
	m.n_others = 0;
	init_some(false, 2);
	assert_int_equal(m.n_others, 0);
	init_some(true, 1);
	assert_int_equal(m.n_others, 2);
	assert_ptr_equal(m.other[0].kind, &maybe);
	assert_ptr_equal(m.other[1].kind, &maybe);
	assert_int_equal(others_reading(&m), 0);
	init_some(true, 2);
	assert_int_equal(m.n_others, 3);
	assert_ptr_equal(m.other[2].kind, &reads);
	assert_ptr_equal(m.other[2].line, &line[SHM_WORKERS + 2]);
	assert_int_equal(others_reading(&m), 4);

	memset(m.other, 0, sizeof(m.other));
	m.n_others = 0;
	assert_true(others_load(&m, state_line));
	assert_ptr_equal(m.other[2].kind, &reads);
	init_some(false, 2);
	assert_null(m.other[2].kind);
	assert_int_equal(m.other[2].pid, 1000002);
	assert_int_equal(others_reading(&m), 0);
	assert_true(others_stranger_died(&m, 1000002));
}

/* A kind's own user is found by name; without one, and where the master is not
 * root, it becomes the one that all do. */
static void
own_user_counts(void **state)
{
	struct bundle b = {.bytes = NULL};
	struct child *c = &m.other[0];
	struct identity is = {.uid = 0, .name = "reads"};

	c->kind = &reads;
	m.nursery.identity = &m.identity;
	m.identity = (struct identity){.drop = true, .uid = 7, .name = "all"};
	own_users_take(&m, &b);
	assert_null(c->identity);
	assert_int_equal(child_identity(c, &m.nursery)->uid, 7);
	assert_false(own_users_have(&m, 7));
	/* another name of root is none that it may become */
	assert_int_equal(
	    bundle_put(&b, BUNDLE_USER, "reads", 0, &is, sizeof(is)), 0);
	own_users_take(&m, &b);
	assert_null(c->identity);
	bundle_free(&b);
	is = (struct identity){.drop = true, .uid = 77, .name = "reads"};
	assert_int_equal(
	    bundle_put(&b, BUNDLE_USER, "reads", 0, &is, sizeof(is)), 0);
	m.identity.drop = false;
	own_users_take(&m, &b);
	assert_null(c->identity);
	m.identity.drop = true;
	own_users_take(&m, &b);
	assert_int_equal(child_identity(c, &m.nursery)->uid, 77);
	assert_true(own_users_have(&m, 77));
	assert_false(own_users_have(&m, 0));
	bundle_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		silence_ends_when_it_is_ready, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		first_is_waited_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		bad_message_is_the_last, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		missing_program_is_no_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		stranger_keeps_its_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		only_what_is_wanted_is_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(own_user_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
