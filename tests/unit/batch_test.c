/*
 * batch by both methods. The ring's calls are wrapped here (liburing is a
 * shared library, so these definitions come first), to refuse what an older
 * kernel would, and to fail in the middle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/batch.h"

static unsigned flags_refused; /* setup flags that "this kernel" lacks */
static int setup_error;	       /* what making a ring returns, 0 = it works */
static int submits_left = -1;  /* submissions before they fail, -1 = never */
static unsigned part;	       /* of a submission that goes out before that */
static int submits, setups;

static struct batch *batch;
static bool want_ring; /* which method the tests run by */
static bool ring_permitted;

/* The library's own function of that name. */
static void *
library_function(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL)
		abort();
	return f;
}

int
io_uring_queue_init_params(
    unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	int (*real)(unsigned, struct io_uring *, struct io_uring_params *) =
	    library_function("io_uring_queue_init_params");

	setups++;
	if (setup_error != 0)
		return setup_error;
	if (p->flags & flags_refused)
		return -EINVAL;
	return real(entries, ring, p);
}

int
io_uring_submit(struct io_uring *ring)
{
	int (*real)(struct io_uring *) = library_function("io_uring_submit");

	submits++;
	if (submits_left == 0) {
		unsigned tail = ring->sq.sqe_tail;

		ring->sq.sqe_tail = ring->sq.sqe_head + part;
		if (part > 0)
			real(ring);
		ring->sq.sqe_tail = tail;
		return -EBADF;
	}
	if (submits_left > 0)
		submits_left--;
	return real(ring);
}

/* What done was told, in order. */
static struct {
	uint64_t tag[BATCH_MAX];
	ssize_t result[BATCH_MAX];
	int n;
	int close_fd; /* closed by the first call, if not -1 */
} told;

static void
done_cb(void *arg, uint64_t tag, ssize_t result)
{
	assert_ptr_equal(arg, &told);
	if (told.close_fd != -1)
		close(told.close_fd);
	told.close_fd = -1;
	told.tag[told.n] = tag;
	told.result[told.n++] = result;
}

/* Flushes and expects so many results, in order of their tags. */
static void
flush_expect(int n)
{
	told.n = 0;
	batch_flush(batch, done_cb, &told);
	assert_int_equal(told.n, n);
	for (int i = 0; i < n; i++)
		assert_int_equal(told.tag[i], i);
	assert_int_equal(batch_count(batch), 0);
}

/* A stream socketpair whose first end takes little. */
static void
pair_make(int fd[2])
{
	const int size = 4096;

	assert_return_code(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), errno);
	assert_return_code(
	    setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
	    errno);
}

