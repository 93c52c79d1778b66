#include "conn/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/http.h"
#include "conn/answer.h"
#include "conn/body.h"
#include "conn/conn.h"
#include "conn/head.h"
#include "conn/refusal.h"
#include "conn/route.h"
#include "conn/socket.h"
#include "hub/stage.h"

/* While connections are drained no new one begins; requests of backends, for
 * the clients that are still here, go on. */
static void
request_drained(struct route *route)
{
	if (route->status == 100 || route->status >= 400)
		return;
	route_refuse(503,
	    "draining: this server sends its clients away, try another one",
	    route);
	route->headers = HTTP_RETRY;
}

/* A table is full: says which. */
static void
request_refuse_full(struct chat *ch, uint32_t i)
{
	const char *why = ch->members->refused();
	struct route route;
	char text[256];

	if (why == NULL) {
		why = conn_has_slot(ch, i)
		    ? "output-memory is full (key output-memory)"
		    : "all connections are in use (key connections)";
		log_warn("a connection was refused: %s", why);
	}
	snprintf(text, sizeof(text), "the server is full: %s", why);
	route_refuse(503, text, &route);
	route.headers = HTTP_RETRY;
	request_refuse(ch, i, &route);
}

/* There is no room in input-memory. */
static void
request_refuse_memory(struct chat *ch, uint32_t i)
{
	struct route route;

	route_refuse(503, "there is no memory for the request", &route);
	route.headers = HTTP_RETRY;
	route.key = "input-memory";
	request_refuse(ch, i, &route);
}

/* The bytes that came behind the request, the first frames, pass through the
 * stage like all input. They are there before the connection is open, so that a
 * worker which takes it over reads them again. */
static void
request_stage(
    struct chat *ch, uint32_t i, const char *bytes, size_t len, uint64_t start)
{
	struct hub *h = ch->hub;

	stage_clear(h);
	if (len == 0)
		return;
	memcpy(stage_at(h, h->self, 0), bytes, len);
	stage_name(h, slot_id(h, i), start);
}

/* Makes it a connection of the door that it asked for; false: a table is
 * full. */
static bool
request_open(struct chat *ch, uint32_t i, const struct route *route,
    const char *answer, size_t len, uint64_t used)
{
	const struct door *door = route->door;
	bool later = door->keep_name != NULL;

	if (conn_open(ch, i, door, route->user, later ? 0 : route->user_len,
		route->device, route->device_len, answer, len, used) == 0)
		return true;
	if (later)
		(void)door->keep_name(ch, i, NULL, 0);
	stage_clear(ch->hub);
	return false;
}

/* Opens a WebSocket; its head of n bytes has `more` bytes behind it. */
static void
request_upgrade(struct chat *ch, uint32_t i, const struct http_request *r,
    const struct route *route, const char *head, size_t n, size_t more)
{
	char answer[ROUTE_ANSWER_MAX];
	size_t len =
	    route_answer(route, r, conn_hsts_ms(ch, i), answer, sizeof(answer));

	if (!conn_has_slot(ch, i))
		request_refuse_full(ch, i);
	else if (route->door->keep_name != NULL &&
	    !route->door->keep_name(ch, i, route->user, route->user_len))
		request_refuse_memory(ch, i);
	else {
		request_stage(ch, i, head + n, more, n);
		if (!request_open(ch, i, route, answer, len, n))
			request_refuse_full(ch, i);
		else if (more > 0)
			conn_input(ch, i, n,
			    stage_at(ch->hub, ch->hub->self, 0), more);
	}
}

/* Whether the path is not served, or the door not open, at the endpoint that
 * the connection came through. */
static bool
request_is_elsewhere(const struct endpoint *e, const struct route *route)
{
	return (route->at != 0 && (route->at >> e->purpose & 1) == 0) ||
	    (route->status == 101 && !endpoint_has(e, route->door->id));
}

/* Says so. */
static void
request_elsewhere(struct route *route)
{
	route_refuse(404, "that is not served at this address", route);
	route->key = "listen";
}

/* A complete head of n bytes, with `more` bytes behind it. Returns as
 * body_begin(). */
static size_t
request_complete(struct chat *ch, uint32_t i, char *head, size_t n, size_t more)
{
	struct http_request r;
	struct route route;

	if (http_parse(head, n, ch->judge->takes_body, &r) < 0)
		route_refuse(r.status, r.reason, &route);
	else
		ch->judge->request(&ch->live, &r, &route);
	if (request_is_elsewhere(conn_endpoint(ch, i), &route))
		request_elsewhere(&route);
	if (ch->draining)
		request_drained(&route);
	/* positions in its slot count from the socket's first byte */
	if (route.status == 101 && ch->conn[i].again)
		route_refuse(
		    400, "a WebSocket needs a connection of its own", &route);
	route.head = r.method.len == 4 && memcmp(r.method.p, "HEAD", 4) == 0;
	if (route.status == 100)
		return body_begin(ch, i, &r, route.path, head, n, more);
	if (route.status == 101)
		request_upgrade(ch, i, &r, &route, head, n, more);
	else
		request_refuse(ch, i, &route);
	return 0;
}

