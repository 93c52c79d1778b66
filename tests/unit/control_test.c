/* control: what a client of the control socket is answered, at once, in parts
 * and later; what it cannot keep others from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "../../src/master/client.h"
#include "../../src/master/command.h"
#include "../../src/master/private.h"
#include "base/clock.h"
#include "master/control.h"
#include "master/report.h"

enum {
	LIMIT_MS = 300, /* instead of CONTROL_CLIENT_MS */
	LATER_MS = 600, /* instead of CONTROL_LATER_MS */
	WHOLE_MS = 10000,
	PARTS = 40,
	PART = 20000 /* bytes */
};

/* What the next command does, and what it was given. */
static enum { SAYS, REFUSES, REPORTS, FAILS, WAITS, FINISHES } command;
static struct control_wait *wait_of;
static int n_commands, n_parts;

static struct master *m;
static struct control *c;
static char path[64];

/* A report of PARTS parts, in the place of report.c's. */
struct report {
	int at;
	bool fails;
};

struct report *
report_new(struct master *none, const char *what, bool json)
{
	return calloc(1, sizeof(struct report));
}

void
report_free(struct report *r)
{
	free(r);
}

int
report_more(struct report *r, struct evbuffer *out)
{
	char text[PART];

	if (r->fails && r->at == PARTS / 2)
		return -1;
	memset(text, 'a' + r->at % 26, sizeof(text));
	assert_int_equal(evbuffer_add(out, text, sizeof(text)), 0);
	n_parts++;
	return ++r->at < PARTS;
}

void
report_bury(struct master *none, int worker)
{
}

/* In the place of command.c's. */
void
command_run(struct master *none, bool json, int argc, char **argv, uid_t uid,
    struct answer *a)
{
	n_commands++;
	a->refused = command == REFUSES;
	evbuffer_add_printf(a->text, "%s", argv[argc - 1]);
	if (command == REPORTS || command == FAILS) {
		a->report = report_new(none, "x", json);
		a->report->fails = command == FAILS;
	}
	if (command == WAITS || command == FINISHES) {
		wait_of = control_later(a->client);
		assert_non_null(wait_of);
	}
	if (command == FINISHES)
		control_finish(wait_of, false, "not now: %d", 7);
}

/* A turn of the loop, which waits for 10 ms at most. */
static void
turn(void)
{
	const struct timeval nap = {.tv_usec = 10000};

	event_base_loopexit(m->base, &nap);
	event_base_loop(m->base, EVLOOP_ONCE);
}

/* A connection to the control socket. */
static int
connection(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

/* One that has said "text", "do", word. */
static int
asked(const char *word)
{
	char bytes[128];
	const uint32_t len = (uint32_t)sizeof("text") + sizeof("do") +
	    (uint32_t)strlen(word) + 1;
	int fd = connection(), before = n_commands;
	uint64_t limit = clock_ms() + WHOLE_MS;

	memcpy(bytes, &len, sizeof(len));
	memcpy(bytes + 4, "text\0do", 8);
	strlcpy(bytes + 12, word, sizeof(bytes) - 12);
	assert_int_equal(send(fd, bytes, 4 + len, 0), 4 + len);
	while (n_commands == before && clock_ms() < limit)
		turn();
	assert_int_equal(n_commands, before + 1);
	return fd;
}

/* Reads up to that many bytes, or what comes until EOF. Returns how many. */
static size_t
got(int fd, char *reply, size_t size)
{
	uint64_t limit = clock_ms() + WHOLE_MS;
	size_t len = 0;
	ssize_t n;

	while (len < size && clock_ms() < limit) {
		turn();
		n = recv(fd, reply + len, size - len, MSG_DONTWAIT);
		if (n == 0)
			return len;
		if (n > 0)
			len += (size_t)n;
	}
	assert_int_equal(len, size);
	return len;
}

/* The whole reply is that, with its end mark if whole. */
static void
replied(int fd, const char *text)
{
	char reply[256] = "";
	size_t len = got(fd, reply, sizeof(reply));

	assert_string_equal(reply, text);
	assert_int_equal(len, strlen(text) + 1);
	close(fd);
}

/* Whether the socket ends within twice that; anything that comes before is
 * passed over. */
static uint64_t
ends_after_ms(int fd, bool reads)
{
	uint64_t begin = clock_ms();
	char byte[4096];

	while (clock_ms() < begin + WHOLE_MS) {
		turn();
		if (recv(fd, byte, sizeof(byte),
			MSG_DONTWAIT | (reads ? 0 : MSG_PEEK)) == 0)
			break;
		if (!reads && control_is_idle(c))
			break;
	}
	return clock_ms() - begin;
}

static void
test_at_once(void **state)
{
	command = SAYS;
	replied(asked("hello"), "0hello");
	replied(asked(""), "0");
	command = REFUSES;
	replied(asked("no"), "1no");
}

/* It takes many times LIMIT_MS, but goes on all the time. */
static void
test_slow_reader(void **state)
{
	const size_t size = 1 + sizeof("list") - 1 + PARTS * (size_t)PART + 1;
	char *reply = malloc(size + 1);
	uint64_t begin = clock_ms(), next = begin;
	size_t len = 0, part = size / 20;
	int fd;

	command = REPORTS;
	fd = asked("list");
	while (len < size) {
		if (clock_ms() < next) {
			turn();
			continue;
		}
		next = clock_ms() + LIMIT_MS / 4;
		if (part > size - len)
			part = size - len;
		assert_int_equal(got(fd, reply + len, part), part);
		len += part;
	}
	assert_true(clock_ms() - begin > 4 * LIMIT_MS);
	assert_memory_equal(reply, "0list", 5);
	for (size_t i = 0; i < PARTS * (size_t)PART; i++)
		assert_int_equal(reply[5 + i], 'a' + i / PART % 26);
	assert_int_equal(reply[size - 1], CONTROL_END);
	assert_int_equal(got(fd, reply, 1), 0);
	close(fd);
	free(reply);
}

/* The end mark is missing, and others were answered meanwhile. */
static void
test_stopped_reader(void **state)
{
	char reply[4096];
	uint64_t begin = clock_ms();
	ssize_t n, last = 0;
	size_t len = 0;
	int fd;

	command = REPORTS;
	n_parts = 0;
	fd = asked("list");
	command = SAYS;
	replied(asked("others"), "0others");
	assert_in_range(ends_after_ms(fd, false), LIMIT_MS / 2, 4 * LIMIT_MS);
	/* a clock tick less than the limit may have gone */
	assert_in_range(clock_ms() - begin, LIMIT_MS - 10, 10 * LIMIT_MS);
	/* What is made is what the socket takes, and little more. */
	assert_in_range(n_parts, 1, PARTS / 2);
	while ((n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT)) > 0) {
		len += (size_t)n;
		last = reply[n - 1];
	}
	assert_int_equal(n, 0);
	assert_in_range(len, 1, PARTS * (size_t)PART);
	assert_int_not_equal(last, CONTROL_END);
	close(fd);
}

