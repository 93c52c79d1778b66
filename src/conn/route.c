#include "conn/route.h"

#include <stdio.h>
#include <string.h>

void
route_refuse(int status, const char *why, struct route *out)
{
	memset(out, 0, sizeof(*out));
	out->status = status;
	out->body = out->why = why;
	out->type = "text/plain; charset=utf-8";
	out->headers = "";
}

/* The text of a status line. */
static const char *
route_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} all[] = {{200, "OK"}, {204, "No Content"}, {301, "Moved Permanently"},
	    {304, "Not Modified"}, {308, "Permanent Redirect"},
	    {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
	    {404, "Not Found"}, {405, "Method Not Allowed"},
	    {408, "Request Timeout"}, {411, "Length Required"},
	    {413, "Content Too Large"}, {415, "Unsupported Media Type"},
	    {421, "Misdirected Request"}, {426, "Upgrade Required"},
	    {431, "Request Header Fields Too Large"}, {501, "Not Implemented"},
	    {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"}};
	size_t k;

	for (k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		if (all[k].status == status)
			return all[k].text;
	return "Error";
}

/* Puts a text behind others; what does not fit is cut off. */
static void
route_put(char *out, size_t cap, size_t *len, const char *text)
{
	size_t n = strlen(text);

	if (n > cap - *len)
		n = cap - *len;
	memcpy(out + *len, text, n);
	*len += n;
}

enum { ROUTE_HSTS = 64 }; /* bytes of that field, and a NUL */

/* The field that says how long a client is to come by TLS alone. */
static const char *
route_hsts(uint64_t ms, char out[ROUTE_HSTS])
{
	out[0] = '\0';
	if (ms != 0)
		snprintf(out, ROUTE_HSTS,
		    "Strict-Transport-Security: max-age=%llu\r\n",
		    (unsigned long long)(ms / 1000));
	return out;
}

/* A 101: put together without printf, which would cost more than all else in
 * it. */
static size_t
route_answer_upgrade(const struct route *route, const struct http_request *r,
    uint64_t hsts_ms, char *out, size_t cap)
{
	char accept[29], hsts[ROUTE_HSTS];
	size_t len = 0;

	http_accept_key(r->key.p, accept);
	route_put(out, cap, &len,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	route_put(out, cap, &len, accept);
	if (route->protocol != NULL) {
		route_put(out, cap, &len, "\r\nSec-WebSocket-Protocol: ");
		route_put(out, cap, &len, route->protocol);
	}
	route_put(out, cap, &len, "\r\n");
	route_put(out, cap, &len, route_hsts(hsts_ms, hsts));
	route_put(out, cap, &len, "\r\n");
	return len;
}

size_t
route_answer(const struct route *route, const struct http_request *r,
    uint64_t hsts_ms, char *out, size_t cap)
{
	char hsts[ROUTE_HSTS];
	bool page = route->body_len > 0;
	/* those have no body, so no length of one (RFC 9110 8.6, 15.4.5) */
	bool bare = route->status == 204 || route->status == 304;
	size_t len = page ? route->body_len : strlen(route->body) + 1;
	int n;

	if (route->status == 101)
		return route_answer_upgrade(route, r, hsts_ms, out, cap);
	route_hsts(hsts_ms, hsts);
	if (bare)
		n = snprintf(out, cap,
		    "HTTP/1.1 %d %s\r\n"
		    "%s%s"
		    "Connection: close\r\n\r\n",
		    route->status, route_status_text(route->status),
		    route->headers, hsts);
	else
		n = snprintf(out, cap,
		    "HTTP/1.1 %d %s\r\n"
		    "Content-Type: %s\r\n"
		    "Content-Length: %zu\r\n"
		    "%s%s"
		    "Connection: %s\r\n\r\n"
		    "%s%s",
		    route->status, route_status_text(route->status),
		    route->type, len, route->headers, hsts,
		    route->keep ? "keep-alive" : "close",
		    page ? "" : route->body, page ? "" : "\n");
	if (n < 0 || (size_t)n >= cap)
		return n < 0 ? 0 : cap - 1;
	if (route->head) /* RFC 9110 section 9.3.2: the head alone */
		return (size_t)((char *)memmem(out, (size_t)n, "\r\n\r\n", 4) -
			   out) +
		    4;
	if (!page || bare)
		return (size_t)n;
	if (len > cap - (size_t)n)
		len = cap - (size_t)n;
	memcpy(out + n, route->body, len);
	return (size_t)n + len;
}
