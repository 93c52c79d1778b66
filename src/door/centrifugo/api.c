/* The server API for backends, a first piece of Centrifugo's: POST with a key
 * and a JSON body. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "centrifugo.h"
#include "codec/hmac.h"

enum { API_SLACK = 8192, API_ANSWER_MAX = 64 * 1024 * 1024 };

/* The methods of Centrifugo's server API. Those that are not here are answered
 * as Centrifugo's libraries read it: with an error in JSON. */
static const char *const api_methods[] = {"publish", "history", "broadcast",
    "subscribe", "unsubscribe", "disconnect", "refresh", "presence",
    "presence_stats", "history_remove", "channels", "info", "rpc", "batch",
    "connections", "update_user_status", "get_user_status",
    "delete_user_status", "block_user", "unblock_user", "revoke_token",
    "invalidate_user_tokens", "device_register", "device_update",
    "device_remove", "device_list", "device_topic_list", "device_topic_update",
    "user_topic_list", "user_topic_update", "send_push_notification",
    "update_push_status", "cancel_push", "map_publish", "map_remove",
    "map_read_state", "map_read_stream", "map_stats", "map_clear",
    "shared_poll_publish",
    /* chatd's own */
    "search"};

enum {
	API_PUBLISH, /* places in that list */
	API_HISTORY,
	API_METHODS = sizeof(api_methods) / sizeof(api_methods[0]),
	API_SEARCH = API_METHODS - 1
};

/* The place of a path's method; API_METHODS: it is none. */
static size_t
api_method(struct http_span path)
{
	static const char prefix[] = "/api/";
	const size_t n = sizeof(prefix) - 1;
	size_t k;

	if (path.len <= n || memcmp(path.p, prefix, n) != 0)
		return API_METHODS;
	path.p += n;
	path.len -= n;
	for (k = 0; k < API_METHODS && !http_span_is(path, api_methods[k]); k++)
		;
	return k;
}

/* Whether the request shows the key, in either field. */
static bool
key_shown(const struct conf_live *live, const struct http_request *r)
{
	static const char scheme[] = "apikey ";
	struct http_span key = r->api_key;
	size_t n = sizeof(scheme) - 1;

	if (key.p == NULL && r->authorization.len > n &&
	    strncasecmp(r->authorization.p, scheme, n) == 0) {
		while (n < r->authorization.len && r->authorization.p[n] == ' ')
			n++; /* RFC 9110 11.4 */
		key.p = r->authorization.p + n;
		key.len = r->authorization.len - n;
	}
	return key.p != NULL && key.len == strlen(live->api_key) &&
	    secret_equals(key.p, live->api_key, key.len);
}

size_t
api_body_max(const struct conf_live *live)
{
	return (size_t)live->message_size + API_SLACK;
}

bool
api_served(const struct conf_live *live, struct http_span path)
{
	return live->api_key[0] != '\0' && api_method(path) != API_METHODS;
}

void
api_judge(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	if (!key_shown(live, r)) {
		route_refuse(401, "X-API-Key is missing or wrong", out);
		out->headers = "WWW-Authenticate: apikey\r\n";
	} else if (r->encoded) {
		route_refuse(
		    415, "the body must come without Content-Encoding", out);
		out->headers = "Accept-Encoding: identity\r\n";
	} else if (!r->has_length && !r->chunked)
		route_refuse(411,
		    "Content-Length is missing, or Transfer-Encoding: chunked",
		    out);
	else if (r->length > api_body_max(live))
		route_refuse(413, "the body is too long", out);
	else
		route_refuse(100, "", out);
}

/* A value as it can stand on one line; w is room for it. */
static struct json_value
one_line(struct json_writer *w, struct json_value v)
{
	if (memchr(v.p, '\n', v.len) == NULL)
		return v;
	json_put_compact(w, v);
	return (struct json_value){w->buf, w->len, v.type};
}

