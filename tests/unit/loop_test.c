/* loop: where libevent's warnings go, and which its epoll set is. */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "net/loop.h"

static enum { LOWEST, HIGHER, KEPT } set_is;

/* In place of libc's. */
int
epoll_create1(int flags)
{
	int fd =
	    (int)syscall(SYS_epoll_create1, set_is == KEPT ? 0 : EPOLL_CLOEXEC);
	int higher;

	if (set_is != HIGHER)
		return fd;
	higher = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
	close(fd);
	return higher;
}

/* Nothing. */
static void
nothing_cb(int fd, short what, void *arg)
{
}

/* What libevent complains about is a line of our log, not of stderr. */
static void
test_warning(void **state)
{
	char path[] = "/tmp/chatd-loop-test-XXXXXX", line[512] = "";
	struct event_base *base;
	struct event *event;
	int fd = mkstemp(path), closed = dup(fd);
	FILE *f;

	assert_true(fd >= 0 && closed >= 0);
	assert_int_equal(log_open(LOG_TO_FILE, path), 0);
	assert_non_null(base = loop_new());
	assert_non_null(
	    event = event_new(base, closed, EV_READ, nothing_cb, NULL));
	close(closed);
	assert_int_equal(event_add(event, NULL), -1);
	event_free(event);
	event_base_free(base);
	assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
	assert_non_null(f = fdopen(fd, "r"));
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, "warning: libevent: Epoll ADD"));
	fclose(f);
	unlink(path);
}

/* The set is ready when one of the loop's events is; a number that is none, or
 * that the next program would have, is not told. */
static void
test_set(void **state)
{
	struct event_base *base;
	struct event *event;
	struct epoll_event e;
	int set, pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_non_null(base = loop_new_set(&set));
	assert_true(set >= 0);
	assert_non_null(
	    event = event_new(base, pipes[0], EV_READ, nothing_cb, NULL));
	assert_int_equal(event_add(event, NULL), 0);
	assert_int_equal(epoll_wait(set, &e, 1, 0), 0);
	assert_int_equal(write(pipes[1], "1", 1), 1);
	assert_int_equal(epoll_wait(set, &e, 1, 0), 1);
	event_free(event);
	event_base_free(base);
	for (set_is = HIGHER; set_is <= KEPT; set_is++) {
		assert_non_null(base = loop_new_set(&set));
		assert_int_equal(set, -1);
		event_base_free(base);
	}
	set_is = LOWEST;
	close(pipes[0]);
	close(pipes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_warning),
	    cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
