#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/message.h"
#include "net/link.h"
#include "valgrind.h"

static int pair[2];
static struct link_datagram in[LINK_BATCH];

/* Gives each test a fresh link. */
static int
setup(void **state)
{
	(void)state;
	return link_pair(pair);
}

/* Closes what the test has left open. */
static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		if (pair[i] != -1)
			close(pair[i]);
	return 0;
}

/* Closes one end. */
static void
end_close(int i)
{
	close(pair[i]);
	pair[i] = -1;
}

/* The number of open descriptors. */
static int
descriptors_count(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Sends raw bytes with any number of descriptors, as a bad peer might. */
static void
raw_send(const void *bytes, size_t len, const int *passed, int n)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(300 * sizeof(int))];
	} control;
	struct iovec iov = {(void *)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(
		    CMSG_DATA(&control.head), passed, (size_t)n * sizeof(int));
	}
	assert_int_equal(sendmsg(pair[0], &msg, 0), len);
}

static void
pair_is_nonblocking_and_private(void **state)
{
	int size = 0;
	socklen_t len = sizeof(size);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(pair[i], F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(pair[i], F_GETFL) & O_NONBLOCK);
		assert_return_code(
		    getsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, &len),
		    errno);
		assert_true(size > 212992 || size >= LINK_BUFFER);
	}
	assert_int_equal(link_receive(pair[1], in), 0);
}

static void
message_arrives_whole(void **state)
{
	struct message_head head;

	(void)state;
	assert_int_equal(link_send(pair[0], MSG_SAY, "hello", 5, -1), 0);
	assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), 0);
	assert_int_equal(link_receive(pair[1], in), 2);
	assert_int_equal(in[0].len, sizeof(head) + 5);
	memcpy(&head, in[0].bytes, sizeof(head));
	assert_int_equal(head.type, MSG_SAY);
	assert_int_equal(head.length, 5);
	assert_memory_equal(
	    (const char *)in[0].bytes + sizeof(head), "hello", 5);
	assert_int_equal(in[0].fd, -1);
	assert_int_equal(in[0].n_fds, 0);
	assert_int_equal(in[1].len, sizeof(head));
}

static void
largest_message(void **state)
{
	static char bytes[MESSAGE_MAX];
	size_t room = MESSAGE_MAX - sizeof(struct message_head);

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(
	    link_send(pair[0], MSG_RELAY, bytes, room + 1, -1), -1);
	assert_int_equal(errno, EMSGSIZE);
	bytes[room - 1] = 'y';
	assert_int_equal(link_send(pair[0], MSG_RELAY, bytes, room, -1), 0);
	assert_int_equal(link_receive(pair[1], in), 1);
	assert_int_equal(in[0].len, MESSAGE_MAX);
	assert_int_equal(((const char *)in[0].bytes)[MESSAGE_MAX - 1], 'y');
	/* A longer datagram is garbage, and the next one is whole again. */
	static char longer[MESSAGE_MAX + 1];
	raw_send(longer, sizeof(longer), pair, 2);
	raw_send("next", 4, NULL, 0);
	int open = descriptors_count();
	assert_int_equal(link_receive(pair[1], in), 2);
	assert_int_equal(in[0].len, 0);
	assert_int_equal(in[0].fd, -1);
	assert_int_equal(in[0].n_fds, 2);
	assert_int_equal(in[1].len, 4);
	assert_int_equal(descriptors_count(), open);
}

static void
descriptor_stays_with_its_message(void **state)
{
	int pipes[2][2], open = descriptors_count();
	char c;

	(void)state;
	assert_return_code(pipe(pipes[0]), errno);
	assert_return_code(pipe(pipes[1]), errno);
	assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), 0);
	assert_int_equal(
	    link_send(pair[0], MSG_LINK, "AAAA", 4, pipes[0][1]), 0);
	assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), 0);
	assert_int_equal(
	    link_send(pair[0], MSG_LINK, "BBBB", 4, pipes[1][1]), 0);
	close(pipes[0][1]);
	close(pipes[1][1]);
	assert_int_equal(link_receive(pair[1], in), 4);
	assert_int_equal(in[0].fd, -1);
	assert_int_equal(in[2].fd, -1);
	for (int i = 0; i < 2; i++) {
		int fd = in[1 + 2 * i].fd;

		assert_int_equal(in[1 + 2 * i].n_fds, 1);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(write(fd, &"ab"[i], 1), 1);
		assert_int_equal(read(pipes[i][0], &c, 1), 1);
		assert_int_equal(c, "ab"[i]);
		close(fd);
		assert_int_equal(read(pipes[i][0], &c, 1), 0);
		close(pipes[i][0]);
	}
	assert_int_equal(descriptors_count(), open);
}

static void
surplus_descriptors_are_closed(void **state)
{
	int passed[253], open = descriptors_count();

	(void)state;
	for (int i = 0; i < 253; i++)
		passed[i] = pair[0];
	raw_send("x", 1, passed, 3);
	raw_send("y", 1, passed, 253);
	assert_int_equal(link_receive(pair[1], in), 2);
	assert_int_equal(in[0].n_fds, 3);
	assert_int_equal(in[1].n_fds, 253);
	assert_int_equal(in[0].len, 1);
	assert_int_equal(in[1].len, 1);
	assert_int_equal(descriptors_count(), open + 2);
	close(in[0].fd);
	close(in[1].fd);
}

