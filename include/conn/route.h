/*
 * route: what is to be done with a request, and what it is answered. What its
 * path means a door says (struct door_route). Layer 3.
 */
#ifndef CHATD_CONN_ROUTE_H
#define CHATD_CONN_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/http.h"
#include "codec/name.h"
#include "hub/slot.h"
#include "net/endpoint.h"

struct chat;
struct conf_live;
struct door;

/* What is to be done with a request. */
struct route {
	int status; /* 101: open the door; 100: read the body; else answer */
	const struct door *door;       /* of a 101 */
	const struct door_route *path; /* of a 100 */
	const char *body;     /* one line, sent with a newline, or a page */
	size_t body_len;      /* of a page; 0: body is a line */
	const char *type;     /* Content-Type of the body */
	const char *headers;  /* further ones, each with CRLF; "" */
	const char *protocol; /* subprotocol chosen; NULL: none */
	char user[NAME_UNPROVED_MAX];
	char device[SLOT_DEVICE_MAX];
	uint8_t user_len, device_len;
	uint8_t at;	/* where its path is served: ROUTE_...; 0: it is an
			 * answer anywhere */
	bool keep;	/* the connection stays, for another request */
	bool head;	/* the request was HEAD: no body is sent */
	char line[512]; /* what body points to, if it was made for a request */
	/* For the log, of a refusal: the reason in short, text of the client
	 * that it is about, in the request's own bytes, and the key that can
	 * allow it; or none. */
	const char *why;
	struct http_span about;
	const char *key;
};

/* The methods of a path, as its `Allow` tells them. */
#define DOOR_READS "Allow: GET, HEAD, OPTIONS\r\n"
#define DOOR_POSTS "Allow: POST, OPTIONS\r\n"

/* Where a path is served: a bit for each enum endpoint_purpose. */
enum {
	ROUTE_FOR_CLIENTS = 1 << ENDPOINT_PUBLIC | 1 << ENDPOINT_CLIENTS,
	ROUTE_FOR_BACKENDS = 1 << ENDPOINT_PUBLIC | 1 << ENDPOINT_ADMIN,
	ROUTE_FOR_ALL =
	    1 << ENDPOINT_PUBLIC | 1 << ENDPOINT_CLIENTS | 1 << ENDPOINT_ADMIN
};

/* A path that a door serves. OPTIONS and other methods than those that are
 * allowed are answered by who asks. */
struct door_route {
	const char *path;
	bool below;	   /* not that path, but all that begin with it */
	uint8_t at;	   /* where it is served; 0: ROUTE_FOR_CLIENTS */
	bool any_host;	   /* also for names that are not this server's */
	bool named;	   /* `?user=` is who connects: only with `insecure` */
	const char *allow; /* DOOR_READS, DOOR_POSTS */
	/* Whether there is such a path at present. NULL: always. */
	bool (*served)(const struct conf_live *live, struct http_span path);
	/* Answers a request. NULL: the path is a WebSocket's. */
	void (*judge)(const struct conf_live *live,
	    const struct http_request *r, struct route *out);
	/* Of a WebSocket: chooses its subprotocol and takes names, see
	 * route_names(). Returns NULL, or what is wrong. NULL: neither. */
	const char *(*open)(const struct http_request *r, struct route *out);
	/*
	 * Of a path that may have a body, for which judge says 100: the longest
	 * that is read, bytes, and what it is answered: status, body and its
	 * type, which are good until the next call.
	 */
	size_t (*body_max)(const struct conf_live *live);
	void (*answer)(struct chat *ch, const struct http_request *r,
	    const char *body, size_t len, struct route *out);
};

/* Says what is to be done with a request: the doors do, in one layer above. */
struct route_judge {
	/* Judges a parsed request. */
	void (*request)(const struct conf_live *live,
	    const struct http_request *r, struct route *out);
	/* Whether requests for a path may have a body, for http_parse(). */
	bool (*takes_body)(struct http_span path);
};

/* Fills *out with an error answer, or another that is one line of text: its
 * status and that line. */
void route_refuse(int status, const char *why, struct route *out);

/* The whole answer, 101 or other; hsts_ms: how long its client is to come by
 * TLS alone (RFC 6797), 0: that is not said. Returns its length (truncation
 * cannot happen with cap >= ROUTE_ANSWER_MAX + body_len). */
enum { ROUTE_ANSWER_MAX = 8192 };
size_t route_answer(const struct route *route, const struct http_request *r,
    uint64_t hsts_ms, char *out, size_t cap);

#endif
