/* http_query: what a request's query says. */
#include <string.h>

#include "codec/http.h"
#include "http_syntax.h"

int
http_decode(struct http_span in, char *out, size_t cap)
{
	size_t i, n = 0;
	int high, low;
	char c;

	for (i = 0; i < in.len; i++) {
		c = in.p[i];
		if (c == '%') {
			if (in.len - i < 3 ||
			    (high = http_hex(in.p[i + 1])) == -1 ||
			    (low = http_hex(in.p[i + 2])) == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n == cap)
			return -1;
		out[n++] = c;
	}
	return (int)n;
}

bool
http_parameter(
    struct http_span query, const char *name, struct http_span *value)
{
	size_t name_len = strlen(name), len;
	const char *p = query.p, *end, *stop;

	if (p == NULL)
		return false;
	for (end = p + query.len; p <= end; p = stop + 1) {
		if ((stop = memchr(p, '&', (size_t)(end - p))) == NULL)
			stop = end;
		len = (size_t)(stop - p);
		if (len < name_len || memcmp(p, name, name_len) != 0)
			continue;
		if (len > name_len && p[name_len] != '=')
			continue;
		value->p = p + name_len + (len > name_len);
		value->len = (size_t)(stop - value->p);
		return true;
	}
	return false;
}
