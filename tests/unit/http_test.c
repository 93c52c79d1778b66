/*
 * http: what is read from good heads, limits, keys and queries. Heads come
 * whole and byte by byte. See http_syntax_test.c for good and bad ones.
 */
#include "http_judge.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY \
	"\r\nSec-WebSocket-Version: 13\r\n"

/* What a browser sends. */
static void
test_upgrade(void **state)
{
	static const char head[] =
	    "GET /ws?user=alice&device=phone HTTP/1.1\r\n"
	    "Host: localhost:8080\r\n"
	    "Connection: keep-alive, Upgrade\r\n"
	    "Pragma: no-cache\r\n"
	    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) \xe2\x82\xac\r\n"
	    "Upgrade: WebSocket\r\n"
	    "Origin: http://localhost:8080\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Accept-Encoding: gzip, deflate, br\r\n"
	    "Cookie: a=b; c=\"d\"\r\n"
	    "Sec-WebSocket-Key: " KEY "\r\n"
	    "Sec-WebSocket-Protocol: chat, superchat\r\n"
	    "Sec-WebSocket-Extensions: permessage-deflate; "
	    "client_max_window_bits\r\n"
	    "\r\n";
	struct http_request r;

	assert_int_equal(verdict(head, sizeof(head) - 1, &r), 0);
	assert_string_equal(text(r.method), "GET");
	assert_string_equal(text(r.path), "/ws");
	assert_string_equal(text(r.query), "user=alice&device=phone");
	assert_string_equal(text(r.host), "localhost:8080");
	assert_string_equal(text(r.origin), "http://localhost:8080");
	assert_string_equal(text(r.key), KEY);
	assert_int_equal(r.minor, 1);
	assert_true(http_offers(&r, "chat"));
	assert_true(http_offers(&r, "superchat"));
	assert_false(http_offers(&r, "permessage-deflate"));
	assert_int_equal(r.version, 13);
	assert_true(r.upgrade);
	assert_false(r.key_bad);
	assert_false(r.version_bad);
}

/* What follows the head is not part of it. */
static void
test_end(void **state)
{
	static const char head[] =
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x85\0\0\0\0hello";
	const int end = 27;
	struct http_request r;
	size_t scanned, len;

	for (len = 0; len < sizeof(head); len++) {
		scanned = 0;
		assert_int_equal(http_head_end(head, len, &scanned, &r),
		    len >= (size_t)end ? end : 0);
	}
	/* byte by byte, each is looked at once */
	scanned = 0;
	for (len = 1; len < (size_t)end; len++) {
		assert_int_equal(http_head_end(head, len, &scanned, &r), 0);
		assert_int_equal(scanned, len);
	}
	assert_int_equal(http_head_end(head, len, &scanned, &r), end);
}

/* Parses a head that must be good. */
static struct http_request
good(const char *line, const char *fields)
{
	static char head[HTTP_HEAD_MAX + 1];
	struct http_request r;
	int len = snprintf(head, sizeof(head), "%s\r\n%s\r\n", line, fields);

	if (verdict(head, (size_t)len, &r) != 0)
		fail_msg("%d %s: %s", r.status, r.reason, head);
	return r;
}

