/* The names that a request's query gives: of a user and of a device. */
#include <string.h>

#include "base/utf8.h"
#include "codec/name.h"
#include "door/door.h"

/* Whether a device label may be one: up to 32 bytes of text. */
static const char *
names_check_device(const char *name, size_t len)
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

const char *
route_names(
    const struct http_request *r, const char *missing, struct route *out)
{
	struct http_span v;
	char name[NAME_UNPROVED_MAX + 1];
	const char *bad;
	int n;

	if (!http_parameter(r->query, "user", &v))
		return missing;
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
	return names_check_device(out->device, (size_t)n);
}
