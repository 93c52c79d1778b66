/* counters: what the kernel says of a socket in each state that a connection
 * over TCP can be in. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/counters.h"

enum { WAIT_MS = 5000, LOOKS = 50000 };

/* Our end, and the peer's. */
static int ours, peers;

/* A connection over the loopback; a few KiB fill it. */
static void
come(void)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	const int small = 4096;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(
	    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
	    0);
	assert_int_equal(bind(listener, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&a, &len), 0);
	peers = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    setsockopt(peers, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	assert_int_equal(connect(peers, (void *)&a, sizeof(a)), 0);
	ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(ours >= 0);
	close(listener);
}

static void
go(void)
{
	close(ours);
	if (peers >= 0)
		close(peers);
}

static void
nap(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	nanosleep(&t, NULL);
}

/* Waits until our end is in a state of the kernel's. */
static void
until(uint8_t state)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int k;

	for (k = 0; k < WAIT_MS; k++) {
		assert_int_equal(
		    getsockopt(ours, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
		if (info.tcpi_state == state)
			return;
		nap();
	}
	fail_msg("state %d instead of %d", info.tcpi_state, state);
}

/* Waits until so many bytes can be read. */
static void
until_in(size_t n)
{
	static char bytes[65536];
	struct pollfd p = {.fd = ours, .events = POLLIN};

	assert_true(n <= sizeof(bytes));
	for (;;) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		if (recv(ours, bytes, n, MSG_PEEK) == (ssize_t)n)
			return;
		nap();
	}
}

/* Fills the connection; returns how many bytes it took. */
static uint64_t
fill(void)
{
	static const char bytes[1000];
	uint64_t sent = 0;
	ssize_t n;

	while ((n = send(ours, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0)
		sent += (uint64_t)n;
	assert_int_equal(errno, EAGAIN);
	assert_true(sent > 0);
	return sent;
}

/* Looks in both ways. */
static void
look(uint64_t read, uint64_t written, bool fin_sent)
{
	struct counters k;

	assert_int_equal(counters_read(ours, false, &k), 0);
	assert_int_equal(k.read, 0);
	assert_int_equal(k.written, written);
	assert_int_equal(k.fin_sent, fin_sent);
	assert_false(k.closed);
	assert_int_equal(counters_read(ours, true, &k), 0);
	assert_int_equal(k.read, read);
	assert_int_equal(k.written, written);
	assert_int_equal(k.fin_sent, fin_sent);
	assert_false(k.closed);
}

static void
look_closed(void)
{
	struct counters k;

	assert_int_equal(counters_read(ours, false, &k), 0);
	assert_true(k.closed);
	assert_int_equal(counters_read(ours, true, &k), 0);
	assert_true(k.closed);
}

/* Sends from there, and reads here, some of it. */
static void
hear(size_t n, size_t reads)
{
	static char bytes[4096];

	if (n > 0)
		assert_int_equal(send(peers, bytes, n, 0), n);
	until_in(n);
	assert_int_equal(recv(ours, bytes, reads, 0), reads);
}

/* Open: nothing, unread input, output that is acknowledged and that is not. */
static void
test_open(void **state)
{
	uint64_t sent;

	come();
	look(0, 0, false);
	assert_true(counters_untouched(ours));
	hear(100, 0);
	look(0, 0, false);
	assert_true(counters_untouched(ours));
	hear(0, 30);
	look(30, 0, false);
	assert_false(counters_untouched(ours));
	assert_int_equal(send(ours, "123", 3, 0), 3);
	look(30, 3, false);
	sent = 3 + fill();
	look(30, sent, false);
	go();
}

/* The peer says that it sends no more, with unread input and unsent output. */
static void
test_fin_heard(void **state)
{
	uint64_t sent;

	come();
	hear(100, 40);
	assert_int_equal(shutdown(peers, SHUT_WR), 0);
	until(TCP_CLOSE_WAIT);
	look(40, 0, false);
	hear(0, 60);
	look(100, 0, false);
	sent = fill();
	look(100, sent, false);
	/* and we do so, which waits behind that */
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	until(TCP_LAST_ACK);
	look(100, sent, true);
	go();
}

/* We say so first: it is sent behind what waits, then acknowledged. */
static void
test_fin_sent(void **state)
{
	static char bytes[4096];
	uint64_t sent, got = 0;
	ssize_t n;

	come();
	hear(100, 40);
	sent = fill();
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	until(TCP_FIN_WAIT1);
	look(40, sent, true);
	while ((n = recv(peers, bytes, sizeof(bytes), 0)) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, sent);
	until(TCP_FIN_WAIT2);
	look(40, sent, true);
	assert_int_equal(send(peers, bytes, 10, 0), 10);
	until_in(70);
	look(40, sent, true);
	go();
}

/* Both say so while output waits. */
static void
test_both(void **state)
{
	uint64_t sent;

	come();
	sent = fill();
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	until(TCP_FIN_WAIT1);
	hear(100, 40);
	assert_int_equal(shutdown(peers, SHUT_WR), 0);
	until(TCP_CLOSING);
	look(40, sent, true);
	go();
}

/* No connection any more: reset, or both ends have said so and are heard. */
static void
test_closed(void **state)
{
	const struct linger now = {.l_onoff = 1};

	come();
	hear(100, 40);
	assert_int_equal(
	    setsockopt(peers, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(peers);
	peers = -1;
	until(TCP_CLOSE);
	look_closed();
	assert_false(counters_untouched(ours));
	go();
	come();
	assert_int_equal(shutdown(peers, SHUT_WR), 0);
	until(TCP_CLOSE_WAIT);
	assert_int_equal(shutdown(ours, SHUT_WR), 0);
	until(TCP_CLOSE);
	look_closed();
	go();
}

/* What is no TCP connection says so, and is none that was accepted. */
static void
test_others(void **state)
{
	const int other[] = {-1, STDIN_FILENO, epoll_create1(0),
	    socket(AF_INET, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
	struct counters k;

	for (size_t n = 0; n < sizeof(other) / sizeof(other[0]); n++) {
		assert_int_equal(counters_read(other[n], true, &k), -1);
		assert_int_equal(counters_read(other[n], false, &k), -1);
		assert_false(counters_untouched(other[n]));
		if (n > 1)
			close(other[n]);
	}
}

/* While the peer sends and reads as fast as it can, what is read and written
 * here does not change. */
static void
test_meanwhile(void **state)
{
	static char bytes[4096];
	uint64_t sent = 0, read = 0, full = 0;
	struct counters k;
	ssize_t n;
	pid_t pid;
	int looks;

	come();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			(void)!send(peers, bytes, 100, MSG_DONTWAIT);
			(void)!recv(peers, bytes, sizeof(bytes), MSG_DONTWAIT);
		}
	}
	for (looks = 0; looks < LOOKS; looks++) {
		n = recv(ours, bytes, sizeof(bytes), 0);
		read += n > 0 ? (uint64_t)n : 0;
		n = looks < LOOKS / 2 ? 0 : send(ours, bytes, 200, 0);
		sent += n > 0 ? (uint64_t)n : 0;
		assert_int_equal(counters_read(ours, false, &k), 0);
		assert_int_equal(k.written, sent);
		assert_int_equal(counters_read(ours, true, &k), 0);
		assert_int_equal(k.read, read);
		assert_int_equal(k.written, sent);
		full += n < 0;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(read > 0 && sent > 0);
	print_message(
	    "%d looks, %d of them with a full queue\n", looks, (int)full);
	go();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_fin_heard),
	    cmocka_unit_test(test_fin_sent),
	    cmocka_unit_test(test_both),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
