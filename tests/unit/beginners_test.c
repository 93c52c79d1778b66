/* beginners: processes that begin with connections are replaced in sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../src/master/beginners.h"
#include "../../src/master/children.h"
#include "../../src/master/others.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "codec/tls_files.h"
#include "master/roles.h"
#include "net/link.h"
#include "net/loop.h"

enum { PLACES = 4 };

static int kind_count(const struct conf *c);
static void kind_birth(const struct conf *c, void *out);
static const struct child_kind kind = {.name = "begins",
    .n = PLACES,
    .begins = true,
    .birth_bytes = sizeof(struct child_files),
    .count = kind_count,
    .birth = kind_birth};
static const struct child_row kinds[] = {{&kind, &beginner_role}, {NULL, NULL}};
static const struct options options = {.binary = "/nonexistent/sbin/chatd"};
static struct conf conf;
static struct master m;
static struct shm_line line[SHM_LINES];
static int wanted;
static pid_t forked; /* the last one */

/* How many there are to be. */
static int
kind_count(const struct conf *c)
{
	return wanted;
}

/* What one is told. */
static void
kind_birth(const struct conf *c, void *out)
{
	*(struct child_files *)out = (struct child_files){-1, -1};
}

/* In place of libc's: nobody is there. */
pid_t
fork(void)
{
	return ++forked;
}

int
kill(pid_t pid, int sig)
{
	return 0;
}

/* A master that serves, with free places. */
static int
setup(void **state)
{
	char error[256];

	child_kinds_use(kinds);
	memset(&m, 0, sizeof(m));
	beginners_init(&m);
	m.phase = PHASE_RUNNING;
	m.options = &options;
	m.conf = &conf;
	m.hub.line = line;
	m.base = loop_new();
	m.nursery.pages = m.nursery.log = m.nursery.program = -1;
	m.log.lines[1] = -1;
	m.watchdog.looked_ms = UINT64_MAX; /* the clock stands */
	m.watchdog.clock_ms = 1000;
	m.live.handshake_ms = 10000;
	m.beginners.look_ms = UINT64_MAX;
	forked = 1000000;
	wanted = 2;
	return others_init(&m, error, sizeof(error));
}

/* Gives all back. */
static int
teardown(void **state)
{
	for (int i = 0; i < m.n_others; i++) {
		children_ignore(&m.other[i]);
		child_unlink(&m.other[i]);
	}
	beginners_deinit(&m);
	event_base_free(m.base);
	return 0;
}

/* One is ready. */
static void
ready(int i)
{
	m.other[i].ready = true;
	beginner_role.hello(&m.other[i]);
}

/* One has ended. */
static void
dies(int i, int status)
{
	assert_true(children_died(&m, m.other[i].pid, status));
}

/* The set of each place, as digits; one that leaves has its letter. */
static void
sets_are(const char *sets)
{
	char have[PLACES + 1] = "";

	for (int i = 0; i < PLACES; i++)
		have[i] = (char)((m.beginners.at[i].leaves ? '@' : '0') +
		    (int)m.beginners.at[i].set);
	assert_string_equal(have, sets);
}

/* The first set comes by itself, another one beside it, and goes first if it
 * is not ready: then those that serve stay. */
static void
sets_follow_each_other(void **state)
{
	beginners_time(&m, 1000);
	sets_are("1100");
	assert_int_equal(forked, 1000002);
	assert_int_not_equal(m.beginners.at[1].kept, -1);
	assert_int_equal(m.beginners.at[2].kept, -1);
	ready(0);
	assert_int_equal(m.beginners.serves, 0);
	ready(1);
	assert_int_equal(m.beginners.serves, 1);
	assert_true(beginner_is_idle(&m.other[2]));

	/* one more, while the coming one is on its way: it comes next */
	assert_true(beginners_renew(&m));
	sets_are("1122");
	assert_true(beginners_renew(&m));
	ready(2);
	sets_are("1122");
	ready(3);
	assert_int_equal(m.beginners.serves, 2);
	sets_are("AA22");
	assert_true(m.beginners.again);
	dies(0, 0);
	sets_are("0A22");
	beginners_time(&m, 1000);
	sets_are("0A22");
	dies(1, 0);
	beginners_time(&m, 1000);
	sets_are("3322");

	/* it does not start */
	ready(0);
	dies(1, 1 << 8);
	assert_int_equal(m.beginners.serves, 2);
	assert_int_equal(m.beginners.comes, 0);
	assert_true(m.beginners.failed);
	sets_are("C022");
	dies(0, 0);
	sets_are("0022");
}

/* One that dies is followed by one that gets the same files; if it was not
 * ready, it reads them anew. */
static void
files_stay(void **state)
{
	int kept;

	beginners_time(&m, 1000);
	ready(0);
	ready(1);
	kept = m.beginners.at[0].kept;
	dies(0, SIGKILL);
	assert_int_equal(m.beginners.at[0].kept, kept);
	assert_int_not_equal(m.other[0].pid, 0);
	assert_false(m.beginners.at[0].ready);
	dies(0, 1 << 8);
	sets_are("1100");
	assert_int_not_equal(m.other[0].respawn_ms, 0);
	assert_int_equal(m.beginners.at[0].kept, -1);
}

