/*
 * http: tables of good and bad heads. Sources are RFC 9112 (message syntax),
 * RFC 9110 (semantics) and RFC 6455 (the upgrade).
 */
#include "http_judge.h"

#include "../../src/codec/http_syntax.h"

struct head {
	int status;
	const char *line;   /* request line, without CRLF */
	const char *fields; /* NULL: one good Host */
};

/* Judges a table of heads. */
static void
run(const struct head *table, size_t n)
{
	struct http_request r;
	char head[20000];
	size_t i;
	int len, status;

	for (i = 0; i < n; i++) {
		len = snprintf(head, sizeof(head), "%s\r\n%s\r\n",
		    table[i].line,
		    table[i].fields != NULL ? table[i].fields : "Host: a\r\n");
		status = verdict(head, (size_t)len, &r);
		if (status != table[i].status)
			fail_msg("%d (%s), not %d: %s", status,
			    status ? r.reason : "good", table[i].status, head);
	}
}

#define RUN(table) run(table, sizeof(table) / sizeof((table)[0]))

/* RFC 9112 3: request line, target forms, versions. */
static void
test_request_lines(void **state)
{
	static const struct head table[] = {
	    {0, "GET / HTTP/1.1", NULL},
	    {0, "POST /a/b;c=d:e@f/~-._!$&'()*+,= HTTP/1.1", NULL},
	    {0, "BREW /%7e%7E?a/b?c=%00 HTTP/1.1", NULL},
	    {0, "get / HTTP/1.1", NULL},
	    {0, "M!#$%&'*+-.^_`|~09 / HTTP/1.1", NULL},
	    {0, "GET //x HTTP/1.1", NULL},
	    {0, "GET http://a/ws?user=x HTTP/1.1", NULL},
	    {0, "GET HTTPS://a:443 HTTP/1.1", NULL},
	    {0, "GET http://[::1]:80?q HTTP/1.1", NULL},
	    {0, "OPTIONS * HTTP/1.1", NULL},
	    {0, "CONNECT a:443 HTTP/1.1", NULL},
	    {0, "GET / HTTP/1.0", NULL},
	    {0, "GET / HTTP/1.0", ""},
	    {0, "OPTIONS * HTTP/1.0", ""},
	    {0, "GET http://a/ HTTP/1.0", ""},
	    {400, "GET / HTTP/1.0", "Host: a\r\nHost: a\r\n"},
	    {400, "GET / HTTP/1.0", "Host:\r\n"},
	    {400, "GET / HTTP/1.0", "Transfer-Encoding: chunked\r\n"},
	    {400, "GET / HTTP/1.0", "Content-Length: 1\r\n"},
	    {505, "GET / HTTP/1.2", NULL},
	    {505, "GET / HTTP/2.0", NULL},
	    {505, "PRI * HTTP/2.0", ""},
	    {505, "GET / HTTP/0.9", NULL},
	    {400, "GET /", NULL},
	    {400, "GET", NULL},
	    {400, "GET  / HTTP/1.1", NULL},
	    {400, "GET /  HTTP/1.1", NULL},
	    {400, "GET / HTTP/1.1 ", NULL},
	    {400, "GET\t/ HTTP/1.1", NULL},
	    {400, "GET / \tHTTP/1.1", NULL},
	    {400, " GET / HTTP/1.1", NULL},
	    {400, "GET / http/1.1", NULL},
	    {400, "GET / HTTP/1.", NULL},
	    {400, "GET / HTTP/11", NULL},
	    {400, "GET / HTTP/1.10", NULL},
	    {400, "GET / HTTP/1,1", NULL},
	    {400, "GET / HTTPS/1.1", NULL},
	    {400, "G@T / HTTP/1.1", NULL},
	    {400, "G:T / HTTP/1.1", NULL},
	    {400, "G\xc9T / HTTP/1.1", NULL},
	    {400, "(GET) / HTTP/1.1", NULL},
	    {400, "GET x HTTP/1.1", NULL},
	    {400, "GET ?x HTTP/1.1", NULL},
	    {400, "GET a:80 HTTP/1.1", NULL},
	    {400, "GET * HTTP/1.1", NULL},
	    {400, "OPTIONS ** HTTP/1.1", NULL},
	    {400, "options * HTTP/1.1", NULL},
	    {400, "CONNECT /ws HTTP/1.1", NULL},
	    {400, "CONNECT a HTTP/1.1", NULL},
	    {400, "CONNECT a: HTTP/1.1", NULL},
	    {400, "CONNECT a:70000 HTTP/1.1", NULL},
	    {400, "GET /a#b HTTP/1.1", NULL},
	    {400, "GET /a\"b HTTP/1.1", NULL},
	    {400, "GET /a<b> HTTP/1.1", NULL},
	    {0, "GET /a\\b^c`d{e}f|g[h] HTTP/1.1", NULL},
	    {0, "GET /?a\\b^c`d{e}f|g[h] HTTP/1.1", NULL},
	    {0, "GET http://a?b|c HTTP/1.1", NULL},
	    {0, "GET /\xc3\xa9?\xe2\x82\xac\xf0\x9f\x98\x80 HTTP/1.1", NULL},
	    {400, "GET /?a\"b HTTP/1.1", NULL},
	    {400, "GET /?a<b HTTP/1.1", NULL},
	    {400, "GET /?a>b HTTP/1.1", NULL},
	    {400, "GET /?a#b HTTP/1.1", NULL},
	    {400, "GET /?\xc3 HTTP/1.1", NULL},
	    {400, "GET /?\xa9 HTTP/1.1", NULL},
	    {400, "GET /?\xed\xa0\x80 HTTP/1.1", NULL},
	    {400, "GET /?\xc2\x85 HTTP/1.1", NULL},
	    {400, "GET /\xff HTTP/1.1", NULL},
	    {400, "GET http://a|b/ HTTP/1.1", NULL},
	    {400, "GET http://\xc3\xa9/ HTTP/1.1", NULL},
	    {400, "GET /\x7f HTTP/1.1", NULL},
	    {400, "GET /\x01 HTTP/1.1", NULL},
	    {400, "GET /% HTTP/1.1", NULL},
	    {400, "GET /%4 HTTP/1.1", NULL},
	    {400, "GET /%zz HTTP/1.1", NULL},
	    {400, "GET /?%4g HTTP/1.1", NULL},
	    {400, "GET http:/ws HTTP/1.1", NULL},
	    {400, "GET http:///ws HTTP/1.1", NULL},
	    {400, "GET http://:80/ws HTTP/1.1", NULL},
	    {400, "GET http://u@a/ws HTTP/1.1", NULL},
	    {400, "GET http://u:p@a/ws HTTP/1.1", NULL},
	    {400, "GET http://a:x/ws HTTP/1.1", NULL},
	    {400, "GET http://[::1/ws HTTP/1.1", NULL},
	    {400, "GET http://a#f HTTP/1.1", NULL},
	    {400, "GET ws://a/ws HTTP/1.1", NULL},
	    {400, "GET ftp://a/ws HTTP/1.1", NULL},
	};

	RUN(table);
}

