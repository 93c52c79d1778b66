/* route: what each path and method is answered, who a client is, and the bytes
 * of an answer. (Whose pages may come in: host_test.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door/registry.h"

#define UPGRADE                         \
	"Upgrade: websocket\r\n"        \
	"Connection: Upgrade\r\n"       \
	"Sec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define WITH_KEY "X-API-Key: sesame\r\n"

extern const struct door plain_door, echo_door, centrifugo_door;

static struct conf_live live;
static struct http_request request;
static struct route route;
static char head[8192], answer[ROUTE_ANSWER_MAX + 200000];

/* Begins anew: names are taken on trust, /echo and the API are served. */
static int
begin(void **state)
{
	memset(&live, 0, sizeof(live));
	live.insecure = live.insecure_public = live.echo = 1;
	live.message_size = 1000;
	strcpy(live.api_key, "sesame");
	return 0;
}

/* Parses a head; the rest of it is `fields`. */
static void
parse(const char *line, const char *fields)
{
	int n = snprintf(head, sizeof(head), "%s\r\nHost: localhost\r\n%s\r\n",
	    line, fields);

	if (http_parse(head, (size_t)n, route_takes_body, &request) != 0)
		fail_msg("%s: %s", line, request.reason);
}

/* The status of a request. */
static int
ask(const char *line, const char *fields)
{
	parse(line, fields);
	memset(&route, 0x5a, sizeof(route));
	route_request(&live, &request, &route);
	return route.status;
}

/* The status of an upgrade there. */
static int
upgrade(const char *target)
{
	char line[2048];

	snprintf(line, sizeof(line), "GET %s HTTP/1.1", target);
	return ask(line, UPGRADE);
}

/* The whole answer to what was asked last; its length. */
static size_t
answered(void)
{
	size_t n =
	    route_answer(&route, &request, 0, answer, sizeof(answer) - 1);

	answer[n] = '\0';
	return n;
}