/* The head is over the limit. */
static void
request_too_long(struct chat *ch, uint32_t i)
{
	static char why[64];
	struct route route;

	snprintf(why, sizeof(why), "the request's head is over %u bytes",
	    ch->live.request_size);
	route_refuse(431, why, &route);
	route.key = "request-size";
	request_refuse(ch, i, &route);
}

/* A head of len bytes, of which the last `got` have just come, is not complete:
 * those are kept. */
static void
request_wait(struct chat *ch, uint32_t i, const char *head, size_t len,
    size_t got, size_t scanned)
{
	if (len >= ch->live.request_size)
		request_too_long(ch, i);
	else if (head_keep(ch, i, head + len - got, got))
		ch->conn[i].request.scanned = scanned & INT32_MAX;
	else
		request_refuse_memory(ch, i);
}

/* Handles the requests in these bytes, one after the other; the last `got`
 * bytes are not kept yet. All of them came in one read, so the number of
 * requests is bounded. */
static void
request_bytes(struct chat *ch, uint32_t i, char *b, size_t len, size_t got)
{
	size_t scanned = ch->conn[i].request.scanned, used;
	struct http_request r;
	struct route route;
	int n;

	while ((n = http_head_end(b, len, &scanned, &r)) > 0) {
		head_forget(ch, i); /* all of it is in b */
		used = request_complete(ch, i, b, (size_t)n, len - (size_t)n);
		if (used == 0)
			return;
		line_tick(ch->hub);
		conn_request_clear(ch, i);
		b += used;
		len -= used;
		got = len;
		scanned = 0;
		if (len == 0)
			return;
	}
	if (n == 0) {
		request_wait(ch, i, b, len, got, scanned);
		return;
	}
	route_refuse(r.status, r.reason, &route);
	request_refuse(ch, i, &route);
}

/* More of a head, or the last of it. */
static void
request_head_input(struct chat *ch, uint32_t i)
{
	static char head[HTTP_HEAD_MAX];
	struct conn *c = &ch->conn[i];
	size_t len = c->request.len;
	ssize_t got;

	if (len >= ch->live.request_size) { /* the limit was lowered */
		request_too_long(ch, i);
		return;
	}
	if (!head_read(ch, i, head)) {
		conn_drop(ch, i, "shared memory is corrupted");
		return;
	}
	got = conn_recv(ch, i, head + len, ch->live.request_size - len);
	KILL_POINT();
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		conn_drop(ch, i, got == 0 ? NULL : strerror(errno));
		return;
	}
	if (got > 0)
		request_bytes(ch, i, head, len + (size_t)got, (size_t)got);
}

/* Goes on behind a request that is answered, with the bytes that came there. */
static void
request_next(struct chat *ch, uint32_t i, char *bytes, size_t len)
{
	conn_request_clear(ch, i);
	if (len > 0)
		request_bytes(ch, i, bytes, len, len);
}

void
request_input(struct chat *ch, uint32_t i)
{
	char *next;
	size_t len;

	if (!ch->conn[i].request.has_body)
		request_head_input(ch, i);
	else if (body_input(ch, i, &next, &len))
		request_next(ch, i, next, len);
}

void
request_answer_more(struct chat *ch, uint32_t i)
{
	char *next;
	size_t len;
	void *answer = conn_answer_more(ch, i, &next, &len);

	if (answer != NULL)
		request_next(ch, i, next, len);
	free(answer);
}

void
request_again(struct chat *ch, uint32_t i)
{
	bool another;
	char *next;
	size_t len;
	void *bytes = body_again(ch, i, &another, &next, &len);

	if (another)
		request_next(ch, i, next, len);
	free(bytes);
	if (ch->conn[i].phase == CONN_REQUEST)
		conn_watch(ch, i);
}

void
request_late(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];
	struct route route;

	if (c->waits)
		return; /* hold_sweep() has its limit */
	if (c->request.len == 0) {
		/* a browser has opened it in advance and asked for nothing, or
		 * a 408 would be taken for the answer to its next request */
		log_debug("%s: no request came", conn_peer(ch, i));
		conn_linger(ch, i);
		return;
	}
	route_refuse(408, "the request took too long", &route);
	request_refuse(ch, i, &route);
}