/* RFC 9112 5: names, values, folding, line ends. */
static void
test_fields(void **state)
{
	static const struct head table[] = {
	    {0, "GET / HTTP/1.1", "Host: a\r\nX:\r\n"},
	    {0, "GET / HTTP/1.1", "Host: a\r\nX: \t \r\n"},
	    {0, "GET / HTTP/1.1", "hOsT:a\r\nX-_.~!#$%&'*+^`|9:b:c\r\n"},
	    {0, "GET / HTTP/1.1", "Host:\t a \t\r\nX: \x80\xff\tb\r\n"},
	    {0, "GET / HTTP/1.1", "Host: a\r\nX: 1\r\nX: 2\r\n"},
	    {400, "GET / HTTP/1.1", "Host : a\r\n"},
	    {400, "GET / HTTP/1.1", "Host\t: a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX : b\r\n"},
	    {400, "GET / HTTP/1.1", " Host: a\r\n"},
	    {400, "GET / HTTP/1.1", "\tX: b\r\nHost: a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: b\r\n c\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: b\r\n\tc\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\n \r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nno colon\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\n: b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX Y: b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX(Y): b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX\x80: b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX@: b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: b\rc\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: b\r\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: b\nY: c\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\n"},
	    {400, "GET / HTTP/1.1\nX: y", NULL},
	    {400, "GET / HTTP/1.1\rX: y", NULL},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: \x01\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: \x1b[0m\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: \x7f\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX: \v\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nX\x0c: b\r\n"},
	};
	static const char nul[] =
	    "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
	static const char nul_name[] =
	    "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n";
	struct http_request r;

	RUN(table);
	assert_int_equal(verdict(nul, sizeof(nul) - 1, &r), 400);
	assert_int_equal(verdict(nul_name, sizeof(nul_name) - 1, &r), 400);
}

/* RFC 9112 3.2: exactly one Host, whatever the target. */
static void
test_host(void **state)
{
	static const struct head table[] = {
	    {0, "GET / HTTP/1.1", "Host: example.com:80\r\n"},
	    {0, "GET / HTTP/1.1", "Host: example.com:\r\n"},
	    {0, "GET / HTTP/1.1", "Host: 127.0.0.1\r\n"},
	    {0, "GET / HTTP/1.1", "Host: [::1]\r\n"},
	    {0, "GET / HTTP/1.1", "Host: [::ffff:1.2.3.4]:8080\r\n"},
	    {0, "GET / HTTP/1.1", "Host: [v1.a:b]\r\n"},
	    {0, "GET / HTTP/1.1", "Host: a%20b_c~!$&'()*+,;=\r\n"},
	    {0, "GET / HTTP/1.1", "Host: a:65535\r\n"},
	    {400, "GET / HTTP/1.1", ""},
	    {400, "GET / HTTP/1.1", "X-Host: a\r\n"},
	    {400, "GET http://a/ HTTP/1.1", ""},
	    {400, "GET / HTTP/1.1", "Host: a\r\nHost: a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nhost: b\r\n"},
	    {400, "GET http://a/ HTTP/1.1", "Host: a\r\nHost: a\r\n"},
	    {400, "GET http://a/ HTTP/1.1", "Host: a b\r\n"},
	    {400, "GET / HTTP/1.1", "Host:\r\n"},
	    {400, "GET / HTTP/1.1", "Host: :80\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a, b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: http://a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: u@a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a/b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a:80:80\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a:b\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a:-1\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a:65536\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a:99999999999999999999999\r\n"},
	    {400, "GET / HTTP/1.1", "Host: ::1\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [::1\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [::1]x\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [::g]\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [::1%25eth0]\r\n"},
	    {400, "GET / HTTP/1.1", "Host: []\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [v.a]\r\n"},
	    {400, "GET / HTTP/1.1", "Host: [v1.]\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a%2\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\"\r\n"},
	    {400, "GET / HTTP/1.1", "Host: \xc3\xa9\r\n"},
	};

	RUN(table);
}

/* A body is announced by nobody who wants to chat. */
static void
test_body(void **state)
{
	static const struct head table[] = {
	    {0, "GET / HTTP/1.1", "Host: a\r\nContent-Length: 0\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: 1\r\n"},
	    {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 1\r\n"},
	    {400, "GET /api/x HTTP/1.1", "Host: a\r\nContent-Length: 1\r\n"},
	    {400, "POST /api/ HTTP/1.1", "Host: a\r\nContent-Length: 1\r\n"},
	    {0, "POST /api/x HTTP/1.1", "Host: a\r\nContent-Length: 1\r\n"},
	    {400, "POST /api/x HTTP/1.1",
		"Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n"},
	    {400, "POST /api/x HTTP/1.1",
		"Host: a\r\nX-API-Key: a\r\nX-API-Key: a\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length:\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: -0\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: +0\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: 0x0\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: 0, 0\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\nContent-Length: 0 0\r\n"},
	    {400, "GET / HTTP/1.1",
		"Host: a\r\nContent-Length: 0\r\ncontent-length: 0\r\n"},
	    {400, "GET / HTTP/1.1",
		"Host: a\r\nContent-Length: 18446744073709551616\r\n"},
	    {400, "GET / HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"},
	    {400, "GET /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"},
	    {400, "POST /x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"},
	    {0, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: \tChunked \r\n"},
	    /* RFC 9112 6.1: its framing is faulty */
	    {400, "POST /api/x HTTP/1.0",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"},
	    /* which of two framings holds is never guessed */
	    {400, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"
		"Content-Length: 0\r\n"},
	    {400, "POST /api/x HTTP/1.1",
		"Host: a\r\nContent-Length: 5\r\n"
		"Transfer-Encoding: chunked\r\n"},
	    {400, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n"},
	    {501, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"},
	    {501, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked, chunked\r\n"},
	    {501, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: identity\r\n"},
	    {501, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: xchunked\r\n"},
	    {501, "POST /api/x HTTP/1.1",
		"Host: a\r\nTransfer-Encoding: chunked;a=b\r\n"},
	    {501, "POST /api/x HTTP/1.1", "Host: a\r\nTransfer-Encoding:\r\n"},
	    {400, "GET / HTTP/1.1", "Host: a\r\ntransfer-encoding:\r\n"},
	};

	RUN(table);
}

/* RFC 6455 9.1, with RFC 7230's lists; other lists of the upgrade. */
static void
test_lists(void **state)
{
#define EXT "Host: a\r\nSec-WebSocket-Extensions: "
#define GET "GET / HTTP/1.1"
	static const struct head table[] = {
	    {0, GET, EXT "foo\r\n"},
	    {0, GET, EXT "foo, bar; baz=2\r\n"},
	    {0, GET, EXT "foo;a;b=c;d=\"e\"\r\n"},
	    {0, GET, EXT "foo ; a = b , bar\r\n"},
	    {0, GET, EXT "foo; a=\"\\b\\c\"\r\n"},
	    {0, GET, EXT ", foo,,bar,\r\n"},
	    {0, GET, EXT "\r\nSec-WebSocket-Extensions: foo\r\n"},
	    {400, GET, EXT "\r\n"},
	    {400, GET, EXT ",\r\n"},
	    {400, GET, EXT ";\r\n"},
	    {400, GET, EXT "foo;\r\n"},
	    {400, GET, EXT "foo;;a\r\n"},
	    {400, GET, EXT "foo;a;\r\n"},
	    {400, GET, EXT "foo;=b\r\n"},
	    {400, GET, EXT "foo=b\r\n"},
	    {400, GET, EXT "foo;a=\r\n"},
	    {400, GET, EXT "foo;a=b=c\r\n"},
	    {400, GET, EXT "foo bar\r\n"},
	    {400, GET, EXT "foo;a b\r\n"},
	    {400, GET, EXT "foo;a=\"\"\r\n"},
	    {400, GET, EXT "foo;a=\"b c\"\r\n"},
	    {400, GET, EXT "foo;a=\"b,c\"\r\n"},
	    {400, GET, EXT "foo;a=\"b\r\n"},
	    {400, GET, EXT "foo;a=\"b\\\r\n"},
	    {400, GET, EXT "foo;a=\"b\"c\r\n"},
	    {400, GET, EXT "foo;a=b\"\r\n"},
	    {400, GET, EXT "\"foo\"\r\n"},
	    {400, GET, EXT "foo\r\nSec-WebSocket-Extensions: @\r\n"},
	    {0, GET, "Host: a\r\nSec-WebSocket-Protocol: a, b\r\n"},
	    {400, GET, "Host: a\r\nSec-WebSocket-Protocol: a b\r\n"},
	    {0, GET, "Host: a\r\nSec-WebSocket-Protocol:\r\n"},
	    {0, GET, "Host: a\r\nSec-WebSocket-Protocol: , \r\n"},
	    {400, GET,
		"Host: a\r\nSec-WebSocket-Protocol: a\r\n"
		"Sec-WebSocket-Protocol: b@\r\n"},
	    {0, GET, "Host: a\r\nConnection:\r\nUpgrade: ,\r\n"},
	    {0, GET, "Host: a\r\nUpgrade: h2c, HTTP/3.0\r\n"},
	    {400, GET, "Host: a\r\nConnection: a b\r\n"},
	    {400, GET, "Host: a\r\nUpgrade: a/\r\n"},
	    {400, GET, "Host: a\r\nUpgrade: /a\r\n"},
	    {400, GET, "Host: a\r\nUpgrade: a/b/c\r\n"},
	    {400, GET, "Host: a\r\nOrigin: http://a\r\nOrigin: http://a\r\n"},
	};

	RUN(table);
}

/* The first control character is found at each place, whatever is around it. */
static void
test_visible(void **state)
{
	char text[24];
	size_t at;
	int c;

	for (at = 0; at < sizeof(text); at++)
		for (c = 0; c < 256; c++) {
			const bool control = c < ' ' || c == 0x7f;

			memset(text, at % 2 == 0 ? ' ' : 0xff, sizeof(text));
			memset(text + at, 0x7f, sizeof(text) - at);
			text[at] = (char)c;
			assert_int_equal(http_visible(text, sizeof(text)),
			    control			? at
				: at + 1 < sizeof(text) ? at + 1
							: sizeof(text));
			assert_int_equal(http_visible(text, at), at);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_lines),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_body),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_visible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
