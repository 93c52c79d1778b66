/* json_read: members, elements, strings and numbers of validated values. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/json.h"
#include "json_scan.h"

/* What a byte outside of strings does to the depth; 2 begins a string. */
static const signed char json_step[256] = {
    ['{'] = 1, ['['] = 1, ['}'] = -1, [']'] = -1, ['"'] = 2};

/* The end of the container that begins here; never beyond end. *open is how
 * many are open there: 0 unless the bytes end too soon. */
static inline const char *
json_skip_open(const char *p, const char *end, ssize_t *open)
{
	ssize_t depth = 0;
	int step;

	while (p < end) {
		step = json_step[(unsigned char)*p++];
		if (step == 0)
			continue;
		if (step == 2) {
			p = json_skip_string(p, end);
			continue;
		}
		depth += step;
		if (depth <= 0) {
			*open = 0;
			return p;
		}
	}
	*open = depth;
	return end;
}

/* Skips a container of validated bytes, whose end is not checked again. */
static const char *
json_skip_container(const char *p, const char *end)
{
	ssize_t ignored;

	return json_skip_open(p, end, &ignored);
}

bool
json_outline(const char *text, size_t len, struct json_value *object)
{
	const char *end = text + len, *p = json_skip_space(text, end), *stop;
	ssize_t open = 1;

	*object = (struct json_value){0};
	if (p == end || *p != '{')
		return false;
	stop = json_skip_open(p, end, &open);
	if (open != 0)
		return false;
	object->p = p;
	object->len = (size_t)(stop - p);
	object->type = JSON_OBJECT;
	return true;
}

/* Takes the value at iter->p, which is before its end. */
static inline void
json_take(struct json_iter *iter, struct json_value *value)
{
	const char *p = iter->p, *end = iter->end;

	value->p = p;
	value->type = json_type_at(p);
	switch (value->type) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		p = json_skip_container(p, end);
		break;
	case JSON_STRING:
		p = json_skip_string(p + 1, end);
		break;
	default:
		while (p < end && *p != ',' && !json_is_space(*p))
			p++;
		break;
	}
	value->len = (size_t)(p - value->p);
	iter->p = p;
}

/* Skips white space and one separator. False at the end. */
static inline bool
json_skip_separator(struct json_iter *iter, char separator)
{
	iter->p = json_skip_space(iter->p, iter->end);
	if (iter->p < iter->end && *iter->p == separator)
		iter->p = json_skip_space(iter->p + 1, iter->end);
	return iter->p < iter->end;
}

struct json_iter
json_iter(struct json_value container, enum json_type type)
{
	if (container.type != type || container.len < 2)
		return (struct json_iter){0};
	return (struct json_iter){
	    container.p + 1, container.p + container.len - 1};
}

bool
json_next_member(
    struct json_iter *iter, struct json_value *name, struct json_value *value)
{
	if (!json_skip_separator(iter, ','))
		return false;
	name->p = iter->p;
	name->type = JSON_STRING;
	iter->p = json_skip_string(iter->p + 1, iter->end);
	name->len = (size_t)(iter->p - name->p);
	if (!json_skip_separator(iter, ':'))
		return false;
	json_take(iter, value);
	return true;
}

bool
json_next_element(struct json_iter *iter, struct json_value *value)
{
	if (!json_skip_separator(iter, ','))
		return false;
	json_take(iter, value);
	return true;
}

/* Whether a member's name, which may have escapes or not, is this one. */
static inline bool
json_name_is(struct json_value name, bool escaped, const char *text)
{
	size_t len = name.len - 2;

	if (escaped)
		return json_string_equals(name, text);
	return text[0] == (len > 0 ? name.p[1] : '\0') && strlen(text) == len &&
	    memcmp(text, name.p + 1, len) == 0;
}

void
json_members(struct json_value object, const char *const *names, size_t n,
    struct json_value *values)
{
	struct json_iter iter = json_iter(object, JSON_OBJECT);
	struct json_value name, value;
	bool escaped;
	size_t i;

	for (i = 0; i < n; i++)
		values[i] = (struct json_value){0};
	while (json_next_member(&iter, &name, &value)) {
		if (name.len < 2)
			continue;
		escaped = memchr(name.p, '\\', name.len) != NULL;
		for (i = 0; i < n; i++)
			if (json_name_is(name, escaped, names[i])) {
				values[i] = value;
				break;
			}
	}
}

bool
json_member(
    struct json_value object, const char *name, struct json_value *value)
{
	json_members(object, &name, 1, value);
	return value->type != JSON_NONE;
}

/* Reads the four digits of a \u escape; U+FFFD if they are none. */
static uint32_t
json_hex(const char *p)
{
	uint32_t code = 0;
	int i;
	char c;

	for (i = 0; i < 4; i++) {
		c = p[i];
		if (c >= '0' && c <= '9')
			code = code << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return 0xfffd;
	}
	return code;
}

/* Decodes the escape at *p, a pair of surrogates as one; moves *p past it,
 * never beyond end. Returns the length in out. */
