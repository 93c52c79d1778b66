/* loop: where libevent's warnings go. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "net/loop.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
