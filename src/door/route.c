/* route: what is to be done with a request. Pure; judged in the order host,
 * path, method, upgrade, origin, user. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "door/door.h"
#include "door/registry.h"
#include "host.h"

/* Whether a name is given where only a token gives one. */
static bool
route_is_unproved(const struct conf_live *live, const struct http_request *r,
    const struct door_route *path)
{
	struct http_span ignored;

	return !live->insecure && path->named &&
	    http_parameter(r->query, "user", &ignored);
}

/* Refuses such a name. */
static void
route_refuse_name(struct route *out)
{
	route_refuse(401,
	    "a token is required here (?user= works only with insecure yes)",
	    out);
	out->headers = "WWW-Authenticate: Bearer\r\n";
}

/* A good upgrade: the user, and the subprotocol. */
static void
route_open(const struct conf_live *live, const struct http_request *r,
    const struct door *door, const struct door_route *path, struct route *out)
{
	const char *bad;

	route_refuse(101, "", out);
	out->door = door;
	bad = path->open != NULL ? path->open(r, out) : NULL;
	if (bad != NULL)
		route_refuse(400, bad, out);
	else if (route_is_unproved(live, r, path))
		route_refuse_name(out);
}

/* An upgrade at a path that takes one. */
static void
route_upgrade(const struct conf_live *live, const struct http_request *r,
    const struct door *door, const struct door_route *path, struct route *out)
{
	static const char version[] = "Upgrade: websocket\r\n"
				      "Sec-WebSocket-Version: 13\r\n";

	if (r->minor == 0) /* an old proxy has cut the upgrade away */
		route_refuse(505,
		    "a WebSocket needs HTTP/1.1 (behind nginx: "
		    "proxy_http_version 1.1)",
		    out);
	else if (!r->upgrade && route_is_unproved(live, r, path))
		route_refuse_name(out); /* a page asks why it is refused */
	else if (!r->upgrade || !http_span_is(r->method, "GET")) {
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
	else if (!origin_refuses(live, r, out))
		route_open(live, r, door, path, out);
}

/* The answer of /health. */
static void
route_health(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	route_refuse(200, "ok", out);
}

/* Paths that belong to no door. `*` is the target of OPTIONS alone. */
static const struct door_route route_own[] = {{.path = "/health",
						  .at = ROUTE_FOR_ALL,
						  .any_host = true,
						  .allow = DOOR_READS,
						  .judge = route_health},
    {.path = "*", .at = ROUTE_FOR_ALL, .allow = DOOR_READS}, {.path = NULL}};

/* Whether a path is of that route. */
static bool
route_fits(const struct door_route *path, struct http_span of)
{
	size_t n = strlen(path->path);

	return path->below ? of.len > n && memcmp(of.p, path->path, n) == 0
			   : http_span_is(of, path->path);
}

/* The route among some that serves a path; NULL: none does. */
static const struct door_route *
route_among(const struct door_route *all, const struct conf_live *live,
    struct http_span of)
{
	for (; all != NULL && all->path != NULL; all++)
		if (route_fits(all, of) &&
		    (all->served == NULL || all->served(live, of)))
			return all;
	return NULL;
}

/* The route that serves a path, and whose it is, NULL: no door's. NULL: there
 * is none. */
static const struct door_route *
route_find(
    const struct conf_live *live, struct http_span of, const struct door **door)
{
	const struct door_route *path = route_among(route_own, live, of);
	size_t k;

	*door = NULL;
	for (k = 0; path == NULL && door_registry[k] != NULL; k++) {
		*door = door_registry[k];
		path = route_among((*door)->routes, live, of);
	}
	return path;
}

bool
route_takes_body(struct http_span of)
{
	const struct door_route *path;
	size_t k;

	for (k = 0; door_registry[k] != NULL; k++)
		for (path = door_registry[k]->routes;
		     path != NULL && path->path != NULL; path++)
			if (path->answer != NULL && route_fits(path, of))
				return true;
	return false;
}

/* Whether a method is among those of a path. */
static bool
route_allows(const struct door_route *path, struct http_span method)
{
	const char *at =
	    memmem(path->allow, strlen(path->allow), method.p, method.len);

	/* nothing stands before the front, where "A" and "Allow" are */
	return at != NULL && at != path->allow && at[-1] == ' ' &&
	    strchr(",\r", at[method.len]) != NULL;
}

/* Answers OPTIONS, and methods that a path does not have. */
static void
route_methods(const struct door_route *path, bool options, struct route *out)
{
	route_refuse(options ? 204 : 405,
	    strcmp(path->allow, DOOR_POSTS) == 0
		? "only POST and OPTIONS are allowed"
		: "only GET, HEAD and OPTIONS are allowed",
	    out);
	out->headers = path->allow;
}

void
route_request(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	const bool options = http_span_is(r->method, "OPTIONS");
	const struct door *door;
	const struct door_route *path = route_find(live, r->path, &door);

	if (live->insecure && !live->insecure_public &&
	    (path == NULL || !path->any_host) && host_refuses(live, r, out))
		return;
	if (path == NULL) {
		route_refuse(404, "no such path", out);
		out->about = r->path;
		return;
	}
	if (options || !route_allows(path, r->method))
		route_methods(path, options, out);
	else if (path->judge == NULL)
		route_upgrade(live, r, door, path, out);
	else {
		path->judge(live, r, out);
		out->path = path;
	}
	out->at = path->at != 0 ? path->at : ROUTE_FOR_CLIENTS;
}

const struct route_judge door_judge = {
    .request = route_request, .takes_body = route_takes_body};
