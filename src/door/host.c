/*
 * host: whose pages may come in. A page is judged by its Origin. But a page
 * whose name its owner lets point to this machine has an Origin that equals
 * Host (DNS rebinding); where names are not proved, the name itself must be
 * one of this server's, then.
 */
#include "host.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"

/* Whether a span is that text, in any case of letters. */
static bool
host_is(struct http_span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

/* The name or address of a Host field, without port and final dot. */
static struct http_span
host_name(struct http_span s)
{
	s.len = address_host(s.p, s.len);
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

/* Whether a name is this machine's, whole or its first part, with or without
 * `.local` behind that. */
static bool
host_is_machine(const char *machine, struct http_span s)
{
	static const char local[] = ".local";
	const size_t first = strcspn(machine, "."), n = sizeof(local) - 1;

	if (first == 0)
		return false;
	if (host_is(s, machine))
		return true;
	if (s.len > n && strncasecmp(s.p + s.len - n, local, n) == 0)
		s.len -= n;
	return s.len == first && strncasecmp(s.p, machine, first) == 0;
}

/* Whether the owner of a page cannot have chosen that Host, or it is listed. */
static bool
host_is_ours(const struct conf_live *live, struct http_span s)
{
	static const char under[] = ".localhost";
	const size_t n = sizeof(under) - 1;

	return host_is(s, "localhost") ||
	    (s.len > n && strncasecmp(s.p + s.len - n, under, n) == 0) ||
	    address_reach(s.p, s.len) != ADDRESS_NONE ||
	    host_is_machine(live->machine, s) ||
	    conf_host_listed(live, s.p, s.len);
}

/* Whether a text may be shown, and stand in the configuration. */
static bool
host_is_plain(struct http_span s, const char *more)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    (s.p[i] == '\0' || strchr(more, s.p[i]) == NULL))
			return false;
	return s.len > 0 && s.len <= 253;
}

/* Without blanks and, around the whole, quotes. */
static struct http_span
host_trim(struct http_span s)
{
	while (s.len > 0 && strchr(" \t\"", *s.p) != NULL && *s.p != '\0') {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && s.p[s.len - 1] != '\0' &&
	    strchr(" \t\"", s.p[s.len - 1]) != NULL)
		s.len--;
	return s;
}

/* Whether a quote at place i is escaped: the backslashes before it are odd. */
static bool
host_is_escaped(struct http_span s, size_t i)
{
	size_t n;

	for (n = 0; n < i && s.p[i - n - 1] == '\\'; n++)
		;
	return n % 2 != 0;
}

/* The last element of a list; with `quotes`, separators in quotes are none.
 * Looked for from the end: the last element is the nearest proxy's, and what a
 * client has put before it may have a quote that does not end. */
static struct http_span
host_last(struct http_span list, char separator, bool quotes)
{
	bool quoted = false;
	size_t i;

	for (i = list.len; i > 0; i--) {
		if (quotes && list.p[i - 1] == '"' &&
		    !host_is_escaped(list, i - 1))
			quoted = !quoted;
		else if (list.p[i - 1] == separator && !quoted)
			break;
	}
	return (struct http_span){list.p + i, list.len - i};
}

/* Whether the client's address, as a proxy gives it, is on this machine or in a
 * private network; with or without a port. */
static bool
client_is_near(struct http_span s)
{
	enum address_reach reach;

	s = host_trim(s);
	/* of IPv6 without brackets nothing is a port */
	if (s.len > 0 &&
	    (*s.p == '[' ||
		(memchr(s.p, '.', s.len) != NULL &&
		    memchr(s.p, ':', s.len) == memrchr(s.p, ':', s.len))))
		s.len = address_host(s.p, s.len);
	reach = address_reach(s.p, s.len);
	return reach == ADDRESS_LOOPBACK || reach == ADDRESS_PRIVATE;
}

/* The parameter `for` of the last proxy in a Forwarded field (RFC 7239). */
static struct http_span
forwarded_client(struct http_span field)
{
	static const char name[] = "for=";
	const size_t n = sizeof(name) - 1;
	struct http_span rest = host_last(field, ',', true), part, value;

	for (;;) {
		part = host_last(rest, ';', true);
		value = host_trim(part);
		if (value.len > n && strncasecmp(value.p, name, n) == 0)
			return (struct http_span){value.p + n, value.len - n};
		if (part.p == rest.p)
			return (struct http_span){part.p, 0};
		rest.len = (size_t)(part.p - 1 - rest.p);
	}
}

/* Whether a proxy has forwarded it for a client that is not known to be near.
 */
static bool
client_is_far(const struct http_request *r)
{
	const bool named = r->forwarded_for.p != NULL ||
	    r->forwarded.p != NULL || r->real_ip.p != NULL;

	if (!named)
		return r->via.p != NULL;
	return (r->forwarded_for.p != NULL &&
		   !client_is_near(host_last(r->forwarded_for, ',', false))) ||
	    (r->forwarded.p != NULL &&
		!client_is_near(forwarded_client(r->forwarded))) ||
	    (r->real_ip.p != NULL && !client_is_near(r->real_ip));
}

bool
host_refuses(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	struct http_span host;

	if (client_is_far(r)) {
		route_refuse(403,
		    "a proxy forwarded this for a client from elsewhere, and "
		    "names are not proved here: set a token-key and insecure "
		    "no in chatd.conf, or, if anybody may come in under any "
		    "name, insecure public",
		    out);
		return true;
	}
	/* Only HTTP/1.0 lacks it, which no browser speaks. */
	if (r->host.p == NULL)
		return false;
	host = host_name(r->host);
	if (host_is_ours(live, host))
		return false;
	route_refuse(421, "this Host is not a name of this server", out);
	out->about = host;
	out->key = "host";
	if (host_is_plain(host, "-_.")) {
		snprintf(out->line, sizeof(out->line),
		    "this server does not know the name that it was asked "
		    "for; if it is its own, add this line to chatd.conf: "
		    "host \"%.*s\"",
		    (int)host.len, host.p);
		out->body = out->line;
	}
	return true;
}

bool
origin_refuses(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	if (r->origin.p == NULL ||
	    (live->origin_len == 0
		    ? address_is_origin_of(
			  r->origin.p, r->origin.len, r->host.p, r->host.len)
		    : conf_origin_listed(live, r->origin.p, r->origin.len)))
		return false;
	route_refuse(403, "this origin is not allowed", out);
	out->about = r->origin;
	out->key = "origin";
	if (host_is_plain(r->origin, "-_.:/[]")) {
		snprintf(out->line, sizeof(out->line),
		    "this origin is not allowed; to admit its pages, add this "
		    "line to chatd.conf: origin \"%.*s\"",
		    (int)r->origin.len, r->origin.p);
		out->body = out->line;
	}
	return true;
}
