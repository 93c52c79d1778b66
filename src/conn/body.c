#include "conn/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/http.h"
#include "codec/http_chunked.h"
#include "conn/answer.h"
#include "conn/conn.h"
#include "conn/head.h"
#include "conn/refusal.h"
#include "conn/route.h"
#include "conn/socket.h"

/* A body that is not whole yet, or waits for an answer, with its head: what
 * `bytes` of a request is. */
struct body {
	size_t head; /* bytes of the head */
	size_t len;  /* bytes of head and body so far */
	size_t cap;  /* room for both; without chunks: all that is to come */
	const struct door_route *path; /* that it is for */
	bool chunked;
	struct http_chunked chunks;
	size_t more;		  /* of one that waits: bytes behind it, */
	struct hold_request hold; /* and what for */
	char bytes[];
};

/* Bytes of a body in chunks that are read at once. */
enum { BODY_READ = 8192 };

/* Refuses what is no body. */
static void
body_refuse(struct chat *ch, uint32_t i, int status, const char *why)
{
	struct route route;

	route_refuse(status, why, &route);
	request_refuse(ch, i, &route);
}

/* Whether the connection stays for another request. */
static bool
body_keeps(const struct chat *ch, uint32_t i, const struct http_request *r)
{
	return !r->close && !ch->parting && conn_has_slot(ch, i);
}

/* A request that is whole: a head of n bytes, and a body of len behind it. */
struct whole {
	const struct http_request *r;
	const struct door_route *path;
	const char *head;
	size_t n, len;
	const char *next; /* the input behind it, */
	size_t more;	  /* bytes */
};

/* Makes a body the connection's request in place of its head. */
static void
body_set(struct chat *ch, uint32_t i, struct body *b)
{
	struct conn *c = &ch->conn[i];

	head_forget(ch, i);
	c->request.bytes = (char *)b;
	c->request.len = (uint32_t)b->len;
	c->request.has_body = true;
}

/* Keeps a request that waits for an answer, with the input behind it. False:
 * there is no memory. */
static bool
body_hold(struct chat *ch, uint32_t i, const struct whole *w)
{
	const size_t len = w->n + w->len;
	struct body *b = malloc(sizeof(*b) + len + w->more);

	if (b == NULL || !hold_request_begin(ch, i, &b->hold)) {
		free(b);
		return false;
	}
	b->head = w->n;
	b->len = b->cap = len;
	b->path = w->path;
	b->more = w->more;
	memcpy(b->bytes, w->head, len);
	if (w->more > 0)
		memcpy(b->bytes + len, w->next, w->more);
	if (ch->conn[i].request.has_body)
		free(ch->conn[i].request.bytes);
	body_set(ch, i, b);
	return true;
}

/* Has the door answer. False: the request waits. */
static bool
body_ask(
    struct chat *ch, uint32_t i, const struct whole *w, struct route *route)
{
	for (;;) {
		ch->hold.what = HOLD_NOTHING;
		ch->hold.conn = i;
		w->path->answer(ch, w->r, w->head + w->n, w->len, route);
		if (!hold_is_wanted(ch)) {
			ch->members->request_ended(ch, i);
			return true;
		}
		if (body_hold(ch, i, w))
			return false;
		hold_deny(ch);
	}
}

/* Answers a request that is whole. True: another one may come, beginning with
 * the input behind this. */
static bool
body_answer(struct chat *ch, uint32_t i, const struct whole *w)
{
	char fields[40], *answer;
	struct route route;
	bool goes_on;
	size_t n;

	if (!body_ask(ch, i, w, &route))
		return false;
	if (route.status != 200) {
		request_refuse(ch, i, &route);
		return false;
	}
	answer = malloc(ROUTE_ANSWER_MAX + route.body_len);
	if (answer == NULL) {
		conn_drop(ch, i, "out of memory");
		return false;
	}
	route.keep = body_keeps(ch, i, w->r);
	if (route.keep && ch->live.handshake_ms >= 1000) {
		snprintf(fields, sizeof(fields), "Keep-Alive: timeout=%u\r\n",
		    (unsigned int)(ch->live.handshake_ms / 1000));
		route.headers = fields;
	}
	n = route_answer(&route, w->r, conn_hsts_ms(ch, i), answer,
	    ROUTE_ANSWER_MAX + route.body_len);
	goes_on = conn_reply(ch, i, answer, n, route.keep, w->next, w->more);
	free(answer);
	return goes_on;
}

/* Answers a request that has come just now. */
static bool
body_answer_new(struct chat *ch, uint32_t i, const struct whole *w)
{
	ch->hold = (struct hold_hand){.ended = HOLD_NOT};
	return body_answer(ch, i, w);
}

/* Begins to keep a body that is not whole: n bytes of head and body. */
static struct body *
body_new(const struct http_request *r, const struct door_route *path,
    const char *bytes, size_t head, size_t n)
{
	size_t cap = r->chunked ? n : head + (size_t)r->length;
	struct body *b = malloc(sizeof(*b) + cap);

	if (b == NULL)
		return NULL;
	*b = (struct body){.head = head,
	    .len = n,
	    .cap = cap,
	    .path = path,
	    .chunked = r->chunked};
	memcpy(b->bytes, bytes, n);
	return b;
}

/* Adds n decoded bytes to a body in chunks; NULL: it is refused, or the
 * connection is ended. */
static struct body *
body_add(
    struct chat *ch, uint32_t i, struct body *b, const char *bytes, size_t n)
{
	struct conn *c = &ch->conn[i];
	size_t max = b->head + b->path->body_max(&ch->live), cap = b->cap;