/* Every path, with every method. */
static void
paths(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *headers; /* that are told besides */
	} cases[] = {
	    {"GET /health HTTP/1.1", 200, ""},
	    {"HEAD /health HTTP/1.1", 200, ""},
	    {"POST /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"OPTIONS /health HTTP/1.1", 204, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"DELETE /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    /* no part of the field's text is a method */
	    {"A /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"Allow /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"PTIONS /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"HEA /health HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"GET /health?x HTTP/1.0", 200, ""},
	    {"GET /health/ HTTP/1.1", 404, ""},
	    {"GET /Health HTTP/1.1", 404, ""},
	    {"GET / HTTP/1.1", 200, NULL},
	    {"GET /?a=b HTTP/1.1", 200, NULL},
	    {"GET /chatd.css HTTP/1.1", 200, NULL},
	    {"GET /chatd.js HTTP/1.1", 200, NULL},
	    {"HEAD /chatd.js HTTP/1.1", 200, NULL},
	    {"PUT / HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"GET /index.html HTTP/1.1", 404, ""},
	    {"GET /chatd.js.gz HTTP/1.1", 404, ""},
	    {"GET //chatd.js HTTP/1.1", 404, ""},
	    {"GET /%63hatd.js HTTP/1.1", 404, ""},
	    {"GET /../chatd.js HTTP/1.1", 404, ""},
	    {"OPTIONS * HTTP/1.1", 204, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"OPTIONS /nothing HTTP/1.1", 404, ""},
	    {"POST /nothing HTTP/1.1", 404, ""},
	    {"GET /ws HTTP/1.1", 426,
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	    {"HEAD /ws HTTP/1.1", 426,
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	    {"POST /ws HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"OPTIONS /ws HTTP/1.1", 204, "Allow: GET, HEAD, OPTIONS\r\n"},
	    {"GET /ws HTTP/1.0", 505, ""},
	    {"GET /wsx HTTP/1.1", 404, ""},
	    {"GET /ws/ HTTP/1.1", 404, ""},
	    {"GET /echo HTTP/1.1", 426,
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	    {"POST /connection/websocket HTTP/1.1", 405,
		"Allow: GET, HEAD, OPTIONS\r\n"},
	    {"GET /connection/websocket HTTP/1.1", 426,
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
	    {"GET /connection HTTP/1.1", 404, ""},
	    {"GET /connection/sockjs HTTP/1.1", 404, ""},
	    {"GET http://localhost/health HTTP/1.1", 200, ""},
	    {"GET http://localhost HTTP/1.1", 200, NULL},
	};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		if (ask(cases[k].line, "") != cases[k].status)
			fail_msg("%s: %d", cases[k].line, route.status);
		if (cases[k].headers != NULL &&
		    strcmp(route.headers, cases[k].headers) != 0)
			fail_msg("%s: %s", cases[k].line, route.headers);
	}
}

/* Of what is not served there is no path. */
static void
switched_off(void **state)
{
	live.echo = 0;
	live.api_key[0] = '\0';
	assert_int_equal(upgrade("/echo"), 404);
	assert_string_equal(route.body, "no such path");
	assert_memory_equal(route.about.p, "/echo", 5);
	assert_int_equal(route.about.len, 5);
	assert_int_equal(
	    ask("POST /api/publish HTTP/1.1", WITH_KEY "Content-Length: 2\r\n"),
	    404);
}

/* The server API: method, key, body, in this order. */
static void
api(void **state)
{
	static const struct {
		const char *line, *fields;
		int status;
		const char *headers;
	} cases[] = {
	    {"POST /api/publish HTTP/1.1", WITH_KEY "Content-Length: 2\r\n",
		100, ""},
	    {"POST /api/history HTTP/1.1", WITH_KEY "Content-Length: 0\r\n",
		100, ""},
	    {"POST /api/broadcast HTTP/1.1", WITH_KEY "Content-Length: 2\r\n",
		100, ""},
	    {"POST /api/publish HTTP/1.1",
		"Authorization: apikey sesame\r\nContent-Length: 2\r\n", 100,
		""},
	    {"POST /api/publish HTTP/1.1",
		"Authorization: ApiKey   sesame\r\nContent-Length: 2\r\n", 100,
		""},
	    {"POST /api/publish HTTP/1.1",
		WITH_KEY "Transfer-Encoding: chunked\r\n", 100, ""},
	    {"POST /api/publish?x=y HTTP/1.1", WITH_KEY "Content-Length: 2\r\n",
		100, ""},
	    {"GET /api/publish HTTP/1.1", WITH_KEY, 405,
		"Allow: POST, OPTIONS\r\n"},
	    {"HEAD /api/history HTTP/1.1", "", 405, "Allow: POST, OPTIONS\r\n"},
	    {"OPTIONS /api/publish HTTP/1.1", "", 204,
		"Allow: POST, OPTIONS\r\n"},
	    {"POST /api/publish HTTP/1.1", "Content-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"X-API-Key: sesam\r\nContent-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"X-API-Key: sesamE\r\nContent-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"X-API-Key: sesame2\r\nContent-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"Authorization: Bearer sesame\r\nContent-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"Authorization: apikey\r\nContent-Length: 2\r\n", 401,
		"WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		"X-API-Key: x\r\nContent-Encoding: gzip\r\n"
		"Content-Length: 2\r\n",
		401, "WWW-Authenticate: apikey\r\n"},
	    {"POST /api/publish HTTP/1.1",
		WITH_KEY "Content-Encoding: gzip\r\nContent-Length: 2\r\n", 415,
		"Accept-Encoding: identity\r\n"},
	    {"POST /api/publish HTTP/1.1", WITH_KEY, 411, ""},
	    {"POST /api/publish HTTP/1.1", WITH_KEY "Content-Length: 9192\r\n",
		100, ""},
	    {"POST /api/publish HTTP/1.1", WITH_KEY "Content-Length: 9193\r\n",
		413, ""},
	    {"POST /api/nothing HTTP/1.1", WITH_KEY "Content-Length: 2\r\n",
		404, ""},
	    {"POST /api/ HTTP/1.1", WITH_KEY, 404, ""},
	    {"POST /api/publishx HTTP/1.1", WITH_KEY "Content-Length: 2\r\n",
		404, ""},
	    {"POST /api/publis HTTP/1.1", WITH_KEY "Content-Length: 2\r\n", 404,
		""},
	};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		if (ask(cases[k].line, cases[k].fields) != cases[k].status ||
		    strcmp(route.headers, cases[k].headers) != 0)
			fail_msg("%s with %s: %d %s", cases[k].line,
			    cases[k].fields, route.status, route.headers);
	}
	ask("GET /api/publish HTTP/1.1", WITH_KEY);
	assert_string_equal(route.body, "only POST and OPTIONS are allowed");
	ask("POST /health HTTP/1.1", "");
	assert_string_equal(
	    route.body, "only GET, HEAD and OPTIONS are allowed");
}

/* A door each; which subprotocol it is spoken with. */
static void
doors(void **state)
{
	assert_int_equal(upgrade("/ws?user=alice"), 101);
	assert_ptr_equal(route.door, &plain_door);
	assert_null(route.protocol);
	assert_int_equal(upgrade("/echo?user=%FF"), 101); /* has no names */
	assert_ptr_equal(route.door, &echo_door);
	assert_int_equal(upgrade("/connection/websocket"), 101);
	assert_ptr_equal(route.door, &centrifugo_door);
	assert_int_equal(route.user_len, 0);
	assert_int_equal(ask("GET /ws?user=a HTTP/1.1",
			     UPGRADE "Sec-WebSocket-Protocol: x, "
				     "chatd.plain\r\n"),
	    101);
	assert_string_equal(route.protocol, "chatd.plain");
	assert_int_equal(ask("GET /ws?user=a HTTP/1.1",
			     UPGRADE "Sec-WebSocket-Protocol: x\r\n"),
	    101);
	assert_null(route.protocol);
	assert_int_equal(
	    ask("GET /connection/websocket HTTP/1.1",
		UPGRADE "Sec-WebSocket-Protocol: centrifuge-json\r\n"),
	    101);
	assert_string_equal(route.protocol, "centrifuge-json");
	assert_int_equal(ask("GET /connection/websocket HTTP/1.1",
			     UPGRADE "Sec-WebSocket-Protocol: "
				     "centrifuge-protobuf, "
				     "centrifuge-json\r\n"),
	    101);
	assert_string_equal(route.protocol, "centrifuge-json");
	assert_int_equal(
	    ask("GET /connection/websocket HTTP/1.1",
		UPGRADE "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n"),
	    400);
	assert_string_equal(
	    route.body, "only JSON is spoken here, not protobuf");
	assert_int_equal(upgrade("/connection/websocket?format=protobuf"), 400);
	assert_int_equal(
	    upgrade("/connection/websocket?cf_protocol=protobuf"), 400);
	assert_int_equal(upgrade("/connection/websocket?format=json"), 101);
	/* that is no affair of the others */
	assert_int_equal(upgrade("/ws?user=a&format=protobuf"), 101);
}

/* What is wrong with an upgrade, in its order. */
static void
upgrades(void **state)
{
#define U "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V "Sec-WebSocket-Version: 13\r\n"
#define K "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	static const struct {
		const char *fields;
		int status;
		const char *body;
	} cases[] = {{U V K, 101, NULL},
	    {V K, 426, "this is a WebSocket: upgrade"},
	    {"Upgrade: h2c\r\nConnection: Upgrade\r\n" V K, 426,
		"this is a WebSocket: upgrade"},
	    {U K, 400, "Sec-WebSocket-Version must be a number, once"},
	    {U K "Sec-WebSocket-Version: x\r\n", 400,
		"Sec-WebSocket-Version must be a number, once"},
	    {U V V K, 400, "Sec-WebSocket-Version must be a number, once"},
	    {U K "Sec-WebSocket-Version: 8\r\n", 426,
		"only WebSocket version 13 is spoken"},
	    {U V, 400, "Sec-WebSocket-Key must be base64 of 16 bytes, once"},
	    {U V "Sec-WebSocket-Key: abc\r\n", 400,
		"Sec-WebSocket-Key must be base64 of 16 bytes, once"},
	    {U V K K, 400,
		"Sec-WebSocket-Key must be base64 of 16 bytes, once"},
	    {U V K "Origin: http://elsewhere.example\r\n", 403,
		"this origin is not allowed; to admit its pages, add this "
		"line to chatd.conf: origin "
		"\"http://elsewhere.example\""},
	    {U V K "Origin: http://localhost\r\n", 101, NULL}};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		if (ask("GET /ws?user=a HTTP/1.1", cases[k].fields) !=
		    cases[k].status)
			fail_msg("%s: %d", cases[k].fields, route.status);
		if (cases[k].body != NULL)
			assert_string_equal(route.body, cases[k].body);
	}
	/* the version that is spoken is told with both kinds of 426 */
	assert_int_equal(
	    ask("GET /ws HTTP/1.1", U K "Sec-WebSocket-Version: 8\r\n"), 426);
	assert_non_null(strstr(route.headers, "Sec-WebSocket-Version: 13\r\n"));
	assert_int_equal(ask("HEAD /ws?user=a HTTP/1.1", U V K), 426);
}

/* Names and devices in the query. */
static void
names(void **state)
{
	static const char long64[] = "0123456789012345678901234567890123456789"
				     "012345678901234567890123",
			  long32[] = "01234567890123456789012345678901";
	static const struct {
		const char *query;
		const char *user, *device; /* NULL: refused */
	} good[] = {{"user=alice", "alice", ""},
	    {"user=alice&device=phone", "alice", "phone"},
	    {"device=phone&user=alice", "alice", "phone"},
	    {"x=1&user=alice&y", "alice", ""},
	    {"user=alice&user=bob", "alice", ""}, {"user=a%20b", "a b", ""},
	    {"user=a+b", "a+b", ""}, {"user=%C3%A9", "\xc3\xa9", ""},
	    {"user=a&device=", "a", ""}, {"user=a&device=%2f", "a", "/"}};
	static const struct {
		const char *query, *body;
	} bad[] = {{"", "user is missing: connect to /ws?user=NAME"},
	    {"name=alice", "user is missing: connect to /ws?user=NAME"},
	    {"User=alice", "user is missing: connect to /ws?user=NAME"},
	    {"user=%C3", NULL}, {"user=", NULL}, {"user=%23alice", NULL},
	    {"user=a%00b", NULL}, {"user=a%0Ab", NULL},
	    {"user=a&device=%FF", "device is not valid UTF-8"},
	    {"user=a&device=%0A", "device has a control character or a quote"},
	    {"user=a&device=%22", "device has a control character or a quote"},
	    {"user=a&device=%7F", "device has a control character or a quote"},
	    {"user=a&device=%C2%80",
		"device has a control character or a quote"}};
	char target[300];

	for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
		snprintf(target, sizeof(target), "/ws?%s", good[k].query);
		if (upgrade(target) != 101)
			fail_msg("%s: %s", target, route.body);
		assert_int_equal(route.user_len, strlen(good[k].user));
		assert_memory_equal(route.user, good[k].user, route.user_len);
		assert_int_equal(route.device_len, strlen(good[k].device));
		assert_memory_equal(
		    route.device, good[k].device, route.device_len);
	}
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		snprintf(target, sizeof(target), "/ws?%s", bad[k].query);
		if (upgrade(target) != 400)
			fail_msg("%s: %d", target, route.status);
		if (bad[k].body != NULL)
			assert_string_equal(route.body, bad[k].body);
	}
	snprintf(
	    target, sizeof(target), "/ws?user=%s&device=%s", long64, long32);
	assert_int_equal(upgrade(target), 101);
	assert_int_equal(route.user_len, 64);
	assert_int_equal(route.device_len, 32);
	snprintf(target, sizeof(target), "/ws?user=%sx", long64);
	assert_int_equal(upgrade(target), 400);
	assert_memory_equal(route.body, "user is longer than 64 bytes", 28);
	snprintf(target, sizeof(target), "/ws?user=a&device=%sx", long32);
	assert_int_equal(upgrade(target), 400);
}

