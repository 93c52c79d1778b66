#include "redirect.h"

#include <stdio.h>
#include <string.h>

#include "conn/route.h"

#define REDIRECT_FOLDER "/.well-known/acme-challenge/"

enum {
	REDIRECT_HOST = 256, /* a name of DNS has at most 253 bytes */
	REDIRECT_LOCATION = REDIRECT_HEAD_MAX + REDIRECT_HOST + 64
};

/* A body is no reason to refuse a request: it is not read. */
static bool
redirect_body(struct http_span path)
{
	return true;
}

/* The name or address in a Host, without its port; false: it is none that could
 * stand in a URL, which the parser has let through (RFC 3986 3.2.2 allows more
 * than DNS does). */
static bool
redirect_host(struct http_span host, char out[REDIRECT_HOST])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *end;
	size_t n = host.len;

	if (host.len > 0 && host.p[0] == '[') { /* judged by the parser */
		end = memchr(host.p, ']', host.len);
		n = end != NULL ? (size_t)(end - host.p) + 1 : 0;
	} else if (host.len > 0 && (end = memchr(host.p, ':', n)) != NULL)
		n = (size_t)(end - host.p);
	if (n == 0 || n >= REDIRECT_HOST)
		return false;
	memcpy(out, host.p, n);
	out[n] = '\0';
	return out[0] == '[' || strspn(out, good) == n;
}

/* The field that says where to go; false: the request does not tell. */
static bool
redirect_location(const struct redirect *r, const struct http_request *q,
    char out[REDIRECT_LOCATION])
{
	char host[REDIRECT_HOST], port[8] = "";
	/* `OPTIONS *` is about the server, not a path */
	const bool path = q->path.len > 0 && q->path.p[0] == '/';

	if (q->host.p == NULL || !redirect_host(q->host, host))
		return false;
	if (r->port != REDIRECT_HTTPS)
		snprintf(port, sizeof(port), ":%u", r->port);
	snprintf(out, REDIRECT_LOCATION, "Location: https://%s%s%.*s%s%.*s\r\n",
	    host, port, path ? (int)q->path.len : 1, path ? q->path.p : "/",
	    q->query.p != NULL ? "?" : "", (int)q->query.len,
	    q->query.p != NULL ? q->query.p : "");
	return true;
}

/* Whether a request is for such a file, and of which token: "" if that cannot
 * be one (RFC 8555 8.3: base64url). */
static bool
redirect_token(struct http_span path, char token[CHALLENGE_TOKEN])
{
	const size_t folder = sizeof(REDIRECT_FOLDER) - 1;

	if (path.len < folder || memcmp(path.p, REDIRECT_FOLDER, folder) != 0)
		return false;
	if (!challenge_token(path.p + folder, path.len - folder, token))
		token[0] = '\0';
	return true;
}

/* Writes an answer. */
static size_t
redirect_put(struct route *route, bool bare, char out[REDIRECT_ANSWER_MAX])
{
	route->head = bare;
	return route_answer(route, NULL, 0, out, REDIRECT_ANSWER_MAX);
}

size_t
redirect_file(int status, const char *body, size_t len, bool bare,
    char out[REDIRECT_ANSWER_MAX])
{
	struct route route;

	route_refuse(
	    status, status == 404 ? "no such file" : "try again", &route);
	if (status == 503)
		route.headers = HTTP_RETRY;
	if (body != NULL) {
		route.body = body;
		route.body_len = len;
		route.type = "application/octet-stream";
	}
	return redirect_put(&route, bare, out);
}

size_t
redirect_refuse(const struct http_request *r, char out[REDIRECT_ANSWER_MAX])
{
	struct route route;

	route_refuse(r->status, r->reason, &route);
	return redirect_put(&route, false, out);
}

size_t
redirect_answer(const struct redirect *r, const char *head, size_t len,
    char token[CHALLENGE_TOKEN], bool *bare, char out[REDIRECT_ANSWER_MAX])
{
	char location[REDIRECT_LOCATION];
	struct http_request q;
	struct route route;
	bool reads;

	if (http_parse(head, len, redirect_body, &q) == -1)
		return redirect_refuse(&q, out);
	*bare = http_span_is(q.method, "HEAD");
	reads = *bare || http_span_is(q.method, "GET");
	if (r->challenges && reads && redirect_token(q.path, token))
		return token[0] != '\0'
		    ? 0
		    : redirect_file(404, NULL, 0, *bare, out);
	if (!redirect_location(r, &q, location)) {
		route_refuse(400, "the Host does not say where to go", &route);
		return redirect_put(&route, *bare, out);
	}
	/* another method stays what it is (RFC 9110 15.4.9) */
	route_refuse(reads ? 301 : 308, "this server speaks https", &route);
	route.headers = location;
	return redirect_put(&route, *bare, out);
}
