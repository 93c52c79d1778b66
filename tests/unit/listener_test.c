#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"

static int fds[LISTENER_MAX], n_fds;
static char error[256];

/* Closes what a test has bound. */
static int
teardown(void **state)
{
	(void)state;
	while (n_fds > 0)
		close(fds[--n_fds]);
	return 0;
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

/* Whether this machine has ::1. */
static bool
machine_has_v6(void)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has =
	    fd != -1 && bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) == 0;

	if (fd != -1)
		close(fd);
	return has;
}

/* Binds an address that must work. */
static void
bind_ok(const char *address)
{
	error[0] = '\0';
	if (listener_bind(address, fds, &n_fds, error, sizeof(error)) == -1)
		fail_msg("%s: %s", address, error);
}

/* Binds one that must not, and looks for a part of the message. */
static void
bind_fails(const char *address, const char *part)
{
	int before = n_fds, open = descriptors_count();

	error[0] = '\0';
	assert_int_equal(
	    listener_bind(address, fds, &n_fds, error, sizeof(error)), -1);
	if (strstr(error, part) == NULL)
		fail_msg(
		    "%s: \"%s\" does not say \"%s\"", address, error, part);
	assert_int_equal(n_fds, before);
	assert_int_equal(descriptors_count(), open);
}

/* The name that the i-th socket is bound to. */
static const char *
bound_name(int i, char out[LISTENER_TEXT])
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_return_code(
	    getsockname(fds[i], (struct sockaddr *)&sa, &len), errno);
	return listener_name((struct sockaddr *)&sa, out);
}

/* The port of the i-th socket. */
static int
bound_port(int i)
{
	char name[LISTENER_TEXT];

	return atoi(strrchr(bound_name(i, name), ':') + 1);
}

/* The value of a socket option. */
static int
option_get(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_return_code(getsockopt(fd, level, option, &value, &len), errno);
	return value;
}

static void
localhost_is_both_loopbacks(void **state)
{
	char name[LISTENER_TEXT], want[LISTENER_TEXT];

	(void)state;
	bind_ok("localhost:0");
	assert_int_equal(n_fds, machine_has_v6() ? 2 : 1);
	assert_int_not_equal(bound_port(0), 0);
	snprintf(want, sizeof(want), "127.0.0.1:%d", bound_port(0));
	assert_string_equal(bound_name(0, name), want);
	if (n_fds == 2) {
		snprintf(want, sizeof(want), "[::1]:%d", bound_port(0));
		assert_string_equal(bound_name(1, name), want);
	}
}

static void
star_is_all_addresses(void **state)
{
	char name[LISTENER_TEXT], want[LISTENER_TEXT];

	(void)state;
	bind_ok("*:0");
	snprintf(want, sizeof(want), "0.0.0.0:%d", bound_port(0));
	assert_string_equal(bound_name(0, name), want);
	if (machine_has_v6()) {
		assert_int_equal(n_fds, 2);
		snprintf(want, sizeof(want), "[::]:%d", bound_port(0));
		assert_string_equal(bound_name(1, name), want);
		assert_int_equal(
		    option_get(fds[1], IPPROTO_IPV6, IPV6_V6ONLY), 1);
	}
}

static void
numeric_addresses(void **state)
{
	char name[LISTENER_TEXT];

	(void)state;
	bind_ok("127.0.0.1:0");
	assert_int_equal(n_fds, 1);
	assert_int_equal(strncmp(bound_name(0, name), "127.0.0.1:", 10), 0);
	bind_ok("127.9.8.7:0");
	assert_int_equal(n_fds, 2);
	if (machine_has_v6()) {
		bind_ok("[::1]:0");
		assert_int_equal(n_fds, 3);
		assert_int_equal(strncmp(bound_name(2, name), "[::1]:", 6), 0);
	}
}

static void
bad_addresses(void **state)
{
	(void)state;
	bind_fails("", "give host:port");
	bind_fails("localhost", "give host:port");
	bind_fails("localhost:", "give host:port");
	bind_fails(":8080", "give host:port");
	bind_fails("::1:8080", "brackets");
	bind_fails("[]:8080", "bad host");
	bind_fails("localhost:65536", "0 to 65535");
	bind_fails("localhost:-1", "0 to 65535");
	bind_fails("localhost:+1", "0 to 65535");
	bind_fails("localhost: 1", "0 to 65535");
	bind_fails("localhost:http", "0 to 65535");
	bind_fails("no-such-host.invalid:8080", "cannot resolve no-such-host");
	bind_fails("192.0.2.1:0", "192.0.2.1:0 is not one of this machine");
}

static void
taken_address(void **state)
{
	char address[LISTENER_TEXT], want[LISTENER_TEXT + 32];

	(void)state;
	bind_ok("127.0.0.1:0");
	assert_return_code(listener_listen(fds[0]), errno);
	snprintf(address, sizeof(address), "127.0.0.1:%d", bound_port(0));
	snprintf(want, sizeof(want), "address %s is taken", address);
	bind_fails(address, want);
	/* One of two taken: all or nothing. */
	snprintf(address, sizeof(address), "localhost:%d", bound_port(0));
	bind_fails(address, want);
	if (!machine_has_v6())
		return;
	bind_ok("[::1]:0");
	assert_return_code(listener_listen(fds[1]), errno);
	snprintf(address, sizeof(address), "localhost:%d", bound_port(1));
	snprintf(
	    want, sizeof(want), "address [::1]:%d is taken", bound_port(1));
	bind_fails(address, want);
}