/* The other door takes a name, too, and needs none. */
static void
late_names(void **state)
{
	assert_int_equal(upgrade("/connection/websocket?user=bob"), 101);
	assert_int_equal(route.user_len, 3);
	assert_memory_equal(route.user, "bob", 3);
	assert_int_equal(upgrade("/connection/websocket?user=%FF"), 400);
	assert_int_equal(upgrade("/connection/websocket?device=x"), 101);
	assert_int_equal(route.device_len, 0); /* of a user alone */
}

/* Where only a token gives a name. */
static void
trusts_nobody(void **state)
{
	live.insecure = 0;
	assert_int_equal(upgrade("/ws?user=alice"), 401);
	assert_string_equal(route.body,
	    "a token is required here (?user= works only with insecure yes)");
	assert_string_equal(route.headers, "WWW-Authenticate: Bearer\r\n");
	assert_int_equal(upgrade("/connection/websocket?user=a"), 401);
	assert_int_equal(upgrade("/connection/websocket"), 101);
	assert_int_equal(upgrade("/echo?user=alice"), 101);
	/* a page asks why it was refused, without an upgrade */
	assert_int_equal(ask("GET /ws?user=alice HTTP/1.1", ""), 401);
	assert_int_equal(ask("GET /ws HTTP/1.1", ""), 426);
	/* what is wrong with the name itself comes first */
	assert_int_equal(upgrade("/ws?user=%FF"), 400);
	assert_int_equal(upgrade("/ws"), 400);
}

