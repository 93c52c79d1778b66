/* take: fields of requests. A field of a wrong type makes a bad request, an
 * absent one does not. */
#include "base/log.h"
#include "centrifugo.h"

bool
take_type(struct json_value v, enum json_type type)
{
	return json_absent(v) || v.type == type;
}

bool
take_string(struct json_value v, char *out, size_t cap, size_t *len)
{
	ssize_t n;

	*len = 0;
	if (json_absent(v))
		return true;
	if (v.type != JSON_STRING)
		return false;
	n = json_string_is_whole(v) ? json_string(v, out, cap) : -1;
	*len = n < 0 ? SIZE_MAX : (size_t)n;
	return true;
}

bool
take_bool(struct json_value v, bool *out)
{
	return json_absent(v) || json_bool(v, out);
}

bool
take_int(struct json_value v, int64_t *out)
{
	return json_absent(v) || json_int64(v, out);
}

bool
take_offset(struct json_value v, uint64_t *out)
{
	return json_absent(v) || json_uint64(v, out);
}

enum centrifugo_error
take_channel(struct chat *ch, struct json_value v, struct channel_name *out)
{
	out->rule = NULL;
	if (!take_string(v, out->text, PRESENCE_NAME_MAX, &out->len) ||
	    out->len == 0)
		return C_END_BAD_REQUEST;
	if (out->len == SIZE_MAX || !conf_channel_name_ok(out->text, out->len))
		return C_BAD_REQUEST;
	out->text[out->len] = '\0';
	out->rule = conf_channel_find(&ch->live, out->text, out->len);
	return out->rule != NULL ? C_OK : C_UNKNOWN_CHANNEL;
}

enum centrifugo_error
take_request(const struct command *c, enum member_of of,
    struct json_value *value, struct channel_name *out)
{
	const char *name;
	int refused = members_take(c->ch, of, c->request, value, &name);
	enum centrifugo_error bad;

	bad = take_channel(
	    c->ch, value[of == MEMBER_SUB_REFRESH ? REFRESH_CHANNEL : 0], out);
	if (refused != 0)
		log_debug("%s: member %s is not supported: error %d",
		    conn_name(c->ch, c->conn), name, refused);
	/* a type that is wrong ends the connection whatever else there is */
	return refused != 0 && bad != C_END_BAD_REQUEST
	    ? (enum centrifugo_error)refused
	    : bad;
}