/* Whether a value is an object of strings only. */
static bool
is_tags(struct json_value tags)
{
	struct json_iter iter = json_iter(tags, JSON_OBJECT);
	struct json_value name, value;

	while (json_next_member(&iter, &name, &value))
		if (value.type != JSON_STRING)
			return false;
	return take_type(tags, JSON_OBJECT) && tags.len <= UINT16_MAX;
}

/* A publication that waits for its result, now or in a look before; *out has
 * offset and epoch. */
static enum centrifugo_error
api_accepted(struct chat *ch, uint64_t position, struct publication *out)
{
	struct hold_answer answer;
	const enum centrifugo_error bad =
	    outcome_error(hold_request(ch, position, &answer));

	if (bad == C_OK)
		*out = (struct publication){.offset = answer.offset,
		    .channel = answer.channel,
		    .epoch = answer.epoch};
	return bad;
}

/* Publishes for the server; *out has offset and epoch. */
static enum centrifugo_error
api_accept(struct chat *ch, const struct channel_name *name,
    struct json_value data, struct json_value tags, struct publication *out)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .command = (uint32_t)ch->hub->self + 1,
	    .format = FORMAT_JSON,
	    .data = data.p,
	    .len = data.len,
	    .tags = json_absent(tags) ? NULL : tags.p,
	    .tags_len = json_absent(tags) ? 0 : tags.len};
	uint64_t mask;

	switch (publish(
	    ch, name->text, name->len, PUBLISH_MAKE, &what, out, &mask)) {
	case PUBLISH_OK:
		return out->flags & PUBLICATION_WAITS
		    ? api_accepted(ch, out->position, out)
		    : C_OK;
	case PUBLISH_COLD:
		return cold_error(ch,
		    &(struct channel_position){
			.channel = out->channel, .epoch = out->epoch});
	case PUBLISH_TOO_BIG:
		return C_LIMIT_EXCEEDED;
	default: /* full, or a reader is too far behind */
		return C_INTERNAL;
	}
}

/* A publication that is made now. */
static enum centrifugo_error
api_publish_new(struct chat *ch, const struct channel_name *name,
    struct json_value *v, struct publication *out)
{
	struct json_writer data, tags;
	enum centrifugo_error bad;

	if (v[PUBLISH_DATA].type == JSON_NONE || !is_tags(v[PUBLISH_TAGS]) ||
	    v[PUBLISH_DATA].len > ch->live.message_size)
		return C_BAD_REQUEST;
	json_writer_init_growing(&data, v[PUBLISH_DATA].len + 1);
	json_writer_init_growing(&tags, UINT16_MAX);
	v[PUBLISH_DATA] = one_line(&data, v[PUBLISH_DATA]);
	if (!json_absent(v[PUBLISH_TAGS]))
		v[PUBLISH_TAGS] = one_line(&tags, v[PUBLISH_TAGS]);
	bad = json_writer_failed(&data) || json_writer_failed(&tags)
	    ? C_INTERNAL
	    : api_accept(ch, name, v[PUBLISH_DATA], v[PUBLISH_TAGS], out);
	json_writer_deinit(&data);
	json_writer_deinit(&tags);
	return bad;
}

/* {channel, data, tags}. What was accepted in a look before is not judged
 * again: rules and limits may have been reloaded since. */
static enum centrifugo_error
api_publish(struct chat *ch, struct json_value *v, struct json_writer *w)
{
	struct publication p;
	struct channel_name name;
	const enum centrifugo_error taken =
	    take_channel(ch, v[PUBLISH_CHANNEL], &name);
	enum centrifugo_error bad = taken;

	if (hold_published(ch) != 0)
		bad = api_accepted(ch, hold_published(ch), &p);
	else if (taken == C_OK)
		bad = api_publish_new(ch, &name, v, &p);
	if (bad != C_OK)
		return bad;
	json_open(w, '{');
	if (taken == C_OK && name.rule->history > 0) {
		json_put_name(w, "offset");
		json_put_uint(w, p.offset);
		put_epoch(w, presence_stream(ch->hub, p.channel, p.epoch));
	}
	json_close(w, '}');
	return C_OK;
}