/* The bytes of answers. */
static void
answers(void **state)
{
	assert_int_equal(upgrade("/ws?user=a"), 101);
	answered();
	assert_string_equal(answer,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	    "\r\n"); /* the key and its answer: RFC 6455 1.3 */
	assert_int_equal(
	    ask("GET /connection/websocket HTTP/1.1",
		UPGRADE "Sec-WebSocket-Protocol: centrifuge-json\r\n"),
	    101);
	answered();
	assert_non_null(strstr(
	    answer, "xOo=\r\nSec-WebSocket-Protocol: centrifuge-json\r\n\r\n"));
	assert_int_equal(ask("GET /nothing HTTP/1.1", ""), 404);
	answered();
	assert_string_equal(answer,
	    "HTTP/1.1 404 Not Found\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 13\r\n"
	    "Connection: close\r\n\r\n"
	    "no such path\n");
	route.keep = true;
	answered();
	assert_non_null(strstr(answer, "Connection: keep-alive\r\n\r\n"));
	route.head = true;
	answered();
	assert_string_equal(answer,
	    "HTTP/1.1 404 Not Found\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 13\r\n"
	    "Connection: keep-alive\r\n\r\n");
	assert_int_equal(ask("OPTIONS /ws HTTP/1.1", ""), 204);
	answered();
	assert_string_equal(answer,
	    "HTTP/1.1 204 No Content\r\n"
	    "Allow: GET, HEAD, OPTIONS\r\n"
	    "Connection: close\r\n\r\n");
}