static size_t
json_unescape(const char **p, const char *end, char out[4])
{
	const char *q = *p;
	uint32_t code, low;

	if (end - q < 2) {
		*p = end;
		return utf8_encode(0xfffd, out);
	}
	*p = q + 2;
	switch (q[1]) {
	case 'b':
		return utf8_encode('\b', out);
	case 'f':
		return utf8_encode('\f', out);
	case 'n':
		return utf8_encode('\n', out);
	case 'r':
		return utf8_encode('\r', out);
	case 't':
		return utf8_encode('\t', out);
	case 'u':
		break;
	default:
		return utf8_encode((unsigned char)q[1] & 0x7f, out);
	}
	if (end - q < 6)
		return utf8_encode(0xfffd, out);
	*p = q + 6;
	code = json_hex(q + 2);
	if (code < 0xd800 || code > 0xdfff)
		return utf8_encode(code, out);
	if (code <= 0xdbff && end - q >= 12 && q[6] == '\\' && q[7] == 'u') {
		low = json_hex(q + 8);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*p = q + 12;
			return utf8_encode(
			    0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00),
			    out);
		}
	}
	return utf8_encode(0xfffd, out);
}

ssize_t
json_string(struct json_value v, char *out, size_t cap)
{
	const char *p, *end, *stop;
	char code[4];
	size_t n, used = 0;

	if (v.type != JSON_STRING || v.len < 2)
		return -1;
	end = v.p + v.len - 1;
	for (p = v.p + 1; p < end;) {
		stop = memchr(p, '\\', (size_t)(end - p));
		n = (size_t)((stop != NULL ? stop : end) - p);
		if (n > cap - used)
			return -1;
		if (n > 0)
			memmove(out + used, p, n);
		used += n;
		p += n;
		if (stop == NULL)
			break;
		n = json_unescape(&p, end, code);
		if (n > cap - used)
			return -1;
		memcpy(out + used, code, n);
		used += n;
	}
	return (ssize_t)used;
}

bool
json_string_is_whole(struct json_value v)
{
	const char *p, *end;
	uint32_t code, low;

	if (v.type != JSON_STRING || v.len < 2)
		return false;
	end = v.p + v.len - 1;
	for (p = v.p + 1;
	     (p = memchr(p, '\\', (size_t)(end - p))) != NULL && end - p >= 2;
	     p += 2) {
		if (p[1] != 'u')
			continue;
		code = end - p >= 6 ? json_hex(p + 2) : 0xd800;
		if (code < 0xd800 || code > 0xdfff)
			continue;
		low = end - p >= 12 && p[6] == '\\' && p[7] == 'u'
		    ? json_hex(p + 8)
		    : 0;
		if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
			return false;
		p += 10;
	}
	return true;
}

bool
json_string_equals(struct json_value v, const char *text)
{
	size_t left = strlen(text), n;
	const char *p, *end;
	char code[4];

	if (v.type != JSON_STRING || v.len < 2 || left > v.len - 2)
		return false;
	end = v.p + v.len - 1;
	p = v.p + 1;
	if (left == v.len - 2 && memcmp(p, text, left) == 0)
		return memchr(p, '\\', left) == NULL;
	if (memchr(p, '\\', v.len - 2) == NULL)
		return false;
	while (p < end) {
		if (*p == '\\') {
			n = json_unescape(&p, end, code);
		} else {
			code[0] = *p++;
			n = 1;
		}
		if (n > left || memcmp(code, text, n) != 0)
			return false;
		text += n;
		left -= n;
	}
	return left == 0;
}

bool
json_bool(struct json_value v, bool *out)
{
	if (v.type != JSON_BOOL)
		return false;
	*out = v.p[0] == 't';
	return true;
}

/* Reads digits alone, as many as there are. */
static bool
json_digits(const char *p, const char *end, uint64_t *out)
{
	uint64_t n = 0;

	if (p == end)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' ||
		    __builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*out = n;
	return true;
}

bool
json_uint64(struct json_value v, uint64_t *out)
{
	return v.type == JSON_NUMBER && json_digits(v.p, v.p + v.len, out);
}

bool
json_uint32(struct json_value v, uint32_t *out)
{
	uint64_t n;

	if (!json_uint64(v, &n) || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

bool
json_int64(struct json_value v, int64_t *out)
{
	bool negative;
	uint64_t n;

	if (v.type != JSON_NUMBER || v.len == 0)
		return false;
	negative = v.p[0] == '-';
	if (!json_digits(v.p + negative, v.p + v.len, &n) ||
	    n > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

bool
json_double(struct json_value v, double *out)
{
	char copy[64], *end;
	double d;

	if (v.type != JSON_NUMBER || v.len == 0 || v.len >= sizeof(copy))
		return false;
	memcpy(copy, v.p, v.len);
	copy[v.len] = '\0';
	d = strtod(copy, &end);
	if (*end != '\0' || !isfinite(d))
		return false;
	*out = d;
	return true;
}
