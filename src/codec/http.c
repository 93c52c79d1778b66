/* http: the head of one request (RFC 9110, RFC 9112). */
#include <string.h>
#include <strings.h>

#include "codec/http.h"
#include "http_syntax.h"

/* What has been seen while fields are read. */
struct http_seen {
	unsigned int fields, hosts, keys, versions, origins, lengths, transfers;
	bool connection_upgrade, upgrade_websocket;
	bool extensions, extension; /* a field; an element in any of them */
	bool (*takes_body)(struct http_span path);
};

/* Refuses a head. */
static int
http_refuse(struct http_request *r, int status, const char *reason)
{
	r->status = status;
	r->reason = reason;
	return -1;
}

int
http_head_end(
    const char *buf, size_t len, size_t *scanned, struct http_request *r)
{
	size_t i = *scanned, most = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	unsigned char c;

	for (; i < most; i++) {
		if (i > 0 && buf[i - 1] != '\r')
			i += http_visible(buf + i, most - i);
		if (i == most)
			break;
		c = (unsigned char)buf[i];
		if (i > 0 && buf[i - 1] == '\r' && c != '\n')
			return http_refuse(r, 400, "bare CR");
		if (c >= ' ' && c != 0x7f) {
			if (i == 0 && !http_is_token_char(buf[i]))
				return http_refuse(r, 400, "not a request");
			continue;
		}
		if (c == '\t' || c == '\r')
			continue;
		if (c != '\n')
			return http_refuse(r, 400, "control character");
		if (i == 0 || buf[i - 1] != '\r')
			return http_refuse(r, 400, "bare LF");
		if (i < 3 || buf[i - 2] != '\n')
			continue;
		if (i == 3) /* one empty line may come first, not two */
			return http_refuse(r, 400, "not a request");
		*scanned = i + 1;
		return (int)(i + 1);
	}
	*scanned = i;
	if (i >= HTTP_HEAD_MAX)
		return http_refuse(r, 431, "request head is too long");
	return 0;
}

/* Parses origin-form into path and query (RFC 9112 3.2.1). */
static int
http_parse_path(struct http_span target, struct http_request *r)
{
	r->query = target;
	if (!http_split(&r->query, '?', &r->path)) {
		r->path = target;
		r->query.p = NULL;
		r->query.len = 0;
	}
	if (!http_is_path(r->path) || !http_is_query(r->query))
		return http_refuse(r, 400, "malformed request target");
	return 0;
}

/* Parses absolute-form after its "://"; its authority becomes r->host. */
static int
http_parse_absolute(struct http_span rest, struct http_request *r)
{
	size_t i;

	for (i = 0; i < rest.len && rest.p[i] != '/' && rest.p[i] != '?'; i++)
		;
	r->host.p = rest.p;
	r->host.len = i;
	if (!http_is_authority(r->host, false))
		return http_refuse(r, 400, "malformed request target");
	rest.p += i;
	rest.len -= i;
	if (http_parse_path(rest, r) == -1)
		return -1;
	if (r->path.len == 0) { /* RFC 9110 4.2.3 */
		r->path.p = "/";
		r->path.len = 1;
	}
	return 0;
}

bool
http_span_is(struct http_span s, const char *text)
{
	return s.p != NULL && strlen(text) == s.len &&
	    memcmp(s.p, text, s.len) == 0;
}

/* Parses a request target in any of its four forms (RFC 9112 3.2). */
static int
http_parse_target(struct http_span target, struct http_request *r)
{
	struct http_span rest = target, scheme;

	if (http_span_is(r->method, "CONNECT")) {
		r->path = target; /* authority-form: no path has that name */
		if (!http_is_authority(target, true))
			return http_refuse(r, 400, "malformed request target");
		return 0;
	}
	if (target.len > 0 && *target.p == '/')
		return http_parse_path(target, r);
	if (http_span_is(target, "*") && http_span_is(r->method, "OPTIONS")) {
		r->path = target;
		return 0;
	}
	if (!http_split(&rest, ':', &scheme) || rest.len < 2 ||
	    memcmp(rest.p, "//", 2) != 0 ||
	    (!http_is_word(scheme, "http") && !http_is_word(scheme, "https")))
		return http_refuse(r, 400, "malformed request target");
	rest.p += 2;
	rest.len -= 2;
	return http_parse_absolute(rest, r);
}