/* The words of all statuses. */
static void
statuses(void **state)
{
	static const struct {
		int status;
		const char *line;
	} cases[] = {{200, "200 OK"}, {304, "304 Not Modified"},
	    {400, "400 Bad Request"}, {401, "401 Unauthorized"},
	    {403, "403 Forbidden"}, {405, "405 Method Not Allowed"},
	    {408, "408 Request Timeout"}, {411, "411 Length Required"},
	    {413, "413 Content Too Large"}, {415, "415 Unsupported Media Type"},
	    {421, "421 Misdirected Request"}, {426, "426 Upgrade Required"},
	    {431, "431 Request Header Fields Too Large"},
	    {501, "501 Not Implemented"}, {503, "503 Service Unavailable"},
	    {505, "505 HTTP Version Not Supported"}, {599, "599 Error"}};
	char wanted[64];

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		memset(&route, 0x5a, sizeof(route));
		route_refuse(cases[k].status, "why", &route);
		assert_string_equal(route.why, "why");
		assert_int_equal(route.user_len, 0);
		answered();
		snprintf(
		    wanted, sizeof(wanted), "HTTP/1.1 %s\r\n", cases[k].line);
		if (strncmp(answer, wanted, strlen(wanted)) != 0)
			fail_msg("%s: %.40s", cases[k].line, answer);
	}
}

