/* host: who is turned away where names are not proved, and with what words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "door/door.h"

static struct conf_live live;
static struct route route;

/* Begins anew: insecure, on a machine of that name. */
static int
begin(void **state)
{
	memset(&live, 0, sizeof(live));
	live.insecure = 1;
	strcpy(live.machine, "desk.example.net");
	return 0;
}

/* The status of an upgrade with these fields behind the usual ones. */
static int
ask_path(const char *path, const char *host, const char *fields)
{
	static char head[4096];
	struct http_request r;

	snprintf(head, sizeof(head),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
	    path, host, fields);
	if (http_parse(head, strlen(head), route_takes_body, &r) != 0)
		fail_msg("%s: %s", host, r.reason);
	route_request(&live, &r, &route);
	return route.status;
}

/* The status that a request gets at the plain door. */
static int
ask(const char *host, const char *fields)
{
	return ask_path("/ws?user=alice", host, fields);
}

/* Names that a stranger cannot have chosen, and others. */
static void
names(void **state)
{
	static const char *const ours[] = {"localhost", "LocalHost:8080",
	    "localhost.", "localhost.:8080", "a.localhost", "a.b.LOCALHOST:1",
	    "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "[::1]",
	    "192.168.1.5:5173", "203.0.113.7", "[2001:db8::7]:80",
	    "desk.example.net", "desk", "desk.local", "DESK.local:8080",
	    "desk.local."};
	static const char *const others[] = {"evil.example", "evil.example:80",
	    "localhost.evil.example", "xlocalhost", "local", ".localhost",
	    "127.0.0.1.evil.example", "127.0.0.1.nip.io", "127.1", "desk.evil",
	    "desk.example.net.evil", "desk.local.evil", "example.net",
	    "xdesk.local", "a.desk", "chatd:8080", "%6cocalhost"};
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ask(ours[i], "") != 101)
			fail_msg("%s: %d", ours[i], route.status);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (ask(others[i], "") != 421)
			fail_msg("%s: %d", others[i], route.status);
	live.machine[0] = '\0';
	assert_int_equal(ask("desk", ""), 421);
	assert_int_equal(ask(".local", ""), 421);
}

/* The answer is the line that helps. */
static void
lines(void **state)
{
	assert_int_equal(ask("chatd:8080", ""), 421);
	assert_non_null(strstr(route.body, "chatd.conf: host \"chatd\""));
	assert_null(strchr(route.body, '\n'));
	memcpy(live.host, "chatd", sizeof("chatd"));
	live.host_len = sizeof("chatd");
	assert_int_equal(ask("chatd:8080", ""), 101);
	assert_int_equal(ask("chat.example", ""), 421);
	memcpy(live.host, "*", sizeof("*"));
	live.host_len = sizeof("*");
	assert_int_equal(ask("chat.example", ""), 101);
	live.host_len = 0;
	/* What cannot stand in a line is not shown in one. */
	assert_int_equal(ask("a!b", ""), 421);
	assert_null(strstr(route.body, "a!b"));
	assert_int_equal(
	    ask("localhost", "Origin: http://localhost:3000\r\n"), 403);
	assert_non_null(
	    strstr(route.body, "chatd.conf: origin \"http://localhost:3000\""));
	assert_int_equal(ask("localhost", "Origin: \"<b>\r\n"), 403);
	assert_null(strstr(route.body, "<b>"));
}

/* All paths but that of load balancers. */
static void
paths(void **state)
{
	strcpy(live.api_key, "key");
	live.echo = 1;
	assert_int_equal(ask_path("/health", "evil.example", ""), 200);
	assert_int_equal(ask_path("/nothing", "evil.example", ""), 421);
	assert_int_equal(ask_path("/", "evil.example", ""), 421);
	assert_int_equal(ask_path("/echo", "evil.example", ""), 421);
	assert_int_equal(ask_path("/api/publish", "evil.example", ""), 421);
	assert_int_equal(
	    ask_path("/connection/websocket", "evil.example", ""), 421);
	/* The host of an absolute target counts. */
	assert_int_equal(
	    ask_path("http://evil.example/ws?user=a", "localhost", ""), 421);
	assert_int_equal(
	    ask_path("http://localhost/ws?user=a", "evil.example", ""), 101);
}

