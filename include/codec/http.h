/*
 * http: the head of one request of HTTP/1.1 or 1.0, judged strictly by RFC 9110
 * and 9112. Layer 1, pure. Spans point into the caller's bytes (a path that an
 * absolute target leaves out is a constant "/").
 */
#ifndef CHATD_CODEC_HTTP_H
#define CHATD_CODEC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_HEAD_MAX = 65536, /* `request-size` may be at most that */
	/* More than haproxy lets through (101). Larger: a head may cost more
	 * time; smaller: what proxies add may be too much. */
	HTTP_FIELDS_MAX = 128,
	HTTP_KEY_LEN = 24
};

struct http_span {
	const char *p; /* not terminated; NULL if absent */
	size_t len;
};

struct http_request {
	struct http_span method, path;
	struct http_span query;	     /* without '?'; NULL: none */
	struct http_span host;	     /* of the target if absolute, else Host;
				      * NULL: HTTP/1.0 without any */
	struct http_span origin;     /* Origin, NULL if absent */
	struct http_span key;	     /* Sec-WebSocket-Key, canonical, or NULL */
	struct http_span fields;     /* all field lines, for http_offers() */
	struct http_span none_match; /* last If-None-Match, NULL if absent */
	struct http_span api_key, authorization; /* NULL if absent */
	/* What proxies say of a client; the last field of each, or NULL. */
	struct http_span forwarded, forwarded_for, via, real_ip;
	uint64_t length;	  /* of the body, which a POST may have */
	bool has_length, expects; /* Content-Length, Expect: 100-continue */
	int minor;	    /* of HTTP/1.x: 0 or 1; with 0 no upgrade and no
			     * expectation is heard (RFC 9110 7.8, 10.1.1) */
	bool offers;	    /* any Sec-WebSocket-Protocol field */
	bool chunked;	    /* Transfer-Encoding: chunked, of such a body */
	bool encoded;	    /* Content-Encoding is another than identity */
	bool close;	    /* Connection: close, or HTTP/1.0 */
	int version;	    /* Sec-WebSocket-Version; -1 if absent */
	bool upgrade;	    /* Upgrade: websocket and Connection: upgrade */
	bool key_bad;	    /* a key that is missing, doubled, not canonical */
	bool version_bad;   /* doubled or not a number */
	bool gzip;	    /* Accept-Encoding names it, not with q=0 */
	int status;	    /* of a refused head: 400, 431, 501, 505 */
	const char *reason; /* one line for the answer's body */
};

/*
 * Looks for the end of the head in buf[0, len). *scanned (0 at first) is where
 * it left off, so that a head that comes byte by byte is read once. Returns
 * the head's length with its empty line, 0 if more is needed, -1 if it cannot
 * be one any more or is longer than HTTP_HEAD_MAX (status and reason in *r).
 */
int http_head_end(
    const char *buf, size_t len, size_t *scanned, struct http_request *r);

/*
 * Parses a complete head of len bytes. Returns 0, or -1 with r->status and
 * r->reason. What is wrong with the upgrade alone (key, version) is left to
 * the caller in key_bad and version_bad, as path and method are judged first.
 * takes_body: whether a POST for a path may have a body; NULL: none may.
 */
int http_parse(const char *head, size_t len,
    bool (*takes_body)(struct http_span path), struct http_request *r);

/* Whether a span is that text; an absent one is none. */
bool http_span_is(struct http_span s, const char *text);

/* Whether any Sec-WebSocket-Protocol field of a good head has that subprotocol:
 * a list may be cut into several fields (RFC 6455 11.3.4). */
bool http_offers(const struct http_request *r, const char *protocol);

/* Sec-WebSocket-Accept for a key of HTTP_KEY_LEN bytes (RFC 6455 4.2.2), NUL
 * terminated. */
void http_accept_key(const char *key, char out[29]);

/*
 * Percent-decodes ('+' stays a plus). Returns the decoded length, or -1 if an
 * escape is malformed or the result is longer than cap. Any byte may come out.
 */
int http_decode(struct http_span in, char *out, size_t cap);

/*
 * The value of the first parameter of that name in a query "a=b&c=d". Returns
 * false if there is none. The span is still encoded.
 */
bool http_parameter(
    struct http_span query, const char *name, struct http_span *value);

/* What every 503 says: when to come back, in seconds. Larger: clients are away
 * for longer than need be; smaller: all of them come back at once. */
#define HTTP_RETRY "Retry-After: 5\r\n"

/* A 503 without a body, for a client that is not read any more. */
#define HTTP_BUSY                              \
	"HTTP/1.1 503 Service Unavailable\r\n" \
	"Content-Length: 0\r\n" HTTP_RETRY "Connection: close\r\n\r\n"

#endif
