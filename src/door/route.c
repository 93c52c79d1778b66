/* What a request asks for: pure judgement, in the order host, path, method,
 * upgrade, origin, user. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "codec/name.h"
#include "door/door.h"
#include "host.h"
#include "web/web.h"

static bool
span_is(struct http_span s, const char *text)
{
	return s.p != NULL && s.len == strlen(text) &&
	    memcmp(s.p, text, s.len) == 0;
}

void
route_refuse(int status, const char *why, struct route *out)
{
	memset(out, 0, sizeof(*out));
	out->status = status;
	out->body = out->why = why;
	out->type = "text/plain; charset=utf-8";
	out->headers = "";
}

/* Whether a device label may be one: up to 32 bytes of text. */
static const char *
check_device(const char *name, size_t len)
{
	size_t n;
	uint32_t c;

	for (; len > 0; name += n, len -= n) {
		n = utf8_decode(name, len, &c);
		if (n == 0)
			return "device is not valid UTF-8";
		if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == '"')
			return "device has a control character or a quote";
	}
	return NULL;
}

/* Takes user and device from the query; NULL, or what is wrong. */
static const char *
take_names(const struct http_request *r, struct route *out)
{
	struct http_span v;
	char name[NAME_UNPROVED_MAX + 1];
	const char *bad;
	int n;

	if (!http_parameter(r->query, "user", &v))
		return out->door == DOOR_CENTRIFUGO
		    ? NULL
		    : "user is missing: connect to /ws?user=NAME";
	n = http_decode(v, name, sizeof(name));
	if (n < 0)
		return "user is longer than 64 bytes or badly encoded";
	bad = name_check_unproved(name, (size_t)n);
	if (bad != NULL)
		return bad;
	memcpy(out->user, name, (size_t)n);
	out->user_len = (uint8_t)n;
	if (!http_parameter(r->query, "device", &v))
		return NULL;
	n = http_decode(v, out->device, sizeof(out->device));
	if (n < 0)
		return "device is longer than 32 bytes or badly encoded";
	out->device_len = (uint8_t)n;
	return check_device(out->device, (size_t)n);
}

/* Whether a query asks for what is no JSON. */
static bool
wants_protobuf(const struct http_request *r)
{
	static const char *const names[] = {"format", "cf_protocol"};
	struct http_span v;
	size_t k;

	for (k = 0; k < 2; k++)
		if (http_parameter(r->query, names[k], &v) &&
		    span_is(v, "protobuf"))
			return true;
	return false;
}

/* Chooses a subprotocol of the centrifugo door; NULL, or what is wrong. */
static const char *
take_protocol(const struct http_request *r, struct route *out)
{
	if (wants_protobuf(r) ||
	    (http_offers(r, "centrifuge-protobuf") &&
		!http_offers(r, "centrifuge-json")))
		return "only JSON is spoken here, not protobuf";
	if (http_offers(r, "centrifuge-json"))
		out->protocol = "centrifuge-json";
	return NULL;
}

/* Whether a name is given where only a token gives one. */
static bool
name_is_refused(const struct conf_live *live, const struct http_request *r,
    enum slot_door door)
{
	struct http_span ignored;

	return !live->insecure && door != DOOR_ECHO &&
	    http_parameter(r->query, "user", &ignored);
}

/* Refuses such a name. */
static void
route_refuse_name(struct route *out)
{
	route_refuse(401, "a name is not taken on trust here", out);
	out->headers = "WWW-Authenticate: Bearer\r\n";
}

/* The user, and the subprotocol. */
static void
route_door(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	const char *bad = NULL;

	if (out->door == DOOR_CENTRIFUGO)
		bad = take_protocol(r, out);
	else if (out->door == DOOR_PLAIN && http_offers(r, "chatd.plain"))
		out->protocol = "chatd.plain";
	if (bad == NULL && out->door != DOOR_ECHO)
		bad = take_names(r, out);
	if (bad != NULL) {
		route_refuse(400, bad, out);
	} else if (name_is_refused(live, r, out->door))
		route_refuse_name(out);
}