	/* the limit may have become lower meanwhile */
	if (b->len > max || n > max - b->len ||
	    b->chunks.left > max - b->len - n) {
		body_refuse(ch, i, 413, "the body is too long");
		return NULL;
	}
	if (n > cap - b->len) {
		cap = cap + n > max / 2 ? max : 2 * (cap + n);
		b = realloc(b, sizeof(*b) + cap);
		if (b == NULL) { /* the request has it still */
			conn_drop(ch, i, "out of memory");
			return NULL;
		}
		b->cap = cap;
		c->request.bytes = (char *)b;
	}
	memcpy(b->bytes + b->len, bytes, n);
	b->len += n;
	return b;
}

/* Sends 100 Continue to a client that waits for that (RFC 9110 10.1.1). */
static void
body_invite(const struct chat *ch, uint32_t i)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	(void)conn_send(ch, i, go_on, sizeof(go_on) - 1);
}

/* Keeps what has come of a body: n bytes of head, then `have` of body. */
static struct body *
body_keep(struct chat *ch, uint32_t i, const struct http_request *r,
    const struct door_route *path, const char *head, size_t n, size_t have)
{
	struct body *b = body_new(r, path, head, n, n + have);

	if (b == NULL) {
		conn_drop(ch, i, "out of memory");
		return NULL;
	}
	if (r->expects)
		body_invite(ch, i);
	body_set(ch, i, b);
	return b;
}

/* Begins a body in chunks. */
static size_t
body_chunks_begin(struct chat *ch, uint32_t i, const struct http_request *r,
    const struct door_route *path, char *head, size_t n, size_t more)
{
	struct http_chunked chunks = {0};
	char *at = head + n;
	struct body *b;
	size_t used, have;

	switch (http_chunked_take(&chunks, at, more, &used, &have)) {
	case HTTP_CHUNKED_BAD:
		body_refuse(ch, i, 400, "malformed chunks");
		return 0;
	case HTTP_CHUNKED_DONE:
		return body_answer_new(ch, i,
			   &(struct whole){
			       r, path, head, n, have, at + used, more - used})
		    ? n + used
		    : 0;
	case HTTP_CHUNKED_MORE:
		break;
	}
	b = body_keep(ch, i, r, path, head, n, have);
	if (b != NULL) {
		b->chunks = chunks;
		(void)body_add(ch, i, b, "", 0);
	}
	return 0;
}

size_t
body_begin(struct chat *ch, uint32_t i, const struct http_request *r,
    const struct door_route *path, char *head, size_t n, size_t more)
{
	size_t whole = n + (size_t)r->length;

	if (r->chunked)
		return body_chunks_begin(ch, i, r, path, head, n, more);
	if (more < r->length) {
		(void)body_keep(ch, i, r, path, head, n, more);
		return 0;
	}
	return body_answer_new(ch, i,
		   &(struct whole){r, path, head, n, (size_t)r->length,
		       head + whole, more - (size_t)r->length})
	    ? whole
	    : 0;
}

/* A kept body is whole; `more` bytes came behind it. As body_answer(). */
static bool
body_done(
    struct chat *ch, uint32_t i, struct body *b, const char *next, size_t more)
{
	struct http_request r;

	if (http_parse(b->bytes, b->head, ch->judge->takes_body, &r) < 0) {
		conn_drop(ch, i, "its head has changed");
		return false;
	}
	return body_answer_new(ch, i,
	    &(struct whole){
		&r, b->path, b->bytes, b->head, b->len - b->head, next, more});
}

/* What came of a body in chunks. As body_input(). */
static bool
body_chunks_take(struct chat *ch, uint32_t i, struct body *b, char *bytes,
    size_t len, char **next, size_t *more)
{
	enum http_chunked_result r;
	size_t used, n;

	r = http_chunked_take(&b->chunks, bytes, len, &used, &n);
	if (r == HTTP_CHUNKED_BAD) {
		body_refuse(ch, i, 400, "malformed chunks");
		return false;
	}
	b = body_add(ch, i, b, bytes, n);
	*next = bytes + used;
	*more = len - used;
	return b != NULL && r == HTTP_CHUNKED_DONE &&
	    body_done(ch, i, b, *next, *more);
}

bool
body_input(struct chat *ch, uint32_t i, char **next, size_t *more)
{
	static char fresh[BODY_READ];
	struct conn *c = &ch->conn[i];
	struct body *b = (struct body *)(void *)c->request.bytes;
	ssize_t got;

	if (b->chunked)
		got = conn_recv(ch, i, fresh, sizeof(fresh));
	else /* no more: what is behind it is the next request's */
		got = conn_recv(ch, i, b->bytes + b->len, b->cap - b->len);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		conn_drop(ch, i, got == 0 ? NULL : strerror(errno));
		return false;
	}
	if (got < 0)
		return false;
	if (b->chunked)
		return body_chunks_take(
		    ch, i, b, fresh, (size_t)got, next, more);
	b->len += (size_t)got;
	*next = fresh;
	*more = 0;
	return b->len == b->cap && body_done(ch, i, b, fresh, 0);
}

void *
body_again(
    struct chat *ch, uint32_t i, bool *another, char **next, size_t *more)
{
	struct conn *c = &ch->conn[i];
	struct body *b = (struct body *)(void *)c->request.bytes;
	struct http_request r;

	hold_request_again(ch, &b->hold);
	hold_request_end(ch, i);
	conn_wait(ch, i, false);
	memset(&c->request, 0, sizeof(c->request));
	*next = b->bytes + b->len;
	*more = b->more;
	*another = false;
	if (http_parse(b->bytes, b->head, ch->judge->takes_body, &r) < 0)
		conn_drop(ch, i, "its head has changed");
	else
		*another = body_answer(ch, i,
		    &(struct whole){&r, b->path, b->bytes, b->head,
			b->len - b->head, *next, *more});
	return b;
}