static void
taken_between_bind_and_listen(void **state)
{
	char address[LISTENER_TEXT];

	(void)state;
	bind_ok("127.0.0.1:0");
	snprintf(address, sizeof(address), "127.0.0.1:%d", bound_port(0));
	bind_ok(address); /* SO_REUSEADDR: nobody listens yet */
	assert_return_code(listener_listen(fds[0]), errno);
	assert_int_equal(listener_listen(fds[1]), -1);
	assert_int_equal(errno, EADDRINUSE);
}

static void
no_permission(void **state)
{
	(void)state;
	/* root may bind anything: give it up for a moment */
	if (geteuid() == 0) {
		if (seteuid(65534) == -1)
			skip();
		errno = 0;
	}
	int r = listener_bind("127.0.0.1:1", fds, &n_fds, error, sizeof(error));

	if (geteuid() == 65534)
		assert_return_code(seteuid(0), errno);
	if (r == 0)
		skip(); /* ip_unprivileged_port_start is low here */
	assert_string_equal(error, "no permission to bind 127.0.0.1:1");
}

static void
too_many(void **state)
{
	(void)state;
	for (int i = 0; i < LISTENER_MAX; i++)
		bind_ok("127.0.0.1:0");
	bind_fails("127.0.0.1:0", "more than 16");
}

static void
descriptors_exhausted(void **state)
{
	struct rlimit old, none;

	(void)state;
	assert_return_code(getrlimit(RLIMIT_NOFILE, &old), errno);
	none = old;
	none.rlim_cur = 4;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
	int r = listener_bind("*:0", fds, &n_fds, error, sizeof(error));
	assert_return_code(setrlimit(RLIMIT_NOFILE, &old), errno);
	assert_int_equal(r, -1);
	assert_non_null(strstr(error, ": Too many open files"));
	assert_int_equal(n_fds, 0);
}

static void
options_are_inherited(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int client, accepted;

	(void)state;
	bind_ok("127.0.0.1:0");
	assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_return_code(
	    getsockname(fds[0], (struct sockaddr *)&sa, &len), errno);
	client = socket(AF_INET, SOCK_STREAM, 0);
	/* Bound is not listening: nobody gets in before it is time. */
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_return_code(listener_listen(fds[0]), errno);
	assert_return_code(connect(client, (struct sockaddr *)&sa, len), errno);
	accepted = accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
	assert_return_code(accepted, errno);
	assert_int_equal(option_get(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_get(accepted, SOL_SOCKET, SO_OOBINLINE), 1);
	close(accepted);
	close(client);
}

static void
names(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(80),
	    .sin_addr.s_addr = htonl(0x01020304)};
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(65535)};
	struct sockaddr sa = {.sa_family = AF_UNIX};
	char out[LISTENER_TEXT];

	(void)state;
	assert_string_equal(
	    listener_name((struct sockaddr *)&sin, out), "1.2.3.4:80");
	inet_pton(AF_INET6, "1111:2222:3333:4444:5555:6666:7777:8888",
	    &sin6.sin6_addr);
	assert_string_equal(listener_name((struct sockaddr *)&sin6, out),
	    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	assert_string_equal(listener_name(&sa, out), "?");
}

/* One process that shares a listener shuts it down, or makes it wait. */
static void
ended_by_another(void **state)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int other, flags, client = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(
	    listener_bind("127.0.0.1:0", fds, &n_fds, error, sizeof(error)), 0);
	getsockname(fds[0], (struct sockaddr *)&sin, &len);
	/* with a port of its own choice it would get another one */
	close(fds[0]);
	n_fds = 0;
	snprintf(error, sizeof(error), "127.0.0.1:%d", ntohs(sin.sin_port));
	assert_int_equal(
	    listener_bind(error, fds, &n_fds, error, sizeof(error)), 0);
	assert_int_equal(listener_listen(fds[0]), 0);
	assert_int_equal(listener_mend(fds[0]), 0);
	other = dup(fds[0]);
	assert_int_equal(shutdown(other, SHUT_RDWR), 0);
	assert_int_equal(
	    connect(client, (struct sockaddr *)&sin, sizeof(sin)), -1);
	assert_int_equal(listener_mend(fds[0]), 1);
	assert_int_equal(listener_mend(fds[0]), 0);
	close(client);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    connect(client, (struct sockaddr *)&sin, sizeof(sin)), 0);
	flags = fcntl(other, F_GETFL);
	fcntl(other, F_SETFL, flags & ~O_NONBLOCK);
	assert_int_equal(listener_mend(fds[0]), 1);
	assert_int_equal(fcntl(other, F_GETFL), flags);
	close(other);
	close(client);
	assert_int_equal(listener_mend(-1), -1);
	assert_int_equal(errno, EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(localhost_is_both_loopbacks, teardown),
	    cmocka_unit_test_teardown(star_is_all_addresses, teardown),
	    cmocka_unit_test_teardown(numeric_addresses, teardown),
	    cmocka_unit_test_teardown(bad_addresses, teardown),
	    cmocka_unit_test_teardown(taken_address, teardown),
	    cmocka_unit_test_teardown(taken_between_bind_and_listen, teardown),
	    cmocka_unit_test_teardown(no_permission, teardown),
	    cmocka_unit_test_teardown(too_many, teardown),
	    cmocka_unit_test_teardown(descriptors_exhausted, teardown),
	    cmocka_unit_test_teardown(options_are_inherited, teardown),
	    cmocka_unit_test_teardown(ended_by_another, teardown),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
