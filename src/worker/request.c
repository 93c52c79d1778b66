/* A connection's HTTP request, until it is a WebSocket or refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "chat/conn.h"
#include "codec/http.h"
#include "door/door.h"
#include "hub/stats.h"
#include "private.h"

/* Answers and closes. */
static void
refuse(struct chat *ch, uint32_t i, const struct route *route)
{
	size_t cap = ROUTE_ANSWER_MAX + route->body_len, n;
	char *answer = malloc(cap);

	if (answer == NULL) {
		conn_drop(ch, i, "out of memory");
		return;
	}
	n = route_answer(route, NULL, answer, cap);
	log_debug("%s: %d %s", conn_name(ch, i), route->status,
	    route->status < 400 ? "" : route->body);
	conn_refuse(ch, i, answer, n);
	free(answer);
}

/* Tables are full. */
static void
refuse_full(struct chat *ch, uint32_t i)
{
	struct route route;

	route_refuse(503, "the server is full", &route);
	route.headers = "Retry-After: 5\r\n";
	log_warn("a table is full: a connection was refused");
	refuse(ch, i, &route);
}

/* Hands on the bytes that came behind the request: the first frames. They
 * pass through the stage like all input. */
static void
first_frames(
    struct chat *ch, uint32_t i, const char *bytes, size_t len, uint64_t start)
{
	struct hub *h = ch->hub;
	uint8_t *stage = h->stage + (size_t)h->self * SHM_STAGE;

	SHM_STORE(h->me->stage_conn, 0);
	SHM_STORE(h->me->stage_start, start);
	SHM_STORE(h->me->stage_conn, slot_id(h, i));
	memcpy(stage, bytes, len);
	conn_input(ch, i, start, stage, len);
}

/* Makes it a connection of the door that it asked for; false: a table is
 * full. */
static bool
request_open(struct chat *ch, uint32_t i, const struct route *route,
    const char *answer, size_t len, uint64_t used)
{
	bool later = route->door == DOOR_CENTRIFUGO; /* with its connect */

	if (later)
		centrifugo_name(ch, i, route->user, route->user_len);
	if (conn_open(ch, i, route->door, route->user,
		later ? 0 : route->user_len, route->device, route->device_len,
		answer, len, used) == 0)
		return true;
	if (later)
		centrifugo_name(ch, i, NULL, 0);
	return false;
}

/* A complete head of n bytes, with `more` bytes behind it. */
static void
request_complete(
    struct chat *ch, uint32_t i, const char *head, size_t n, size_t more)
{
	static char rest[HTTP_HEAD_MAX];
	char answer[ROUTE_ANSWER_MAX];
	struct http_request r;
	struct route route;
	size_t len;

	if (http_parse(head, n, &r) < 0) {
		route_refuse(r.status, r.reason, &route);
		refuse(ch, i, &route);
		return;
	}
	route_request(&ch->live, &r, &route);
	if (route.status != 101) {
		refuse(ch, i, &route);
		return;
	}
	len = route_answer(&route, &r, answer, sizeof(answer));
	/* its private bytes go with conn_open: keep what is behind */
	memcpy(rest, head + n, more);
	if (!conn_has_slot(ch, i) ||
	    !request_open(ch, i, &route, answer, len, n)) {
		refuse_full(ch, i);
		return;
	}
	if (more > 0)
		first_frames(ch, i, rest, more, n);
}

/* Keeps an incomplete request for later. */
static bool
keep(struct conn *c, const char *bytes, size_t len)
{
	if (c->request.bytes == NULL)
		c->request.bytes = malloc(HTTP_HEAD_MAX);
	if (c->request.bytes == NULL)
		return false;
	if (c->request.bytes != bytes)
		memcpy(c->request.bytes, bytes, len);
	c->request.len = (uint16_t)len;
	return true;
}

void
request_input(struct chat *ch, uint32_t i)
{
	static char fresh[HTTP_HEAD_MAX];
	struct conn *c = &ch->conn[i];
	char *b = c->request.bytes != NULL ? c->request.bytes : fresh;
	size_t len = c->request.len, scanned = c->request.scanned;
	struct http_request r;
	struct route route;
	ssize_t got;
	int n;

	got = recv(c->fd, b + len, HTTP_HEAD_MAX - len, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		conn_drop(ch, i, got == 0 ? NULL : strerror(errno));
		return;
	}
	if (got < 0)
		return;
	len += (size_t)got;
	n = http_head_end(b, len, &scanned, &r);
	c->request.scanned = (uint16_t)scanned;
	if (n > 0) {
		request_complete(ch, i, b, (size_t)n, len - (size_t)n);
	} else if (n < 0 || len == HTTP_HEAD_MAX) {
		if (n == 0) {
			r.status = 431;
			r.reason = "the request's head is over 8 KiB";
		}
		route_refuse(r.status, r.reason, &route);
		refuse(ch, i, &route);
	} else if (!keep(c, b, len))
		conn_drop(ch, i, "out of memory");
}

void
request_late(struct chat *ch, uint32_t i)
{
	struct route route;

	route_refuse(408, "the request took too long", &route);
	refuse(ch, i, &route);
}
