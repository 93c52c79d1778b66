/* links: who is linked with whom, and accused by whom, as the master sees to
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../../src/master/accuse.h"
#include "../../src/master/children.h"
#include "../../src/master/links.h"
#include "../../src/master/others.h"
#include "../../src/master/owed.h"
#include "../../src/master/private.h"
#include "codec/message.h"
#include "net/link.h"

enum { WORKERS = 2, READER = WORKERS, OTHER, ANSWERER, ALL };

static const struct child_kind worker_kind = {
    .name = "worker", .n = CHILD_CONFIGURED, .gets = CHILD_SECRETS};
static const struct child_kind reader_kind = {
    .name = "reader", .n = 1, .reader = 3};
static const struct child_kind other_kind = {.name = "other", .n = 1};
static const struct child_kind answerer_kind = {
    .name = "answerer", .n = 1, .answers = true};
static const struct child_row kinds[] = {{&worker_kind, &other_role},
    {&reader_kind, &other_role}, {&other_kind, &other_role},
    {&answerer_kind, &other_role}, {NULL, NULL}};
static struct master m;
static struct shm_line line[SHM_LINES];
static int end[ALL]; /* the children's of their links */
static pid_t killed;

/* Links that a child was given, and that the test has not taken. */
static struct given {
	int n;
	int peer[4], fd[4];
	bool answers[4];
} given[ALL];

/* In place of libc's. */
int
kill(pid_t pid, int sig)
{
	killed = pid;
	return 0;
}

/* The child of that number here. */
static struct child *
child(int i)
{
	return i < WORKERS ? &m.member[i].child : &m.other[i - READER];
}

/* Two workers, a reader of the journal and another child; none is ready. */
static int
setup(void **state)
{
	struct child *c;
	int fd[2];

	child_kinds_use(kinds);
	memset(&m, 0, sizeof(m));
	m.phase = PHASE_RUNNING;
	m.hub.line = line;
	m.n_workers = WORKERS;
	m.n_others = ALL - READER;
	for (int i = 0; i < ALL; i++) {
		c = child(i);
		child_init(c, i < WORKERS ? &kinds[0] : &kinds[1 + i - READER],
		    i < WORKERS ? i : 0,
		    i < WORKERS ? i : SHM_WORKERS + i - READER);
		c->role = &other_role;
		c->master = &m;
		c->budget = 8;
		c->pid = 1000000 + i;
		c->generation = 7 + (uint32_t)i;
		assert_int_equal(link_pair(fd), 0);
		c->link = fd[0];
		end[i] = fd[1];
		if (i < WORKERS) {
			m.member[i].master = &m;
			m.member[i].place = i;
		}
	}
	killed = 0;
	memset(given, 0, sizeof(given));
	return 0;
}

/* Gives back the links. */
static int
teardown(void **state)
{
	for (int i = 0; i < ALL; i++) {
		child_unlink(child(i));
		close(end[i]);
	}
	return 0;
}

/* A child says that it is ready. */
static void
hello(int i)
{
	const struct message_hello hello = {
	    (uint32_t)child(i)->number, child(i)->generation};

	assert_int_equal(
	    link_send(end[i], MSG_HELLO, &hello, sizeof(hello), -1), 0);
	children_read(child(i));
	assert_true(child(i)->ready);
}

/* Receives what a child is told: links, and nothing else. */
static void
receive(int i)
{
	struct given *g = &given[i];
	struct link_datagram d[LINK_BATCH];
	const struct message_link *link;
	const void *payload;
	const char *why;
	size_t len;
	int n = link_receive(end[i], d);

	for (int k = 0; k < n; k++) {
		assert_int_equal(message_check(d[k].bytes, d[k].len, d[k].n_fds,
				     PARTY_MASTER, &payload, &len, &why),
		    MSG_LINK);
		link = payload;
		g->peer[g->n] = (int)link->peer;
		g->answers[g->n] = len == sizeof(struct message_link_asked);
		g->fd[g->n++] = d[k].fd;
	}
}

/* Takes the next link, to that peer; -1: there is none. */
static int
took(int i, int peer)
{
	struct given *g = &given[i];
	int fd;

	receive(i);
	if (g->n == 0)
		return -1;
	assert_int_equal(g->peer[0], child(peer)->at);
	/* it is told who answers questions */
	assert_int_equal(g->answers[0], peer == ANSWERER);
	fd = g->fd[0];
	g->n--;
	memmove(&g->peer[0], &g->peer[1], sizeof(g->peer) - sizeof(int));
	memmove(&g->fd[0], &g->fd[1], sizeof(g->fd) - sizeof(int));
	memmove(&g->answers[0], &g->answers[1], sizeof(g->answers) - 1);
	return fd;
}

/* Both ends came, and are one link. */
static void
assert_linked(int a, int b)
{
	const int fd[2] = {took(a, b), took(b, a)};
	char byte;

	assert_true(fd[0] != -1 && fd[1] != -1);
	assert_int_equal(write(fd[0], "x", 1), 1);
	assert_int_equal(read(fd[1], &byte, 1), 1);
	close(fd[0]);
	close(fd[1]);
}

/* A reader is linked with workers, in whatever order they get ready, as these
 * are with each other and who answers questions is with them, and with nobody
 * else; nor is anybody with other children. */
