/* The server API for backends, a first piece of Centrifugo's: POST with a key
 * and a JSON body. */
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "centrifugo.h"

enum { API_SLACK = 8192, API_ANSWER_MAX = 64 * 1024 * 1024 };

/* Whether a span is that text. */
static bool
span_is(struct http_span s, const char *text)
{
	return s.p != NULL && s.len == strlen(text) &&
	    memcmp(s.p, text, s.len) == 0;
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
		key.p = r->authorization.p + n;
		key.len = r->authorization.len - n;
	}
	return key.p != NULL && key.len == strlen(live->api_key) &&
	    CRYPTO_memcmp(key.p, live->api_key, key.len) == 0;
}

bool
api_route(const struct conf_live *live, const struct http_request *r,
    struct route *out)
{
	if (live->api_key[0] == '\0' ||
	    (!span_is(r->path, "/api/publish") &&
		!span_is(r->path, "/api/history")))
		return false;
	if (!span_is(r->method, "POST")) {
		route_refuse(405, "only POST is allowed", out);
		out->headers = "Allow: POST, OPTIONS\r\n";
	} else if (!key_shown(live, r)) {
		route_refuse(401, "X-API-Key is missing or wrong", out);
		out->headers = "WWW-Authenticate: apikey\r\n";
	} else if (!r->has_length)
		route_refuse(411, "Content-Length is missing", out);
	else if (r->length > (uint64_t)live->message_size + API_SLACK)
		route_refuse(413, "the body is too long", out);
	else
		route_refuse(100, "", out);
	return true;
}

/* Takes the channel of a request. */
static enum centrifugo_error
api_channel(struct chat *ch, struct json_value v, struct channel_name *out)
{
	if (!take_string(v, out->text, PRESENCE_NAME_MAX, &out->len) ||
	    out->len == SIZE_MAX || !conf_channel_name_ok(out->text, out->len))
		return C_BAD_REQUEST;
	out->text[out->len] = '\0';
	out->rule = conf_channel_find(&ch->live, out->text, out->len);
	return out->rule != NULL ? C_OK : C_UNKNOWN_CHANNEL;
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

/* Publishes for the server; *out has offset and epoch. */
static enum centrifugo_error
api_accept(struct chat *ch, const struct channel_name *name,
    struct json_value data, struct json_value tags, struct publication *out)
{
	const struct publishing what = {.conn = SHM_NONE,
	    .format = FORMAT_JSON,
	    .data = data.p,
	    .len = data.len,
	    .tags = json_absent(tags) ? NULL : tags.p,
	    .tags_len = json_absent(tags) ? 0 : tags.len};
	uint64_t mask;

	switch (publish(
	    ch, name->text, name->len, PUBLISH_MAKE, &what, out, &mask)) {
	case PUBLISH_OK:
		return C_OK;
	case PUBLISH_TOO_BIG:
		return C_LIMIT_EXCEEDED;
	default:
		return C_INTERNAL;
	}
}

/* {channel, data, tags}. */
static enum centrifugo_error
api_publish(struct chat *ch, struct json_value body, struct json_writer *w)
{
	static const char *const names[] = {"channel", "data", "tags"};
	struct json_value v[3];
	struct json_writer data, tags;
	struct channel_name name;
	struct publication p;
	enum centrifugo_error bad;

	json_members(body, names, 3, v);
	bad = api_channel(ch, v[0], &name);
	if (bad == C_OK &&
	    (v[1].type == JSON_NONE || !is_tags(v[2]) ||
		v[1].len > ch->live.message_size))
		bad = C_BAD_REQUEST;
	if (bad != C_OK)
		return bad;
	json_writer_init_growing(&data, v[1].len + 1);
	json_writer_init_growing(&tags, UINT16_MAX);
	v[1] = one_line(&data, v[1]);
	if (!json_absent(v[2]))
		v[2] = one_line(&tags, v[2]);
	bad = json_writer_failed(&data) || json_writer_failed(&tags)
	    ? C_INTERNAL
	    : api_accept(ch, &name, v[1], v[2], &p);
	json_writer_deinit(&data);
	json_writer_deinit(&tags);
	if (bad != C_OK)
		return bad;
	json_open(w, '{');
	if (name.rule->history > 0) {
		json_put_name(w, "offset");
		json_put_uint(w, p.offset);
		put_epoch(w, p.epoch);
	}
	json_close(w, '}');
	return C_OK;
}

/* {channel, limit, since, reverse}. */
static enum centrifugo_error
api_history(struct chat *ch, struct json_value body, struct json_writer *w)
{
	struct channel_name name;
	struct json_value v;
	enum centrifugo_error bad;

	json_member(body, "channel", &v);
	bad = api_channel(ch, v, &name);
	if (bad == C_OK && name.rule->history == 0)
		bad = C_NOT_AVAILABLE;
	if (bad == C_OK)
		bad = put_history(ch, w, &name, body);
	return bad == C_END_BAD_REQUEST ? C_BAD_REQUEST : bad;
}

const char *
api_answer(struct chat *ch, const struct http_request *r, const char *body,
    size_t len, size_t *out_len)
{
	static struct json_writer w;
	enum centrifugo_error bad;
	struct json_value request;

	if (!json_validate(body, len, &request) || request.type != JSON_OBJECT)
		return NULL;
	json_writer_deinit(&w);
	json_writer_init_growing(&w, API_ANSWER_MAX);
	json_open(&w, '{');
	json_put_name(&w, "result");
	bad = span_is(r->path, "/api/publish") ? api_publish(ch, request, &w)
					       : api_history(ch, request, &w);
	if (bad != C_OK) {
		json_writer_reset(&w);
		json_open(&w, '{');
		json_put_name(&w, "error");
		put_error(&w, bad);
	}
	json_close(&w, '}');
	*out_len = w.len;
	return json_writer_failed(&w) ? NULL : w.buf;
}