/* Parses method, target and version (RFC 9112 3). */
static int
http_parse_line(struct http_span line, struct http_request *r)
{
	struct http_span target;

	if (!http_split(&line, ' ', &r->method) ||
	    !http_split(&line, ' ', &target) || !http_is_token(r->method))
		return http_refuse(r, 400, "malformed request line");
	if (line.len != 8 || memcmp(line.p, "HTTP/", 5) != 0 ||
	    !http_is_digit(line.p[5]) || line.p[6] != '.' ||
	    !http_is_digit(line.p[7]))
		return http_refuse(r, 400, "malformed request line");
	if (line.p[5] != '1' || line.p[7] > '1')
		return http_refuse(
		    r, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	r->minor = line.p[7] - '0';
	return http_parse_target(target, r);
}

/* Whether a field value has no control character but HTAB (RFC 9110 5.5). */
static bool
http_is_field_value(struct http_span s)
{
	size_t i = http_visible(s.p, s.len);

	while (i < s.len && s.p[i] == '\t') {
		i++;
		i += http_visible(s.p + i, s.len - i);
	}
	return i == s.len;
}

/* Whether a request may have a body. */
static bool
http_may_have_body(const struct http_seen *seen, const struct http_request *r)
{
	return http_span_is(r->method, "POST") && seen->takes_body != NULL &&
	    seen->takes_body(r->path);
}

/* Reads a length: the only one, and zero where no body may be (RFC 9110 8.6).
 */
static int
http_take_length(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	size_t i;

	if (seen->lengths++ > 0 || value.len == 0)
		return http_refuse(r, 400, "malformed Content-Length");
	for (i = 0; i < value.len; i++)
		if (!http_is_digit(value.p[i]))
			return http_refuse(r, 400, "malformed Content-Length");
	r->has_length = true;
	for (i = 0; i < value.len; i++) {
		r->length = r->length * 10 + (uint64_t)(value.p[i] - '0');
		if (r->length > INT32_MAX)
			r->length =
			    INT32_MAX; /* more than any caller accepts */
	}
	if (r->length > 0 && !http_may_have_body(seen, r))
		return http_refuse(r, 400, "a body is not welcome");
	return 0;
}

/* Reads how the body is framed, if not by its length: in chunks, and in nothing
 * besides (RFC 9112 6.1). */
static int
http_take_transfer(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	if (!http_may_have_body(seen, r))
		return http_refuse(r, 400, "Transfer-Encoding is not welcome");
	if (seen->transfers++ > 0)
		return http_refuse(r, 400, "more than one Transfer-Encoding");
	if (!http_is_word(value, "chunked"))
		return http_refuse(
		    r, 501, "only the transfer coding chunked is known here");
	r->chunked = true;
	return 0;
}

/* Reads Content-Encoding: whether the body is more than its own bytes
 * (RFC 9110 8.4). */
static void
http_take_encoding(struct http_span value, struct http_request *r)
{
	struct http_span element;

	while (http_next_element(&value, &element))
		if (!http_is_word(element, "identity"))
			r->encoded = true;
}

/* Reads a field that may come once. */
static int
http_take_once(
    struct http_span value, struct http_span *out, struct http_request *r)
{
	if (out->p != NULL)
		return http_refuse(r, 400, "a field comes twice");
	*out = value;
	return 0;
}

/* Reads Connection: a list of tokens (RFC 9110 7.6.1). */
static int
http_take_connection(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	struct http_span element;

	while (http_next_element(&value, &element)) {
		if (!http_is_token(element))
			return http_refuse(r, 400, "malformed Connection");
		if (http_is_word(element, "upgrade"))
			seen->connection_upgrade = true;
		if (http_is_word(element, "close"))
			r->close = true;
	}
	return 0;
}

/* Reads Upgrade: a list of names, each perhaps with a version (7.8). */
static int
http_take_upgrade(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	struct http_span element, name;

	while (http_next_element(&value, &element)) {
		if (http_is_word(element, "websocket"))
			seen->upgrade_websocket = true;
		if (http_split(&element, '/', &name) && !http_is_token(name))
			return http_refuse(r, 400, "malformed Upgrade");
		if (!http_is_token(element))
			return http_refuse(r, 400, "malformed Upgrade");
	}
	return 0;
}

/* Reads a list of extensions. */
static int
http_take_extensions(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	struct http_span element;

	seen->extensions = true;
	while (http_next_element(&value, &element)) {
		if (!http_is_extension(element))
			return http_refuse(
			    r, 400, "malformed Sec-WebSocket-Extensions");
		seen->extension = true;
	}
	return 0;
}

/* Reads a list of subprotocols. One without an element is as good as none:
 * there are programs that send it when they want none. */
static int
http_take_protocols(struct http_span value, struct http_request *r)
{
	struct http_span element;

	r->offers = true;
	while (http_next_element(&value, &element))
		if (!http_is_token(element))
			return http_refuse(
			    r, 400, "malformed Sec-WebSocket-Protocol");
	return 0;
}

/* Whether a key is the base64 form, and the only one, of 16 bytes: the last
 * character before the padding carries two bits. */
static bool
http_is_key(struct http_span s)
{
	size_t i;

	if (s.len != HTTP_KEY_LEN || memcmp(s.p + 22, "==", 2) != 0 ||
	    memchr("AQgw", s.p[21], 4) == NULL)
		return false;
	for (i = 0; i < 21; i++)
		if (!http_is_digit(s.p[i]) &&
		    !((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z') &&
		    s.p[i] != '+' && s.p[i] != '/')
			return false;
	return true;
}

/* Reads a version: 0 to 255 without leading zeros (RFC 6455 4.3), else -1. */
static int
http_read_version(struct http_span s)
{
	int version = 0;
	size_t i;

	if (s.len == 0 || s.len > 3 || (s.len > 1 && *s.p == '0'))
		return -1;
	for (i = 0; i < s.len; i++) {
		if (!http_is_digit(s.p[i]))
			return -1;
		version = version * 10 + (s.p[i] - '0');
	}
	return version <= 255 ? version : -1;
}

/* Reads a field that begins with Sec-WebSocket-; name is what follows. */
static int
http_take_websocket(struct http_span name, struct http_span value,
    struct http_seen *seen, struct http_request *r)
{
	if (http_is_word(name, "Key")) {
		seen->keys++;
		if (http_is_key(value))
			r->key = value;
	} else if (http_is_word(name, "Version")) {
		seen->versions++;
		r->version = http_read_version(value);
	} else if (http_is_word(name, "Extensions"))
		return http_take_extensions(value, seen, r);
	else if (http_is_word(name, "Protocol"))
		return http_take_protocols(value, r);
	return 0;
}

/* Reads the one Host; that of an absolute target wins over it. */
static int
http_take_host(
    struct http_span value, struct http_seen *seen, struct http_request *r)
{
	if (seen->hosts++ > 0)
		return http_refuse(r, 400, "more than one Host");
	if (!http_is_authority(value, false))
		return http_refuse(r, 400, "malformed Host");
	if (r->host.p == NULL)
		r->host = value;
	return 0;
}

/* Whether the parameters of a coding say that it is not wanted: a weight of
 * zero (RFC 9110 12.4.2). */
static bool
http_weight_is_zero(struct http_span s)
{
	struct http_span part;
	bool more, zero = false;
	size_t i;

	do {
		more = http_split(&s, ';', &part);
		part = http_trim(more ? part : s);
		if (part.len < 3 || strncasecmp(part.p, "q=0", 3) != 0)
			continue;
		zero = true;
		for (i = 3; i < part.len; i++)
			if (part.p[i] != '0' && part.p[i] != '.')
				zero = false;
	} while (more);
	return zero;
}

/* Reads Accept-Encoding: whether gzip is named and wanted (12.5.3). A malformed
 * value is ignored, not refused. */
static void
http_take_codings(struct http_span value, struct http_request *r)
{
	struct http_span element, name;

	while (http_next_element(&value, &element)) {
		if (!http_split(&element, ';', &name)) {
			name = element;
			element.len = 0;
		}
		if (http_is_word(http_trim(name), "gzip"))
			r->gzip = !http_weight_is_zero(element);
	}
}

/* Reads what a proxy says of a client; empty is as good as absent. */
static void
http_take_proxy(
    struct http_span name, struct http_span value, struct http_request *r)
{
	if (value.len == 0)
		return;
	if (http_is_word(name, "X-Forwarded-For"))
		r->forwarded_for = value;
	else if (http_is_word(name, "Forwarded"))
		r->forwarded = value;
	else if (http_is_word(name, "Via"))
		r->via = value;
	else if (http_is_word(name, "X-Real-IP"))
		r->real_ip = value;
}

/* Reads one field whose syntax is good. */
static int
http_take_field(struct http_span name, struct http_span value,
    struct http_seen *seen, struct http_request *r)
{
	static const char ws[] = "Sec-WebSocket-";
	const size_t ws_len = sizeof(ws) - 1;

	if (name.len > ws_len && strncasecmp(name.p, ws, ws_len) == 0) {
		name.p += ws_len;
		name.len -= ws_len;
		return http_take_websocket(name, value, seen, r);
	}
	if (http_is_word(name, "Host"))
		return http_take_host(value, seen, r);
	if (http_is_word(name, "Connection"))
		return http_take_connection(value, seen, r);
	if (http_is_word(name, "Upgrade"))
		return http_take_upgrade(value, seen, r);
	if (http_is_word(name, "Origin")) {
		r->origin = value;
		if (seen->origins++ > 0)
			return http_refuse(r, 400, "more than one Origin");
	}
	if (http_is_word(name, "Accept-Encoding"))
		http_take_codings(value, r);
	if (http_is_word(name, "If-None-Match"))
		r->none_match = value;
	if (http_is_word(name, "Content-Length"))
		return http_take_length(value, seen, r);
	if (http_is_word(name, "X-API-Key"))
		return http_take_once(value, &r->api_key, r);
	if (http_is_word(name, "Authorization"))
		return http_take_once(value, &r->authorization, r);
	if (http_is_word(name, "Expect") && http_is_word(value, "100-continue"))
		r->expects = true;
	if (http_is_word(name, "Transfer-Encoding"))
		return http_take_transfer(value, seen, r);
	if (http_is_word(name, "Content-Encoding"))
		http_take_encoding(value, r);
	http_take_proxy(name, value, r);
	return 0;
}

/* Parses one field line (RFC 9112 5). */
static int
http_parse_field(
    struct http_span line, struct http_seen *seen, struct http_request *r)
{
	struct http_span name;

	if (++seen->fields > HTTP_FIELDS_MAX)
		return http_refuse(r, 431, "too many fields");
	if (*line.p == ' ' || *line.p == '\t')
		return http_refuse(r, 400, "folded line");
	if (!http_split(&line, ':', &name) || !http_is_token(name))
		return http_refuse(r, 400, "malformed field name");
	if (!http_is_field_value(line))
		return http_refuse(r, 400, "control character in a field");
	return http_take_field(name, http_trim(line), seen, r);
}

/* Judges what only the whole head can tell. */
static int
http_finish(const struct http_seen *seen, struct http_request *r)
{
	if (seen->hosts == 0 && r->minor > 0)
		return http_refuse(r, 400, "no Host");
	if (r->minor == 0) { /* RFC 9112 6.1, 9.3 */
		if (r->chunked)
			return http_refuse(
			    r, 400, "Transfer-Encoding needs HTTP/1.1");
		r->close = true;
	}
	if (r->chunked && r->has_length) /* which of them holds? */
		return http_refuse(
		    r, 400, "Transfer-Encoding beside Content-Length");
	if (seen->extensions && !seen->extension)
		return http_refuse(
		    r, 400, "malformed Sec-WebSocket-Extensions");
	r->upgrade =
	    seen->connection_upgrade && seen->upgrade_websocket && r->minor > 0;
	r->expects = r->expects && r->minor > 0;
	r->key_bad = seen->keys != 1 || r->key.p == NULL;
	if (r->key_bad) {
		r->key.p = NULL;
		r->key.len = 0;
	}
	r->version_bad =
	    seen->versions > 1 || (seen->versions == 1 && r->version == -1);
	return 0;
}

int
http_parse(const char *head, size_t len,
    bool (*takes_body)(struct http_span path), struct http_request *r)
{
	struct http_span rest = {head, len}, line;
	struct http_seen seen = {.takes_body = takes_body};

	memset(r, 0, sizeof(*r));
	r->version = -1;
	if (len > HTTP_HEAD_MAX)
		return http_refuse(r, 431, "request head is too long");
	if (len >= 2 && memcmp(head, "\r\n", 2) == 0) { /* RFC 9112 2.2 */
		rest.p += 2;
		rest.len -= 2;
	}
	if (!http_next_line(&rest, &line))
		return http_refuse(r, 400, "malformed request line");
	if (http_parse_line(line, r) == -1)
		return -1;
	r->fields = rest;
	for (;;) {
		if (!http_next_line(&rest, &line))
			return http_refuse(r, 400, "head without an end");
		if (line.len == 0)
			break;
		if (http_parse_field(line, &seen, r) == -1)
			return -1;
	}
	if (rest.len > 0)
		return http_refuse(r, 400, "bytes after the head");
	return http_finish(&seen, r);
}

bool
http_offers(const struct http_request *r, const char *protocol)
{
	struct http_span rest = r->fields, line, name, element;

	while (r->offers && http_next_line(&rest, &line)) {
		if (!http_split(&line, ':', &name) ||
		    !http_is_word(name, "Sec-WebSocket-Protocol"))
			continue;
		while (http_next_element(&line, &element))
			if (http_span_is(element, protocol))
				return true;
	}
	return false;
}