static void
lost_descriptor_is_told(void **state)
{
	struct rlimit old, few;
	int r, next, passed[3] = {pair[0], pair[0], pair[0]}, open;

	(void)state;
	if (valgrind_runs())
		skip();
	raw_send("x", 1, passed, 3);
	raw_send("y", 1, NULL, 0);
	open = descriptors_count();
	next = dup(pair[0]);
	close(next);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &old), errno);
	few = old;
	few.rlim_cur = (rlim_t)next + 1; /* room for one of three */
	assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
	r = link_receive(pair[1], in);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &old), errno);
	assert_int_equal(r, 2);
	assert_true(in[0].lost);
	assert_int_equal(in[0].len, 1);
	assert_int_equal(in[0].n_fds, 0);
	assert_int_equal(in[0].fd, -1);
	assert_int_equal(in[1].len, 1);
	assert_int_equal(descriptors_count(), open);
}

static void
full_link(void **state)
{
	char bytes[512] = {0};
	struct iovec datagram[40];
	int sent = 0, got = 0, r;

	(void)state;
	while (link_send(pair[0], MSG_RELAY, bytes, sizeof(bytes), -1) == 0)
		sent++;
	assert_int_equal(errno, EAGAIN);
	assert_true(sent > 167);
	for (int i = 0; i < 40; i++)
		datagram[i] = (struct iovec){bytes, sizeof(bytes)};
	assert_int_equal(link_send_batch(pair[0], datagram, 40), 0);
	assert_int_equal(link_receive(pair[1], in), LINK_BATCH);
	/* A batch larger than the room goes in part. */
	r = link_send_batch(pair[0], datagram, 40);
	assert_true(r > 0 && r < 40);
	while ((got += link_receive(pair[1], in)) < sent - LINK_BATCH + r)
		;
	assert_int_equal(link_receive(pair[1], in), 0);
}

static void
batch_keeps_order(void **state)
{
	char text[40][4];
	struct iovec datagram[40];
	int at = 0, r;

	(void)state;
	for (int i = 0; i < 40; i++) {
		memset(text[i], 'A' + i, sizeof(text[i]));
		datagram[i] = (struct iovec){text[i], (size_t)i % 4 + 1};
	}
	assert_int_equal(link_send_batch(pair[0], datagram, 40), 40);
	assert_int_equal(link_send_batch(pair[0], datagram, 0), 0);
	while ((r = link_receive(pair[1], in)) > 0)
		for (int i = 0; i < r; i++, at++) {
			assert_int_equal(in[i].len, at % 4 + 1);
			assert_int_equal(*(const char *)in[i].bytes, 'A' + at);
		}
	assert_int_equal(r, 0);
	assert_int_equal(at, 40);
}

/* Receives an EOF, twice. */
static void
eof_expected(int fd)
{
	for (int i = 0; i < 2; i++) {
		errno = 77;
		assert_int_equal(link_receive(fd, in), -1);
		assert_int_equal(errno, 0);
	}
}

static void
eof_after_pending(void **state)
{
	(void)state;
	for (int i = 0; i < LINK_BATCH + 3; i++)
		assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), 0);
	end_close(0);
	assert_int_equal(link_receive(pair[1], in), LINK_BATCH);
	assert_int_equal(link_receive(pair[1], in), 3);
	eof_expected(pair[1]);
}

static void
eof_after_a_full_batch(void **state)
{
	(void)state;
	for (int i = 0; i < LINK_BATCH; i++)
		assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), 0);
	end_close(0);
	assert_int_equal(link_receive(pair[1], in), LINK_BATCH);
	eof_expected(pair[1]);
}

static void
eof_behind_a_reset(void **state)
{
	(void)state;
	/* The peer closes with unread data: ECONNRESET comes first. */
	assert_int_equal(link_send(pair[1], MSG_STOP, NULL, 0, -1), 0);
	assert_int_equal(link_send(pair[0], MSG_SAY, "last", 4, -1), 0);
	end_close(0);
	assert_int_equal(link_receive(pair[1], in), 1);
	assert_int_equal(in[0].len, sizeof(struct message_head) + 4);
	eof_expected(pair[1]);
}

static void
empty_datagram_is_no_eof(void **state)
{
	(void)state;
	raw_send("", 0, NULL, 0);
	raw_send("x", 1, NULL, 0);
	assert_int_equal(link_receive(pair[1], in), 2);
	assert_int_equal(in[0].len, 0);
	assert_int_equal(in[1].len, 1);
	for (int i = 0; i < LINK_BATCH; i++)
		raw_send("", 0, NULL, 0);
	assert_int_equal(link_receive(pair[1], in), LINK_BATCH);
	assert_int_equal(in[LINK_BATCH - 1].len, 0);
	assert_int_equal(link_receive(pair[1], in), 0);
	end_close(0);
	eof_expected(pair[1]);
}

static void
dead_peer(void **state)
{
	struct iovec datagram = {(void *)"x", 1};

	(void)state;
	end_close(1);
	assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, -1), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	assert_int_equal(link_send_batch(pair[0], &datagram, 1), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	eof_expected(pair[0]);
	assert_int_equal(link_send(pair[0], MSG_STOP, NULL, 0, 12345), -1);
	assert_int_equal(errno, EBADF);
}

int
main(void)
{
#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    LINK_TEST(pair_is_nonblocking_and_private),
	    LINK_TEST(message_arrives_whole),
	    LINK_TEST(largest_message),
	    LINK_TEST(descriptor_stays_with_its_message),
	    LINK_TEST(surplus_descriptors_are_closed),
	    LINK_TEST(lost_descriptor_is_told),
	    LINK_TEST(full_link),
	    LINK_TEST(batch_keeps_order),
	    LINK_TEST(eof_after_pending),
	    LINK_TEST(eof_after_a_full_batch),
	    LINK_TEST(eof_behind_a_reset),
	    LINK_TEST(empty_datagram_is_no_eof),
	    LINK_TEST(dead_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
