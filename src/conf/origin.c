/*
 * origin: the lists `origin` and `host`: which pages may connect, and under
 * which names this server is known. Kept as browsers write them; what no
 * browser can send is refused with the reason.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "domain.h"
#include "parse.h"
#include "units.h"

enum {
	SCHEME_MAX = 32, /* bytes; the longest that browsers have is below 20 */
	ORIGIN_MAX = SCHEME_MAX + 3 + 2 + DOMAIN_MAX + 8
};

/* Appends a text to a list of terminated ones. */
static const char *
list_add(
    const char *key, char *list, size_t size, uint16_t *used, const char *text)
{
	size_t len = strlen(text) + 1;

	if (len > size - *used)
		return conf_complain(
		    "%s: more than %zu bytes in all", key, size);
	memcpy(list + *used, text, len);
	*used = (uint16_t)(*used + len);
	return NULL;
}

/* The scheme in front of "://", in small letters. */
static const char *
origin_scheme(const char *text, size_t len, char out[SCHEME_MAX + 1])
{
	static const char *const none[] = {
	    "file", "data", "blob", "about", "javascript"};
	size_t i;

	if (len == 0 || len > SCHEME_MAX || !isalpha((unsigned char)*text))
		return conf_complain("no scheme like https");
	for (i = 0; i < len; i++) {
		out[i] = (char)tolower((unsigned char)text[i]);
		if (!isalnum((unsigned char)out[i]) &&
		    strchr("+-.", out[i]) == NULL)
			return conf_complain("no scheme like https");
	}
	out[len] = '\0';
	if (strcmp(out, "ws") == 0 || strcmp(out, "wss") == 0)
		return conf_complain("an Origin is the page's, which comes by "
				     "http or https, not by %s",
		    out);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (strcmp(out, none[i]) == 0)
			return conf_complain(
			    "pages by %s: send the Origin null", out);
	return NULL;
}

/* The port behind a host, ":N" or nothing; a scheme's own is left out. */
static const char *
origin_port(const char *text, const char *scheme, char out[8])
{
	uint64_t port;

	out[0] = '\0';
	if (*text == '\0')
		return NULL;
	if (*text != ':' || conf_parse_number(text + 1, &port) == -1 ||
	    port > 65535)
		return conf_complain(
		    "\"%.16s\" is not a port from 0 to 65535", text);
	if ((port == 80 && strcmp(scheme, "http") == 0) ||
	    (port == 443 && strcmp(scheme, "https") == 0))
		return NULL;
	snprintf(out, 8, ":%u", (unsigned)port);
	return NULL;
}

/* What an Origin never has, wherever it stands. */
static const char *
origin_judge(const char *rest)
{
	size_t n = strcspn(rest, "/?#\\");

	if (rest[n] != '\0')
		return conf_complain("an Origin ends with its host or port, "
				     "without a path: leave \"%.64s\" off",
		    rest + n);
	if (strchr(rest, '@') != NULL)
		return conf_complain("an Origin has no user");
	if (strchr(rest, '*') != NULL)
		return conf_complain("a * stands alone, or for the first parts "
				     "of a name as in https://*.example.org");
	return NULL;
}

/* scheme://host[:port] as browsers send it, or with a mask for the host. */
static const char *
origin_normalize(const char *text, char out[ORIGIN_MAX])
{
	const char *rest = strstr(text, "://"), *end, *wrong;
	char scheme[SCHEME_MAX + 1], host[DOMAIN_MAX + 1], port[8];
	bool mask;

	if (rest == NULL)
		return conf_complain(
		    "neither * nor like https://chat.example.org");
	if ((wrong = origin_scheme(text, (size_t)(rest - text), scheme)) !=
	    NULL)
		return wrong;
	rest += 3;
	mask = strncmp(rest, "*.", 2) == 0;
	if (mask)
		rest += 2;
	if ((wrong = origin_judge(rest)) != NULL)
		return wrong;
	end = rest + address_host(rest, strlen(rest));
	if ((wrong = domain_normalize(rest, (size_t)(end - rest), host)) !=
		NULL ||
	    (wrong = origin_port(end, scheme, port)) != NULL)
		return wrong;
	if (mask && domain_is_address(host))
		return conf_complain("a mask is for names, not for addresses");
	snprintf(out, ORIGIN_MAX, "%s://%s%s%s", scheme, mask ? "*." : "", host,
	    port);
	return NULL;
}

const char *
conf_add_origin(struct conf *c, const char *origin)
{
	struct conf_live *live = &c->live;
	char text[ORIGIN_MAX], why[256];
	const char *wrong = NULL;

	if (strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0)
		strlcpy(text, origin, sizeof(text));
	else
		wrong = origin_normalize(origin, text);
	if (wrong == NULL)
		return list_add("origin", live->origin, sizeof(live->origin),
		    &live->origin_len, text);
	strlcpy(why, wrong, sizeof(why));
	return conf_complain("origin: \"%.64s\": %s", origin, why);
}

const char *
conf_add_host(struct conf *c, const char *host)
{
	struct conf_live *live = &c->live;
	char text[DOMAIN_MAX + 3] = "", why[256];
	const char *wrong = NULL;
	const size_t mask = strncmp(host, "*.", 2) == 0 ? 2 : 0;

	if (strcmp(host, "*") == 0)
		return list_add("host", live->host, sizeof(live->host),
		    &live->host_len, host);
	if (strstr(host, "://") != NULL || strchr(host, '/') != NULL)
		wrong = "a name alone, without http:// and path";
	else if (host[0] != '[' && strchr(host, ':') != NULL)
		wrong = "a name alone, without a port";
	else if (strchr(host + mask, '*') != NULL)
		wrong = "a * stands alone, or for the first parts of a name as "
			"in *.example.org";
	else
		wrong = domain_normalize(
		    host + mask, strlen(host + mask), text + mask);
	if (wrong == NULL && domain_is_address(text + mask))
		wrong = "an address needs no line, all of them are admitted";
	if (wrong != NULL) {
		strlcpy(why, wrong, sizeof(why));
		return conf_complain("host: \"%.64s\": %s", host, why);
	}
	memcpy(text, "*.", mask);
	return list_add(
	    "host", live->host, sizeof(live->host), &live->host_len, text);
}

bool
conf_origin_listed(const struct conf_live *live, const char *origin, size_t len)
{
	const char *o = live->origin, *end = o + live->origin_len, *host;

	len = address_origin(origin, len);
	for (; o < end; o += strlen(o) + 1) {
		host = strstr(o, "://");
		if (strcmp(o, "*") == 0 ||
		    domain_fits(o, host != NULL ? (size_t)(host + 3 - o) : 0,
			origin, len))
			return true;
	}
	return false;
}

bool
conf_host_listed(const struct conf_live *live, const char *host, size_t len)
{
	const char *h = live->host, *end = h + live->host_len;

	for (; h < end; h += strlen(h) + 1)
		if (strcmp(h, "*") == 0 || domain_fits(h, 0, host, len))
			return true;
	return false;
}