static void
test_who(void **state)
{
	hello(OTHER);
	hello(0);
	assert_int_equal(took(0, OTHER), -1);
	hello(READER);
	assert_int_equal(took(OTHER, READER), -1);
	assert_linked(READER, 0);
	hello(1);
	/* in this order: the worker, then the reader */
	assert_linked(1, 0);
	assert_linked(1, READER);
	hello(ANSWERER);
	assert_linked(ANSWERER, 0);
	assert_linked(ANSWERER, 1);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(took(i, 1), -1);
}

/* What could not be done is tried again, until one of the two is gone. */
static void
test_again(void **state)
{
	const char filler[1024] = "";

	hello(0);
	while (link_send(child(READER)->link, MSG_CONF, filler, sizeof(filler),
		   -1) == 0)
		;
	assert_int_equal(errno, EAGAIN);
	hello(READER);
	assert_int_equal(child(READER)->unlinked, 1);
	/* the worker's end of it came */
	close(took(0, READER));
	children_time(&m, 2);
	assert_int_equal(child(READER)->unlinked, 1);
	close(took(0, READER));
	close(end[READER]);
	child_unlink(child(READER));
	{
		int fd[2];

		assert_int_equal(link_pair(fd), 0);
		child(READER)->link = fd[0];
		end[READER] = fd[1];
	}
	children_time(&m, 3);
	assert_int_equal(child(READER)->unlinked, 0);
	assert_linked(READER, 0);
	/* one that is gone is linked by its successor */
	child(READER)->unlinked = 3;
	child(0)->ready = false;
	children_time(&m, 4);
	assert_int_equal(child(READER)->unlinked, 0);
	assert_int_equal(took(READER, 0), -1);
}

/* A process begins with nothing to be tried again. */
static void
test_begin(void **state)
{
	struct child *c = child(READER);

	c->unlinked = 2;
	child_begin(c);
	assert_int_equal(c->unlinked, 0);
}

/* A worker accuses a reader, and who answers questions, as it does a worker,
 * and no other child. */
static void
test_accused(void **state)
{
	struct message_accuse a = {SHM_WORKERS, child(READER)->generation};

	assert_true(accuse_handle(&m.member[0], &a));
	assert_int_equal(killed, child(READER)->pid);
	assert_true(child(READER)->killed);
	killed = 0;
	a.generation--; /* replaced */
	assert_true(accuse_handle(&m.member[0], &a));
	a.generation += 2;
	assert_false(accuse_handle(&m.member[0], &a));
	a = (struct message_accuse){SHM_WORKERS + 1, child(OTHER)->generation};
	assert_false(accuse_handle(&m.member[0], &a));
	for (uint32_t at = 0; at < 2 * SHM_LINES; at++) {
		a = (struct message_accuse){at, 7};
		if (at != 0 && at != 1 && at != SHM_WORKERS &&
		    at != SHM_WORKERS + 2)
			assert_false(accuse_handle(&m.member[0], &a));
	}
	assert_int_equal(killed, 0);
	a = (struct message_accuse){
	    SHM_WORKERS + 2, child(ANSWERER)->generation};
	assert_true(accuse_handle(&m.member[0], &a));
	assert_int_equal(killed, child(ANSWERER)->pid);
	a = (struct message_accuse){1, child(1)->generation};
	assert_true(accuse_handle(&m.member[0], &a));
	assert_int_equal(killed, child(1)->pid);
}

/* A reader that is at fault in each of its processes costs no worker its own,
 * and is not replaced again and again. */
static void
test_accused_again(void **state)
{
	struct child *c = child(READER);

	for (int k = 0; k < 20; k++) {
		child_begin(c); /* its next process */
		killed = 0;
		assert_true(accuse_handle(&m.member[k % 2],
		    &(struct message_accuse){SHM_WORKERS, c->generation}));
		assert_int_equal(c->killed, k < 3);
		/* by others of the same */
		if (c->killed)
			assert_true(accuse_handle(&m.member[1 - k % 2],
			    &(struct message_accuse){
				SHM_WORKERS, c->generation}));
		assert_int_equal(killed, k < 3 ? c->pid : 0);
		assert_false(m.member[k % 2].child.killed);
	}
	c->accused_ms -= 60 * 1000; /* long ago */
	c->killed = false;
	assert_true(accuse_handle(&m.member[0],
	    &(struct message_accuse){SHM_WORKERS, c->generation}));
	assert_true(c->killed);
}

/* What is secret of the settings is told to who judges by it alone. */
static void
test_secrets(void **state)
{
	const struct conf_live live = {.token_key = "secret",
	    .api_key = "secret",
	    .token_issuer = "issuer"};
	static const char hex[] = "736563726574", issuer[] = "697373756572";
	struct link_datagram d[LINK_BATCH];

	m.live = live;
	for (int i = 0; i < ALL; i++) {
		owed_add(child(i), OWED_CONF);
		assert_int_equal(link_receive(end[i], d), 1);
		assert_non_null(memmem(d[0].bytes, d[0].len, issuer, 12));
		assert_true((memmem(d[0].bytes, d[0].len, hex, 12) != NULL) ==
		    (i < WORKERS));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_who, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_begin, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_accused, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_accused_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
