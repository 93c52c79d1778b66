/* handed: connections on their way to workers, which take them, refuse them, or
 * die. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/handshaker/handed.h"
#include "codec/message.h"
#include "net/link.h"

static struct handed table;
static int other; /* a worker's end of its link */

/* A connection over TCP. */
static int
tcp(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c, fd;

	assert_int_equal(bind(l, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(l, 1), 0);
	getsockname(l, (struct sockaddr *)&a, &n);
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, n), 0);
	assert_true((fd = accept(l, NULL, NULL)) >= 0);
	close(l); /* the client's end stays open */
	return fd;
}

static int
give(void)
{
	const struct tls_birth b = {.suite = TLS_AES_128};
	const struct handed_what what = {.fd = tcp(), .birth = &b};

	assert_int_equal(handed_give(&table, &what, 0), 0);
	return what.fd;
}

static void
worker(int k)
{
	int fd[2];

	assert_int_equal(link_pair(fd), 0);
	handed_link(&table, k, fd[0]);
	other = fd[1];
}

static void
say(int k, uint64_t number, uint32_t taken, uint32_t room)
{
	const struct message_room m = {
	    .number = number, .taken = taken, .room = room};

	assert_int_equal(link_send(other, MSG_ROOM, &m, sizeof(m), -1), 0);
	assert_true(handed_read(&table, k, 0));
}

/* What the worker gets: its number; 0: nothing. */
static uint64_t
got(uint32_t again)
{
	struct link_datagram d[LINK_BATCH];
	struct message_begun m;
	const void *payload;
	const char *why;
	size_t len;

	if (link_receive(other, d) != 1)
		return 0;
	assert_int_equal(message_check(d[0].bytes, d[0].len, d[0].n_fds,
			     PARTY_BEGINNER, &payload, &len, &why),
	    MSG_BEGUN);
	memcpy(&m, payload, sizeof(m));
	assert_int_equal(m.again, again);
	close(d[0].fd);
	return m.number;
}

static void
test_all(void **state)
{
	uint64_t n;
	int fd, first;

	handed_init(&table);
	assert_int_equal(handed_room(&table), 0);
	give(); /* waits for a worker */
	worker(3);
	assert_int_equal(got(0), 0); /* without room it gets nothing */
	say(3, 0, 0, 2);
	n = got(0);
	assert_int_equal(n, 1);
	assert_int_equal(handed_room(&table), 1);
	assert_int_equal(table.n, 1);
	/* it dies before it answers: its successor gets it again */
	close(other);
	assert_false(handed_read(&table, 3, 0));
	handed_unlink(&table, 3);
	worker(3);
	assert_int_equal(got(1), 1);
	say(3, 1, 1, 2);
	assert_int_equal(table.n, 0);
	assert_int_equal(table.n_taken, 1);
	/* what it said before it died is heard: its successor is not asked */
	give();
	assert_int_equal(got(0), 2);
	assert_int_equal(link_send(other, MSG_ROOM,
			     &(struct message_room){.number = 2, .taken = 1},
			     sizeof(struct message_room), -1),
	    0);
	close(other);
	worker(3);
	assert_int_equal(got(1), 0);
	assert_int_equal(table.n_taken, 2);
	say(3, 0, 0, 2);
	/* refused: given again while nothing was read, then closed */
	fd = give();
	assert_int_equal(got(0), 3);
	say(3, 3, 0, 2);
	assert_int_equal(got(0), 3);
	say(3, 3, 0, 2);
	assert_int_equal(got(0), 3);
	say(3, 3, 0, 2);
	assert_int_equal(table.n, 0);
	assert_int_equal(table.n_closed, 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	/* one that was written to is given to nobody else */
	fd = give();
	assert_int_equal(got(0), 4);
	assert_int_equal(write(fd, "x", 1), 1);
	say(3, 4, 0, 2);
	assert_int_equal(table.n, 0);
	/* no answer: closed in the end */
	give();
	assert_int_equal(got(0), 5);
	handed_time(&table, HANDED_MS - 1);
	assert_int_equal(table.n, 1);
	handed_time(&table, HANDED_MS);
	assert_int_equal(table.n, 0);
	/* a worker that leaves reads no more: another one gets it */
	first = other;
	assert_int_equal(shutdown(first, SHUT_RD), 0);
	worker(4);
	say(4, 0, 0, 2);
	assert_int_equal(table.worker[3].room, 2);
	give();
	assert_int_equal(got(0), 6);
	assert_int_equal(table.worker[3].room, 0);
	say(4, 6, 1, 2);
	assert_int_equal(table.n, 0);
	handed_deinit(&table);
	close(first);
	close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