/* Forms of target, and whose authority counts. */
static void
test_targets(void **state)
{
	struct http_request r;

	r = good("GET http://Other:90/ws?user=a HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "/ws");
	assert_string_equal(text(r.query), "user=a");
	assert_string_equal(text(r.host), "Other:90");
	r = good("GET http://b HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "/");
	assert_null(r.query.p);
	assert_string_equal(text(r.host), "b");
	r = good("GET http://[::1]?x HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "/");
	assert_string_equal(text(r.query), "x");
	assert_string_equal(text(r.host), "[::1]");
	r = good("GET /? HTTP/1.1", "Host: a\r\n");
	assert_non_null(r.query.p);
	assert_int_equal(r.query.len, 0);
	r = good("OPTIONS * HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "*");
	r = good("CONNECT b:1 HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "b:1");
	assert_false(r.upgrade);
	assert_int_equal(r.version, -1);
	assert_true(r.key_bad);
	assert_false(r.version_bad);
	assert_null(r.origin.p);
	assert_false(http_offers(&r, "b"));
}

/* One empty line may come before the request (RFC 9112 2.2), not two. */
static void
test_leading_line(void **state)
{
	struct http_request r;
	size_t scanned = 0;

	r = good("\r\nGET /x HTTP/1.1", "Host: a\r\n");
	assert_string_equal(text(r.path), "/x");
	assert_int_equal(http_head_end("\r\n\r\nGET", 7, &scanned, &r), -1);
	assert_int_equal(r.status, 400);
	scanned = 0; /* TLS knocks at the wrong door */
	assert_int_equal(http_head_end("\x16\x03\x01", 3, &scanned, &r), -1);
	assert_int_equal(r.status, 400);
}

/* Upgrade and Connection: lists in any case, in several fields. */
static void
test_upgrade_words(void **state)
{
	static const struct {
		bool upgrade;
		const char *fields;
	} table[] = {
	    {true, "Host: a\r\n" UPGRADE},
	    {true, "Host: a\r\nUPGRADE: WEBSOCKET\r\nCONNECTION: UPGRADE\r\n"},
	    {true,
		"Host: a\r\nUpgrade: h2c\r\nUpgrade: a/1, websocket\r\n"
		"Connection: keep-alive\r\nConnection: x ,, upgrade\r\n"},
	    {false, "Host: a\r\nUpgrade: websocket\r\n"},
	    {false, "Host: a\r\nConnection: upgrade\r\n"},
	    {false, "Host: a\r\nUpgrade: websocket\r\nConnection: close\r\n"},
	    {false,
		"Host: a\r\nUpgrade: websockets\r\nConnection: upgrade\r\n"},
	    {false, "Host: a\r\nUpgrade: web\r\nConnection: upgrade\r\n"},
	    {false, "Host: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(
		    good("GET / HTTP/1.1", table[i].fields).upgrade,
		    table[i].upgrade);
}

/* Subprotocols may be offered in several fields (RFC 6455 11.3.4); their names
 * are case-sensitive, and none may be offered. */
static void
test_offers(void **state)
{
#define P "Sec-WebSocket-Protocol:"
	static const struct {
		bool a, bc;
		const char *fields;
	} table[] = {
	    {false, false, "Host: a\r\n"},
	    {false, false, "Host: a\r\n" P "\r\n"},
	    {false, false, "Host: a\r\n" P " ,\r\nX: a, b.c\r\n"},
	    {true, false, P "a\r\nHost: a\r\n"},
	    {true, true, P " b.c ,\ta\r\nHost: a\r\n"},
	    {true, true, P "x\r\nHost: a\r\n" P "b.c\r\n" P "y, a\r\n"},
	    {true, true, P "\r\nHost: a\r\nSEC-WEBSOCKET-PROTOCOL: a,,b.c\r\n"},
	    {false, false, "Host: a\r\n" P "A, aa, b, c, b.c.d, B.C\r\n"},
	};
	struct http_request r;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = good("GET / HTTP/1.1", table[i].fields);
		assert_int_equal(http_offers(&r, "a"), table[i].a);
		assert_int_equal(http_offers(&r, "b.c"), table[i].bc);
	}
}

/* HTTP/1.0 knows neither Host nor an upgrade nor 100 (RFC 9110 7.8, 10.1.1). */
static void
test_version_10(void **state)
{
	struct http_request r;

	r = good("GET /health HTTP/1.0", "");
	assert_int_equal(r.minor, 0);
	assert_string_equal(text(r.path), "/health");
	assert_null(r.host.p);
	r = good("GET /ws HTTP/1.0", "Host: a\r\n" UPGRADE);
	assert_string_equal(text(r.host), "a");
	assert_false(r.upgrade);
	assert_true(good("GET /ws HTTP/1.1", "Host: a\r\n" UPGRADE).upgrade);
	r = good("POST /api/x HTTP/1.0",
	    "Expect: 100-continue\r\nContent-Length: 2\r\n");
	assert_false(r.expects);
	assert_int_equal(r.length, 2);
	assert_true(
	    good("POST /api/x HTTP/1.1", "Host: a\r\nExpect: 100-continue\r\n")
		.expects);
	/* nor that a connection stays, unless it is asked for (RFC 9112 9.3) */
	assert_true(r.close);
	assert_true(good("POST /api/x HTTP/1.0",
	    "Connection: keep-alive\r\nContent-Length: 2\r\n")
			.close);
	assert_false(
	    good("POST /api/x HTTP/1.1", "Host: a\r\nContent-Length: 2\r\n")
		.close);
}

/* A key is 16 bytes in base64, written in the one right way, once. */
static void
test_key(void **state)
{
#define K "Host: a\r\nSec-WebSocket-Key: "
	static const struct {
		bool bad;
		const char *fields;
	} table[] = {
	    {false, K KEY "\r\n"},
	    {false, K "AAAAAAAAAAAAAAAAAAAAAA==\r\n"},
	    {false, K "++++++++++//////////+g==\r\n"},
	    {true, "Host: a\r\n"},
	    {true, K "\r\n"},
	    {true, K KEY "\r\nSec-WebSocket-Key: " KEY "\r\n"},
	    {true, K KEY "\r\nsec-websocket-key: x\r\n"},
	    {true, K "dGhlIHNhbXBsZSBub25jZR==\r\n"}, /* stray bits */
	    {true, K "dGhlIHNhbXBsZSBub25jZQ=\r\n"},
	    {true, K "dGhlIHNhbXBsZSBub25jZQ\r\n"},
	    {true, K "dGhlIHNhbXBsZSBub25jZQ===\r\n"},
	    {true, K "dGhlIHNhbXBsZSBub25j\r\n"},     /* 15 bytes */
	    {true, K "dGhlIHNhbXBsZSBub25jZWU=\r\n"}, /* 17 bytes */
	    {true, K "dGhlIHNhbXBsZSBub25jZQ==, x\r\n"},
	    {true, K "dGhlIHNhbX-sZSBub25jZQ==\r\n"},
	    {true, K "dGhl HNhbXBsZSBub25jZQ==\r\n"},
	    {true, K "dGhlIHNhbXBsZSBub2\xe9jZQ==\r\n"},
	};
	struct http_request r;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = good("GET / HTTP/1.1", table[i].fields);
		assert_int_equal(r.key_bad, table[i].bad);
		assert_int_equal(r.key.p == NULL, table[i].bad);
	}
}

/* A version is a number from 0 to 255, once. */
static void
test_version(void **state)
{
#define V "Host: a\r\nSec-WebSocket-Version: "
	static const struct {
		int version; /* -2: bad */
		const char *fields;
	} table[] = {
	    {-1, "Host: a\r\n"},
	    {13, V "13\r\n"},
	    {8, V "8\r\n"},
	    {0, V "0\r\n"},
	    {255, V "255\r\n"},
	    {-2, V "\r\n"},
	    {-2, V "256\r\n"},
	    {-2, V "013\r\n"},
	    {-2, V "+13\r\n"},
	    {-2, V "13, 8\r\n"},
	    {-2, V "13.0\r\n"},
	    {-2, V "thirteen\r\n"},
	    {-2, V "13\r\nSec-WebSocket-Version: 13\r\n"},
	};
	struct http_request r;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		r = good("GET / HTTP/1.1", table[i].fields);
		assert_int_equal(r.version_bad, table[i].version == -2);
		if (table[i].version != -2)
			assert_int_equal(r.version, table[i].version);
	}
}

/* 64 KiB and 128 fields are the most; one more is too much. */
static void
test_limits(void **state)
{
	static char head[2 * HTTP_HEAD_MAX];
	struct http_request r;
	size_t len, scanned;
	int extra, i;

	for (extra = 0; extra <= 1; extra++) {
		len = (size_t)sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
		memset(head + len, 'x', sizeof(head) - len);
		memcpy(head + HTTP_HEAD_MAX + extra - 4, "\r\n\r\n", 5);
		assert_int_equal(
		    verdict(head, HTTP_HEAD_MAX + extra, &r), extra ? 431 : 0);
	}
	assert_int_equal(http_parse(head, HTTP_HEAD_MAX + 1, NULL, &r), -1);
	assert_int_equal(r.status, 431);
	memset(head, 'x', sizeof(head));
	scanned = 0;
	assert_int_equal(
	    http_head_end(head, HTTP_HEAD_MAX - 1, &scanned, &r), 0);
	assert_int_equal(http_head_end(head, HTTP_HEAD_MAX, &scanned, &r), -1);
	assert_int_equal(r.status, 431);

	for (extra = 0; extra <= 1; extra++) {
		len = (size_t)sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (i = 1; i < HTTP_FIELDS_MAX + extra; i++)
			len += (size_t)sprintf(head + len, "X: y\r\n");
		len += (size_t)sprintf(head + len, "\r\n");
		assert_int_equal(verdict(head, len, &r), extra ? 431 : 0);
	}
}

/* Every byte in a field's value and in its name. */
static void
test_every_byte(void **state)
{
	static const char tokens[] = "!#$%&'*+-.^_`|~0123456789"
				     "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX.X: y_y\r\n\r\n";
	char *in_name = strstr(head, ".X"), *in_value = strchr(head, '_');
	struct http_request r;
	int c;

	for (c = 0; c < 256; c++) {
		*in_value = (char)c;
		assert_int_equal(verdict(head, sizeof(head) - 1, &r),
		    (c < ' ' && c != '\t') || c == 0x7f ? 400 : 0);
	}
	*in_value = '_';
	for (c = 0; c < 256; c++) {
		*in_name = (char)c;
		assert_int_equal(verdict(head, sizeof(head) - 1, &r),
		    c == ':' || (c != 0 && strchr(tokens, c)) ? 0 : 400);
	}
}

/* A parser that is given what is no complete head says so. */
static void
test_parse_pieces(void **state)
{
	static const char head[] =
	    "GET /ws HTTP/1.1\r\nHost: a\r\n" UPGRADE "\r\n";
	struct http_request r;
	char copy[sizeof(head)];
	size_t len;

	for (len = 0; len < sizeof(head) - 1; len++) {
		memcpy(copy, head, len);
		assert_int_equal(http_parse(copy, len, NULL, &r), -1);
		assert_int_equal(r.status, 400);
	}
	assert_int_equal(http_parse(head, sizeof(head) - 1, NULL, &r), 0);
	assert_int_equal(http_parse(head, sizeof(head), NULL, &r), -1);
}

/* RFC 6455 1.3. */
static void
test_accept_key(void **state)
{
	char out[29];

	http_accept_key(KEY, out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* Percent-decoding. */
static void
test_decode(void **state)
{
	static const struct {
		const char *in;
		int len;
		const char *out;
	} table[] = {
	    {"", 0, ""},
	    {"alice", 5, "alice"},
	    {"a+b", 3, "a+b"},
	    {"%41%e2%82%AC", 4, "A\xe2\x82\xac"},
	    {"%00", 1, "\0"},
	    {"%2541", 3, "%41"},
	    {"%", -1, NULL},
	    {"%4", -1, NULL},
	    {"a%4", -1, NULL},
	    {"%4g", -1, NULL},
	    {"%g4", -1, NULL},
	    {"12345678", 8, "12345678"},
	    {"1234567%38", 8, "12345678"},
	    {"123456789", -1, NULL},
	    {"12345678%39", -1, NULL},
	};
	struct http_span in;
	char out[8];
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		in.p = table[i].in;
		in.len = strlen(table[i].in);
		assert_int_equal(
		    http_decode(in, out, sizeof(out)), table[i].len);
		if (table[i].len > 0)
			assert_memory_equal(
			    out, table[i].out, (size_t)table[i].len);
	}
}

/* Parameters of a query. */
static void
test_parameter(void **state)
{
	static const struct {
		const char *query, *value;
	} table[] = {
	    {"user=alice", "alice"},
	    {"a=b&user=alice&c=d", "alice"},
	    {"user=alice&user=bob", "alice"},
	    {"user=", ""},
	    {"user", ""},
	    {"user&user=x", ""},
	    {"a=user=x&user=y", "y"},
	    {"users=x&user=y=z", "y=z"},
	    {"&&user=y", "y"},
	    {"", NULL},
	    {"a=b", NULL},
	    {"User=x", NULL},
	    {"xuser=x", NULL},
	    {"users", NULL},
	    {"use", NULL},
	};
	struct http_span query = {NULL, 0}, value;
	size_t i;

	assert_false(http_parameter(query, "user", &value));
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		query.p = table[i].query;
		query.len = strlen(table[i].query);
		assert_int_equal(http_parameter(query, "user", &value),
		    table[i].value != NULL);
		if (table[i].value != NULL)
			assert_string_equal(text(value), table[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_upgrade),
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_targets),
	    cmocka_unit_test(test_leading_line),
	    cmocka_unit_test(test_upgrade_words),
	    cmocka_unit_test(test_offers),
	    cmocka_unit_test(test_version_10),
	    cmocka_unit_test(test_key),
	    cmocka_unit_test(test_version),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_parse_pieces),
	    cmocka_unit_test(test_accept_key),
	    cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_parameter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