/* Clients that a proxy forwards. */
static void
forwarded(void **state)
{
	static const char *const near[] = {"X-Forwarded-For: 127.0.0.1\r\n",
	    "X-Forwarded-For: ::1\r\n", "X-Forwarded-For: 192.168.1.7\r\n",
	    "X-Forwarded-For: ::ffff:127.0.0.1\r\n",
	    "X-Forwarded-For: 203.0.113.7, 10.1.2.3\r\n",
	    "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.1.2.3\r\n",
	    "X-Forwarded-For: 10.1.2.3:4711\r\n",
	    "X-Forwarded-For: [fd00::7]:4711\r\n", "X-Forwarded-For:\r\n",
	    "Forwarded: for=127.0.0.1\r\n", "Via:\r\n",
	    "Forwarded: for=203.0.113.7, FOR=\"[::1]:99\";proto=http\r\n",
	    "Forwarded: proto=http;for=10.1.2.3;by=203.0.113.7\r\n",
	    "Forwarded: by=\"a,b;c\";for=10.1.2.3\r\n",
	    "Forwarded: for=10.1.2.3;by=\"a\\\",;b\"\r\n",
	    "X-Real-IP: 10.0.0.1\r\n",
	    "Via: 1.1 squid\r\nX-Forwarded-For: 10.1.2.3\r\n"};
	static const char *const far[] = {"X-Forwarded-For: 203.0.113.7\r\n",
	    "X-Forwarded-For: 10.1.2.3, 203.0.113.7\r\n",
	    "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 203.0.113.7\r\n",
	    "X-Forwarded-For: 2001:db8::7\r\n",
	    "X-Forwarded-For: [2001:db8::7]:80\r\n",
	    "X-Forwarded-For: 203.0.113.7:80\r\n",
	    "X-Forwarded-For: unknown\r\n", "X-Forwarded-For: localhost\r\n",
	    "X-Forwarded-For: 10.1.2.3,\r\n", "Via: 1.1 squid\r\n",
	    /* what a client sends so that the proxy's part looks quoted */
	    "X-Forwarded-For: 10.1.2.3:\", 203.0.113.7\r\n",
	    "X-Forwarded-For: [::1]\", 203.0.113.7\r\n",
	    "Forwarded: for=10.1.2.3;x=\", for=203.0.113.7\r\n",
	    "Forwarded: for=10.1.2.3;x=\"\\, for=203.0.113.7\r\n",
	    "Forwarded: for=203.0.113.7;host=\"a,for=10.1.2.3\"\r\n",
	    "Forwarded: for=203.0.113.7;host=\"a;for=10.1.2.3\"\r\n",
	    "Forwarded: for=203.0.113.7;host=\"a\\\",for=10.1.2.3\"\r\n",
	    "Forwarded: for=203.0.113.7\r\n",
	    "Forwarded: for=10.1.2.3, for=203.0.113.7\r\n",
	    "Forwarded: for=\"[2001:db8::7]:80\"\r\n",
	    "Forwarded: for=_hidden\r\n", "Forwarded: proto=https\r\n",
	    "Forwarded: by=10.1.2.3\r\n", "Forwarded: ;;\r\n",
	    "X-Real-IP: 203.0.113.7\r\n",
	    "X-Forwarded-For: 10.1.2.3\r\nX-Real-IP: 203.0.113.7\r\n",
	    "X-Forwarded-For: 10.1.2.3\r\nForwarded: for=203.0.113.7\r\n"};
	size_t i;

	for (i = 0; i < sizeof(near) / sizeof(near[0]); i++)
		if (ask("localhost", near[i]) != 101)
			fail_msg("%s: %d", near[i], route.status);
	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		if (ask("localhost", far[i]) != 403)
			fail_msg("%s: %d", far[i], route.status);
		assert_non_null(strstr(route.body, "token-key"));
		assert_non_null(strstr(route.body, "insecure public"));
		assert_int_equal(ask_path("/health", "a", far[i]), 200);
	}
}

/* Where names are proved, or anybody is to come in, nothing is checked. */
static void
off(void **state)
{
	live.insecure_public = 1;
	assert_int_equal(
	    ask("evil.example", "X-Forwarded-For: 203.0.113.7\r\n"), 101);
	live.insecure_public = live.insecure = 0;
	assert_int_equal(ask_path("/connection/websocket", "evil.example",
			     "X-Forwarded-For: 203.0.113.7\r\n"),
	    101);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(names, begin),
	    cmocka_unit_test_setup(lines, begin),
	    cmocka_unit_test_setup(paths, begin),
	    cmocka_unit_test_setup(forwarded, begin),
	    cmocka_unit_test_setup(off, begin)};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