/* An upgrade at a path that takes one. */
static void
route_upgrade(const struct conf_live *live, const struct http_request *r,
    enum slot_door door, struct route *out)
{
	static const char version[] = "Upgrade: websocket\r\n"
				      "Sec-WebSocket-Version: 13\r\n";

	if (r->minor == 0) /* an old proxy has cut the upgrade away */
		route_refuse(505,
		    "a WebSocket needs HTTP/1.1 (behind nginx: "
		    "proxy_http_version 1.1)",
		    out);
	else if (!r->upgrade && name_is_refused(live, r, door))
		route_refuse_name(out); /* a page asks why it is refused */
	else if (!r->upgrade || !span_is(r->method, "GET")) {
		route_refuse(426, "this is a WebSocket: upgrade", out);
		out->headers = version;
	} else if (r->version_bad || r->version < 0)
		route_refuse(
		    400, "Sec-WebSocket-Version must be a number, once", out);
	else if (r->version != 13) {
		route_refuse(426, "only WebSocket version 13 is spoken", out);
		out->headers = version;
	} else if (r->key_bad)
		route_refuse(400,
		    "Sec-WebSocket-Key must be base64 of 16 bytes, once", out);
	else if (!origin_refuses(live, r, out)) {
		out->status = 101;
		out->door = door;
		route_door(live, r, out);
	}
}

void
route_request(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	bool ws = span_is(r->path, "/ws");
	bool echo = live->echo && span_is(r->path, "/echo");
	bool centrifugo = span_is(r->path, "/connection/websocket");
	bool health = span_is(r->path, "/health");
	const struct web_file *page = web_find(r->path);

	if (live->insecure && !live->insecure_public && !health &&
	    host_refuses(live, r, out))
		return;
	if (api_route(live, r, out)) {
		if (out->status == 405 && span_is(r->method, "OPTIONS"))
			out->status = 204;
		return;
	}
	route_refuse(404, "no such path", out);
	out->about = r->path;
	if (!ws && !echo && !centrifugo && page == NULL && !health &&
	    !span_is(r->path, "*"))
		return;
	if (!span_is(r->method, "GET") && !span_is(r->method, "HEAD")) {
		route_refuse(span_is(r->method, "OPTIONS") ? 204 : 405,
		    "only GET, HEAD and OPTIONS are allowed", out);
		out->headers = "Allow: GET, HEAD, OPTIONS\r\n";
	} else if (health)
		route_refuse(200, "ok", out);
	else if (page != NULL)
		web_answer(page, r, out);
	else
		route_upgrade(live, r,
		    ws		     ? DOOR_PLAIN
			: centrifugo ? DOOR_CENTRIFUGO
				     : DOOR_ECHO,
		    out);
}

static const char *
status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} all[] = {{200, "OK"}, {204, "No Content"}, {304, "Not Modified"},
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

size_t
route_answer(const struct route *route, const struct http_request *r, char *out,
    size_t cap)
{
	char accept[29];
	bool page = route->body_len > 0;
	/* those have no body, so no length of one (RFC 9110 8.6, 15.4.5) */
	bool bare = route->status == 204 || route->status == 304;
	size_t len = page ? route->body_len : strlen(route->body) + 1;
	int n;

	if (route->status == 101) {
		http_accept_key(r->key.p, accept);
		n = snprintf(out, cap,
		    "HTTP/1.1 101 Switching Protocols\r\n"
		    "Upgrade: websocket\r\n"
		    "Connection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: %s\r\n"
		    "%s%s%s\r\n",
		    accept,
		    route->protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
		    route->protocol != NULL ? route->protocol : "",
		    route->protocol != NULL ? "\r\n" : "");
	} else if (bare)
		n = snprintf(out, cap,
		    "HTTP/1.1 %d %s\r\n"
		    "%s"
		    "Connection: close\r\n\r\n",
		    route->status, status_text(route->status), route->headers);
	else
		n = snprintf(out, cap,
		    "HTTP/1.1 %d %s\r\n"
		    "Content-Type: %s\r\n"
		    "Content-Length: %zu\r\n"
		    "%s"
		    "Connection: %s\r\n\r\n"
		    "%s%s",
		    route->status, status_text(route->status), route->type, len,
		    route->headers, route->keep ? "keep-alive" : "close",
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