/* {channel, limit, since, reverse}. */
static enum centrifugo_error
api_history(struct chat *ch, struct json_value *v, struct json_writer *w)
{
	struct channel_name name;
	enum centrifugo_error bad = take_channel(ch, v[HISTORY_CHANNEL], &name);

	if (bad == C_OK && name.rule->history == 0)
		bad = C_NOT_AVAILABLE;
	return bad == C_OK ? put_history(ch, w, &name, v) : bad;
}

/* The table of a method's members; MEMBERS: it is not here. */
static enum member_of
api_members(size_t method)
{
	switch (method) {
	case API_PUBLISH:
		return MEMBER_API_PUBLISH;
	case API_HISTORY:
		return MEMBER_API_HISTORY;
	case API_SEARCH:
		return MEMBER_API_SEARCH;
	default:
		return MEMBERS;
	}
}

/* Does what a request asks for. *refused names the member that it is refused
 * for. */
static enum centrifugo_error
api_do(struct chat *ch, size_t method, struct json_value request,
    struct json_writer *w, const char **refused)
{
	const enum member_of of = api_members(method);
	struct json_value v[MEMBERS_TAKEN_MAX];
	enum centrifugo_error bad;

	if (of == MEMBERS)
		return C_NOT_AVAILABLE;
	bad = (enum centrifugo_error)members_take(ch, of, request, v, refused);
	if (bad == C_OK)
		bad = method == API_PUBLISH ? api_publish(ch, v, w)
		    : method == API_HISTORY ? api_history(ch, v, w)
					    : api_search(ch, v, w);
	/* there is no connection to be ended for it */
	return bad >= C_END_SHUTDOWN ? C_BAD_REQUEST : bad;
}

/* Begins the answer anew, with an error. */
static void
api_error(struct json_writer *w, enum centrifugo_error bad, const char *why)
{
	json_writer_reset(w);
	json_open(w, '{');
	json_put_name(w, "error");
	put_error(w, bad, why);
}

/* Reads a body; false: it is no object, and not even one whose data is to
 * blame, being nested too deep. */
static bool
api_read(const char *body, size_t len, struct json_value *request, bool *odd)
{
	struct json_value outline;
	const char *end;

	*odd = false;
	if (json_validate(body, len, request))
		return request->type == JSON_OBJECT;
	*odd = true;
	if (!json_outline(body, len, &outline))
		return false;
	for (end = outline.p + outline.len; end < body + len; end++)
		if (memchr(" \t\r\n", *end, 4) == NULL)
			return false;
	return true;
}

void
api_answer(struct chat *ch, const struct http_request *r, const char *body,
    size_t len, struct route *out)
{
	static struct json_writer w;
	enum centrifugo_error bad = C_BAD_REQUEST;
	const char *refused = NULL;
	struct json_value request;
	char why[64];
	bool odd;

	route_refuse(200, "", out);
	out->type = "application/json";
	json_writer_deinit(&w);
	json_writer_init_growing(&w, API_ANSWER_MAX);
	json_open(&w, '{');
	json_put_name(&w, "result");
	if (!api_read(body, len, &request, &odd)) {
		out->status = 400;
		api_error(&w, bad, "the body must be a JSON object");
	} else if (odd) {
		api_error(&w, bad, "invalid JSON, or nested too deep");
	} else {
		bad = api_do(ch, api_method(r->path), request, &w, &refused);
		if (bad == C_WAITS)
			return;
		if (refused != NULL)
			snprintf(
			    why, sizeof(why), "%s is not supported", refused);
		if (bad != C_OK)
			api_error(&w, bad, refused != NULL ? why : NULL);
	}
	json_close(&w, '}');
	out->body = w.buf;
	out->body_len = w.len;
	if (json_writer_failed(&w))
		route_refuse(503, "out of memory", out);
}