/* A coming set has its time, as those have that leave. */
static void
times_end(void **state)
{
	beginners_time(&m, 1000);
	ready(0);
	ready(1);
	assert_true(beginners_renew(&m));
	beginners_time(&m, 20999);
	sets_are("1122");
	beginners_time(&m, 21000);
	sets_are("11BB");
	beginner_role.due(&m.other[2], 25999);
	assert_false(m.other[2].killed);
	beginner_role.due(&m.other[2], 26000);
	assert_true(m.other[2].killed);
	beginners_leave(&m);
	sets_are("AABB");
}

/* A key of tickets comes with the first set, and turns. */
static void
tickets_turn(void **state)
{
	struct tls_ticket_key old, key;

	beginners_time(&m, 1000);
	assert_true(tls_tickets_newest(m.beginners.ticket, &old));
	beginners_time(&m, 43200999);
	assert_true(tls_tickets_newest(m.beginners.ticket, &key));
	assert_memory_equal(&key, &old, sizeof(key));
	beginners_time(&m, 43201000);
	assert_true(tls_tickets_newest(m.beginners.ticket, &key));
	assert_memory_not_equal(&key, &old, sizeof(key));
	assert_true(tls_tickets_find(m.beginners.ticket, old.name, &key));
}

/* The state tells the next program of places, files and keys. */
static void
state_is_passed_on(void **state)
{
	char *text = NULL, *at, *line_end;
	struct beginner had[PLACES];
	int tickets;
	size_t len;
	FILE *f;

	beginners_time(&m, 1000);
	ready(0);
	ready(1);
	assert_true(beginners_stamp(&m, 77));
	f = open_memstream(&text, &len);
	for (int i = 0; i < PLACES; i++)
		beginner_role.save(&m.other[i], f);
	fclose(f);
	memcpy(had, m.beginners.at, sizeof(had));
	tickets = m.beginners.tickets;
	memset(m.beginners.at, 0, sizeof(m.beginners.at));
	m.beginners.serves = m.beginners.newest = 0;
	m.beginners.stamp = 0;
	m.beginners.tickets = -1;
	for (at = text; *at != '\0'; at = line_end + 1) {
		line_end = strchr(at, '\n');
		*line_end = '\0';
		if (strncmp(at, "child ", 6) == 0)
			continue;
		*strchr(at, ' ') = '\0';
		assert_int_equal(
		    beginner_role.load(&m, at, at + strlen(at) + 1),
		    CHILD_LOADED);
	}
	free(text);
	assert_int_equal(m.beginners.serves, 1);
	assert_int_equal(m.beginners.tickets, tickets);
	assert_false(beginners_stamp(&m, 77));
	assert_int_equal(m.beginners.at[1].kept, had[1].kept);
	sets_are("1100");
	assert_int_equal(
	    beginner_role.load(&m, "beginner", "32 1 1 0 0 -1 1 0"),
	    CHILD_SENSELESS);
	assert_int_equal(beginner_role.load(&m, "other", ""), CHILD_NOT_MINE);
	for (int i = 2; i < SHM_OTHERS; i++)
		m.beginners.at[i].kept = -1;
}

/* What a set says of its files counts once it serves; what ends soon is told
 * once a day, at once where nobody else has looked at the files. */
static void
ends_are_told(void **state)
{
	const uint64_t day = UINT64_C(1000) * TLS_DAY_S;
	const int64_t now = (int64_t)time(NULL);
	struct message_until said = {.n = 2,
	    .certificate = {now + 60 * TLS_DAY_S, now + TLS_DAY_S},
	    .staple = {0, now - 1}};
	const struct validity *v = &m.beginners.validity;
	char chain[] = "/etc/one.pem";

	m.conf->tls.n_certificates = 1;
	m.conf->tls.certificate[0].chain = chain;
	beginners_time(&m, 1000);
	ready(0);
	assert_null(beginner_role.message(&m.other[0], MSG_UNTIL, &said));
	assert_int_equal(validity_first(&m), 0);
	ready(1);
	assert_null(beginner_role.message(&m.other[1], MSG_UNTIL, &said));
	assert_int_equal(validity_first(&m), now + TLS_DAY_S);
	assert_string_equal(v->path[0], "/etc/one.pem");
	assert_null(v->path[1]);
	assert_int_equal(v->tell_ms, 1000 + day);
	validity_time(&m, 1000 + day - 1);
	assert_int_equal(v->tell_ms, 1000 + day);
	validity_time(&m, 1000 + day);
	assert_int_equal(v->tell_ms, 1000 + 2 * day);
	assert_non_null(beginner_role.message(&m.other[0], MSG_DONE, &said));

	/* by themselves */
	m.beginners.validity.untold = true;
	assert_true(beginners_renew(&m));
	said.n = 1;
	ready(2);
	ready(3);
	assert_null(beginner_role.message(&m.other[0], MSG_UNTIL, &said));
	assert_int_equal(validity_first(&m), now + TLS_DAY_S);
	assert_null(beginner_role.message(&m.other[3], MSG_UNTIL, &said));
	assert_int_equal(validity_first(&m), now + 60 * TLS_DAY_S);
	assert_int_equal(v->tell_ms, 1000);
	m.conf->tls.n_certificates = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		sets_follow_each_other, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_stay, setup, teardown),
	    cmocka_unit_test_setup_teardown(times_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_are_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(tickets_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		state_is_passed_on, setup, teardown)};

	return cmocka_run_group_tests_name("beginners", tests, NULL, NULL);
}