/* Closes a pair. */
static void
pair_close(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

/* Adds one write in one piece. */
static void
add_one(int fd, const void *bytes, size_t len, uint64_t tag)
{
	struct iovec iov = {(void *)bytes, len};

	batch_add(batch, fd, &iov, 1, tag);
}

/* Makes the batch by the method of the group. */
static int
setup(void **state)
{
	const char *why;

	submits_left = -1;
	flags_refused = 0;
	setup_error = 0;
	submits = 0;
	told.close_fd = -1;
	batch = batch_new(want_ring);
	if (batch == NULL)
		return -1;
	ring_permitted = strcmp(batch_method(batch, &why), "io_uring") == 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	batch_free(batch);
	return 0;
}

/* Leaves out what needs a ring where none is permitted. */
static void
ring_needed(void)
{
	if (want_ring && !ring_permitted)
		skip();
}

static void
method_is_told(void **state)
{
	const char *why = NULL, *method = batch_method(batch, &why);

	(void)state;
	ring_needed();
	assert_string_equal(method, want_ring ? "io_uring" : "sendmsg");
	assert_string_equal(why, "");
	assert_string_equal(batch_method(batch, NULL), method);
}

static void
writes_arrive(void **state)
{
	enum { N = 40 };
	struct iovec iov[BATCH_IOV];
	int fd[N][2];
	char got[64];

	(void)state;
	ring_needed();
	for (int i = 0; i < BATCH_IOV; i++)
		iov[i] = (struct iovec){(void *)&"0123456789abcdef"[i], 1};
	flush_expect(0);
	for (int n = 1; n <= N; n++) { /* each size of a flush */
		submits = 0;
		for (int i = 0; i < n; i++) {
			pair_make(fd[i]);
			batch_add(batch, fd[i][0], iov, i % BATCH_IOV + 1,
			    (uint64_t)i);
			assert_int_equal(batch_count(batch), i + 1);
		}
		memset(iov, 0, sizeof(iov)); /* the array may go at once */
		flush_expect(n);
		assert_int_equal(submits, want_ring && n >= 2);
		for (int i = 0; i < n; i++) {
			int len = i % BATCH_IOV + 1;

			assert_int_equal(told.result[i], len);
			assert_int_equal(
			    recv(fd[i][1], got, sizeof(got), 0), len);
			assert_memory_equal(got, "0123456789abcdef", len);
			pair_close(fd[i]);
		}
		for (int i = 0; i < BATCH_IOV; i++)
			iov[i] =
			    (struct iovec){(void *)&"0123456789abcdef"[i], 1};
	}
}

/* Reads all there is and compares it with the pattern that goes on at at. */
static ssize_t
pattern_read(int fd, const char *pattern, ssize_t at)
{
	static char got[256 * 1024];
	ssize_t r, n = 0;

	while ((r = recv(fd, got, sizeof(got), 0)) > 0) {
		assert_memory_equal(got, pattern + at + n, r);
		n += r;
	}
	return n;
}

static void
short_and_full(void **state)
{
	static char bytes[256 * 1024];
	int small[2], a[2], b[2];
	ssize_t first, at = 0;
	char c;

	(void)state;
	ring_needed();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	pair_make(small);
	pair_make(a);
	pair_make(b);
	while (at < (ssize_t)sizeof(bytes)) {
		struct iovec iov[2] = {
		    {bytes + at, (sizeof(bytes) - (size_t)at) / 3},
		    {bytes + at + (sizeof(bytes) - (size_t)at) / 3, 0}};

		iov[1].iov_len = sizeof(bytes) - (size_t)at - iov[0].iov_len;
		add_one(a[0], "a", 1, 0);
		if (iov[0].iov_len > 0)
			batch_add(batch, small[0], iov, 2, 1);
		else
			batch_add(batch, small[0], iov + 1, 1, 1);
		add_one(b[0], "b", 1, 2);
		flush_expect(3);
		first = told.result[1];
		assert_true(first > 0);
		assert_true(at > 0 || first < (ssize_t)sizeof(bytes));
		assert_int_equal(told.result[0], 1);
		assert_int_equal(told.result[2], 1);
		assert_int_equal(recv(a[1], &c, 1, 0), 1);
		assert_int_equal(recv(b[1], &c, 1, 0), 1);
		if (at + first < (ssize_t)sizeof(bytes)) {
			/* No room left: told, and nothing goes by itself. */
			add_one(a[0], "a", 1, 0);
			add_one(small[0], bytes, sizeof(bytes), 1);
			flush_expect(2);
			assert_int_equal(told.result[1], -EAGAIN);
			assert_int_equal(recv(a[1], &c, 1, 0), 1);
		}
		assert_int_equal(pattern_read(small[1], bytes, at), first);
		at += first;
	}
	pair_close(small);
	pair_close(a);
	pair_close(b);
}

static void
dead_peers(void **state)
{
	int dead[2], live[2];
	char c;

	(void)state;
	ring_needed();
	pair_make(dead);
	pair_make(live);
	close(dead[1]);
	add_one(live[0], "x", 1, 0);
	add_one(dead[0], "x", 1, 1);
	add_one(9999, "x", 1, 2);
	add_one(live[1], "y", 1, 3);
	flush_expect(4); /* and no SIGPIPE */
	assert_int_equal(told.result[0], 1);
	assert_int_equal(told.result[1], -EPIPE);
	assert_int_equal(told.result[2], -EBADF);
	assert_int_equal(told.result[3], 1);
	assert_int_equal(recv(live[0], &c, 1, 0), 1);
	assert_int_equal(c, 'y');
	add_one(dead[0], "x", 1, 0);
	flush_expect(1);
	assert_int_equal(told.result[0], -EPIPE);
	close(dead[0]);
	pair_close(live);
}

static void
done_may_close_another(void **state)
{
	int a[2], b[2];
	char c;

	(void)state;
	ring_needed();
	for (int n = 0; n < 2; n++) {
		pair_make(a);
		pair_make(b);
		told.close_fd = b[0];
		add_one(a[0], "a", 1, 0);
		add_one(b[0], "b", 1, 1);
		flush_expect(2);
		assert_int_equal(told.result[1], 1);
		assert_int_equal(recv(b[1], &c, 1, 0), 1);
		assert_int_equal(recv(b[1], &c, 1, 0), 0);
		pair_close(a);
		close(b[1]);
	}
}

static void
largest_flush(void **state)
{
	int fd[2];
	char c;
	struct iovec iov[BATCH_IOV];

	(void)state;
	ring_needed();
	pair_make(fd);
	for (int round = 0; round < 3; round++) {
		int n = 0;

		for (; !batch_full(batch); n++)
			add_one(round == 1 ? 9999 : fd[0], "x", 1, (uint64_t)n);
		assert_int_equal(n, BATCH_MAX);
		flush_expect(n);
		for (int i = 0; round == 1 && i < n; i++)
			assert_int_equal(told.result[i], -EBADF);
		while (recv(fd[1], &c, 1, 0) == 1)
			;
	}
	/* Large ones fill it sooner, and always leave room for one more. */
	for (int i = 0; i < BATCH_IOV; i++)
		iov[i] = (struct iovec){(void *)"y", 1};
	for (int n = 0; n <= BATCH_MAX; n++) {
		if (batch_full(batch)) {
			assert_true(n >= BATCH_MAX / 8);
			flush_expect(n);
			pair_close(fd);
			return;
		}
		batch_add(batch, fd[0], iov, BATCH_IOV, (uint64_t)n);
	}
	fail();
}

static void
older_kernels(void **state)
{
	const unsigned lacking[] = {IORING_SETUP_DEFER_TASKRUN,
	    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_COOP_TASKRUN,
	    ~0u};
	int fd[2];

	(void)state;
	ring_needed();
	for (int i = 0; i < 4; i++) {
		batch_free(batch);
		flags_refused = lacking[i];
		batch = batch_new(true);
		assert_string_equal(batch_method(batch, NULL), "io_uring");
		pair_make(fd);
		for (int k = 0; k < 4; k++) /* a bad one stops none */
			add_one(k == 1 ? 9999 : fd[0], "x", 1, (uint64_t)k);
		flush_expect(4);
		assert_int_equal(told.result[0], 1);
		assert_int_equal(told.result[1], -EBADF);
		assert_int_equal(told.result[3], 1);
		pair_close(fd);
	}
}

static void
not_permitted(void **state)
{
	const char *why;
	int fd[2];

	(void)state;
	batch_free(batch);
	setup_error = -EPERM;
	setups = 0;
	batch = batch_new(true);
	assert_string_equal(batch_method(batch, &why), "sendmsg");
	assert_string_equal(why, "Operation not permitted");
	assert_int_equal(setups, 1);
	pair_make(fd);
	add_one(fd[0], "x", 1, 0);
	add_one(fd[0], "y", 1, 1);
	flush_expect(2);
	assert_int_equal(told.result[1], 1);
	pair_close(fd);
	/* A ring that can be made and cannot send. */
	batch_free(batch);
	setup_error = 0;
	submits_left = 5; /* the sends and reads before */
	batch = batch_new(true);
	assert_string_equal(batch_method(batch, &why), "sendmsg");
	if (ring_permitted)
		assert_string_equal(why, "a short send was not told");
}

/* Of several sockets that are read at once one has something, one less than
 * there is room for, one more, one nothing, one its end. */
static void
reads(void **state)
{
	enum { N = 4, ROOM = 8 };
	static const char *const said[N] = {"hello", "some more text", "", ""};
	static const ssize_t result[N] = {5, ROOM, -EAGAIN, 0};
	char to[N][ROOM];
	struct batch_read r[N];
	int fd[N][2], i;

	(void)state;
	assert_int_equal(batch_receives(batch), want_ring && ring_permitted);
	for (i = 0; i < N; i++) {
		pair_make(fd[i]);
		if (*said[i] != '\0')
			assert_int_equal(
			    send(fd[i][0], said[i], strlen(said[i]), 0),
			    strlen(said[i]));
		r[i] = (struct batch_read){
		    .fd = fd[i][1], .to = {to[i], sizeof(to[i])}};
	}
	assert_int_equal(shutdown(fd[3][0], SHUT_WR), 0);
	batch_receive(batch, r, N);
	for (i = 0; i < N; i++) {
		assert_int_equal(r[i].result, result[i]);
		if (result[i] > 0)
			assert_memory_equal(to[i], said[i], result[i]);
		pair_close(fd[i]);
	}
}

static void
ring_fails_later(void **state)
{
	enum { N = 20 };
	int fd[N][2];
	char c;
	const char *why;

	(void)state;
	ring_needed();
	for (part = 0; part < N; part += 7) {
		batch_free(batch);
		submits_left = -1;
		batch = batch_new(true);
		submits_left = 0;
		for (int i = 0; i < N; i++) {
			pair_make(fd[i]);
			add_one(fd[i][0], "x", 1, (uint64_t)i);
		}
		flush_expect(N);
		assert_string_equal(batch_method(batch, &why), "sendmsg");
		assert_string_equal(why, "the ring failed");
		for (int i = 0; i < N; i++) { /* once, not twice */
			assert_int_equal(told.result[i], 1);
			assert_int_equal(recv(fd[i][1], &c, 1, 0), 1);
			assert_int_equal(recv(fd[i][1], &c, 1, 0), -1);
			pair_close(fd[i]);
		}
	}
}

int
main(void)
{
#define BATCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest both[] = {
	    BATCH_TEST(method_is_told),
	    BATCH_TEST(writes_arrive),
	    BATCH_TEST(short_and_full),
	    BATCH_TEST(dead_peers),
	    BATCH_TEST(done_may_close_another),
	    BATCH_TEST(largest_flush),
	    BATCH_TEST(reads),
	};
	const struct CMUnitTest ring[] = {
	    BATCH_TEST(older_kernels),
	    BATCH_TEST(not_permitted),
	    BATCH_TEST(ring_fails_later),
	};
	int failed;

	failed = cmocka_run_group_tests_name("sendmsg", both, NULL, NULL);
	want_ring = true;
	failed += cmocka_run_group_tests_name("io_uring", both, NULL, NULL);
	failed += cmocka_run_group_tests_name("ring", ring, NULL, NULL);
	return failed;
}