/* A report that cannot be made to its end. */
static void
test_no_memory(void **state)
{
	const size_t size = 5 + PARTS / 2 * (size_t)PART;
	char *reply = malloc(size + 1);
	int fd;

	command = FAILS;
	fd = asked("list");
	assert_int_equal(got(fd, reply, size + 1), size);
	assert_int_not_equal(reply[size - 1], CONTROL_END);
	close(fd);
	free(reply);
}

static void
test_no_request(void **state)
{
	char byte = 9;
	int fd = connection();

	assert_int_equal(send(fd, &byte, 1, 0), 1);
	assert_in_range(ends_after_ms(fd, true), LIMIT_MS / 2, 4 * LIMIT_MS);
	close(fd);
}

static void
test_too_many(void **state)
{
	int fd[CONTROL_CLIENTS + 1];

	for (int i = 0; i < CONTROL_CLIENTS; i++)
		fd[i] = connection();
	fd[CONTROL_CLIENTS] = connection();
	replied(fd[CONTROL_CLIENTS], "1too many requests at once");
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		close(fd[i]);
	while (!control_is_idle(c))
		turn();
}

static void
test_later(void **state)
{
	char byte;
	int fd;

	command = WAITS;
	fd = asked("x");
	for (int i = 0; i < 3; i++)
		turn();
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_true(control_is_idle(c));
	control_finish(wait_of, true, "worker %d", 3);
	assert_false(control_is_idle(c));
	replied(fd, "0worker 3");
	fd = asked("x");
	control_finish(wait_of, false, "no keeper");
	replied(fd, "1no keeper");
	fd = asked("x");
	control_finish(wait_of, true, NULL);
	replied(fd, "0");
	command = FINISHES;
	replied(asked("x"), "1not now: 7");
	control_finish(NULL, true, "nobody asked");
}

/* Its end comes when the client has left, or has been told. */
static void
test_later_alone(void **state)
{
	int fd;

	command = WAITS;
	fd = asked("x");
	close(fd);
	for (int i = 0; i < 5; i++)
		turn();
	control_finish(wait_of, true, "done");
	fd = asked("x");
	control_settle(c, "leaving");
	control_finish(wait_of, true, "done");
	replied(fd, "1leaving");
	fd = asked("x");
	replied(fd, "1not done within 0 s; chatd goes on with it");
	control_finish(wait_of, true, "done");
	command = SAYS;
	replied(asked("others"), "0others");
	assert_true(control_is_idle(c));
}

/* A client that left freed its place. */
static void
test_left_while_waiting(void **state)
{
	struct control_wait *all[2 * CONTROL_CLIENTS];
	int fd;

	command = WAITS;
	for (int i = 0; i < 2 * CONTROL_CLIENTS; i++) {
		fd = asked("x");
		all[i] = wait_of;
		close(fd);
		for (int k = 0; k < 3; k++)
			turn();
	}
	for (int i = 0; i < 2 * CONTROL_CLIENTS; i++)
		control_finish(all[i], true, "done");
}

static int
setup(void **state)
{
	char error[256];

	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	m->base = event_base_new();
	assert_non_null(m->base);
	snprintf(path, sizeof(path), "/tmp/chatd-control-%d", (int)getpid());
	c = control_open(m, command_run, path, error, sizeof(error));
	assert_non_null(c);
	control_set_limits(c, LIMIT_MS, LATER_MS);
	return control_start(c);
}

static int
teardown(void **state)
{
	control_close(c);
	event_base_free(m->base);
	free(m);
	return access(path, F_OK) == 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_at_once),
	    cmocka_unit_test(test_slow_reader),
	    cmocka_unit_test(test_stopped_reader),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_no_request),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_later),
	    cmocka_unit_test(test_later_alone),
	    cmocka_unit_test(test_left_while_waiting),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