/* Who comes by TLS is told to come so again, with each answer. */
static void
hsts(void **state)
{
	char out[4096] = "";

	for (int k = 0; k < 2; k++) {
		upgrade(k == 0 ? "/ws?user=a" : "/x"), answered();
		assert_null(strstr(answer, "Strict-Transport"));
		route_answer(&route, &request, 3600 * 1000, out, 4095);
		assert_non_null(strstr(
		    out, "\r\nStrict-Transport-Security: max-age=3600\r\n"));
	}
}

/* What does not fit is cut, and nothing is written behind the end. */
static void
cut(void **state)
{
	char small[40];
	size_t n;

	route_refuse(404, "no such path", &route);
	memset(small, 'x', sizeof(small));
	n = route_answer(&route, &request, 0, small, 30);
	assert_true(n < 30);
	assert_memory_equal(small, "HTTP/1.1 404 Not Found\r\n", 24);
	assert_memory_equal(small + 30, "xxxxxxxxxx", 10);
}

/* The page: whole, packed, and not sent twice. */
static void
page(void **state)
{
	char fields[128], tag[32];
	const char *at;
	size_t whole, packed, n;
	char *small;

	assert_int_equal(ask("GET /chatd.js HTTP/1.1", ""), 200);
	assert_string_equal(route.type, "text/javascript; charset=utf-8");
	whole = route.body_len;
	assert_true(answered() > whole);
	assert_memory_equal(answer + strlen(answer) - whole, route.body, whole);
	snprintf(fields, sizeof(fields), "Content-Length: %zu\r\n", whole);
	assert_non_null(strstr(answer, fields));
	assert_null(strstr(route.headers, "Content-Encoding"));
	assert_non_null(strstr(route.headers, "default-src 'none'"));
	assert_non_null(strstr(route.headers, "Vary: Accept-Encoding\r\n"));
	at = strstr(route.headers, "ETag: ");
	assert_non_null(at);
	snprintf(tag, sizeof(tag), "%.18s", at + 6);

	assert_int_equal(
	    ask("GET /chatd.js HTTP/1.1", "Accept-Encoding: gzip\r\n"), 200);
	packed = route.body_len;
	assert_true(packed < whole);
	assert_memory_equal(route.body, "\x1f\x8b", 2);
	assert_non_null(strstr(route.headers, "Content-Encoding: gzip\r\n"));
	assert_null(strstr(route.headers, tag)); /* another form, another tag */

	snprintf(fields, sizeof(fields), "If-None-Match: W/\"a\", %s\r\n", tag);
	assert_int_equal(ask("GET /chatd.js HTTP/1.1", fields), 304);
	answered();
	assert_null(strstr(answer, "Content-Length"));
	assert_string_equal(answer + strlen(answer) - 4, "\r\n\r\n");
	assert_int_equal(
	    ask("GET /chatd.js HTTP/1.1", "If-None-Match: *\r\n"), 304);
	assert_int_equal(ask("GET /chatd.js HTTP/1.1",
			     "If-None-Match: \"0123456789abcdef\"\r\n"),
	    200);
	/* what does not fit is cut */
	assert_int_equal(ask("GET /chatd.js HTTP/1.1", ""), 200);
	answered();
	n = (size_t)(strstr(answer, "\r\n\r\n") - answer) + 4 + 10;
	small = malloc(n);
	assert_non_null(small);
	assert_int_equal(route_answer(&route, &request, 0, small, n), n);
	assert_memory_equal(small, answer, n);
	free(small);
	/* the tag of one file is not that of another */
	assert_int_equal(ask("GET / HTTP/1.1", fields), 200);
	assert_string_equal(route.type, "text/html; charset=utf-8");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {TEST(paths), TEST(switched_off),
	    TEST(api), TEST(doors), TEST(upgrades), TEST(names),
	    TEST(late_names), TEST(trusts_nobody), TEST(answers),
	    TEST(statuses), TEST(hsts), TEST(cut), TEST(page)};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
