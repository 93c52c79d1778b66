/* json: judging a text (RFC 8259). */
#include "base/utf8.h"
#include "codec/json.h"
#include "json_scan.h"

/* Whether a byte is a decimal digit. */
static inline bool
json_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether a byte is a hexadecimal digit. */
static inline bool
json_is_hex(char c)
{
	return json_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Judges an escape, at its backslash. Returns its end or NULL. */
static const char *
json_check_escape(const char *p, const char *end)
{
	if (end - p < 2)
		return NULL;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		if (end - p < 6 || !json_is_hex(p[2]) || !json_is_hex(p[3]) ||
		    !json_is_hex(p[4]) || !json_is_hex(p[5]))
			return NULL;
		return p + 6;
	default:
		return NULL;
	}
}

/* Judges a run of bytes that are not ASCII: within a string it is whole
 * characters. Returns its end or NULL. */
static const char *
json_check_run(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && (unsigned char)*p >= 0x80)
		p++;
	return utf8_valid(start, (size_t)(p - start)) ? p : NULL;
}

/* Judges a string, after its opening quote. Returns its end or NULL. */
static inline const char *
json_check_string(const char *p, const char *end)
{
	for (;;) {
		p = json_skip_plain(p, end);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p = json_check_escape(p, end);
		else if ((unsigned char)*p >= 0x80)
			p = json_check_run(p, end);
		else
			return NULL;
		if (p == NULL)
			return NULL;
	}
}

/* Skips at least one digit. Returns the end or NULL. */
static inline const char *
json_check_digits(const char *p, const char *end)
{
	if (p == end || !json_is_digit(*p))
		return NULL;
	while (p < end && json_is_digit(*p))
		p++;
	return p;
}

/* Judges a number. Returns its end or NULL. */
static inline const char *
json_check_number(const char *p, const char *end)
{
	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if ((p = json_check_digits(p, end)) == NULL)
		return NULL;
	if (p < end && *p == '.' && (p = json_check_digits(p + 1, end)) == NULL)
		return NULL;
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = json_check_digits(p, end);
	}
	return p;
}

/* Judges a word. Returns its end or NULL. */
static inline const char *
json_check_word(
    const char *p, const char *end, const char *word, size_t word_len)
{
	if ((size_t)(end - p) < word_len || memcmp(p, word, word_len) != 0)
		return NULL;
	return p + word_len;
}

/* Judges a value that is no container. Returns its end or NULL. */
static inline const char *
json_check_scalar(const char *p, const char *end)
{
	switch (*p) {
	case '"':
		return json_check_string(p + 1, end);
	case 't':
		return json_check_word(p, end, "true", 4);
	case 'f':
		return json_check_word(p, end, "false", 5);
	case 'n':
		return json_check_word(p, end, "null", 4);
	default:
		return json_check_number(p, end);
	}
}

/* Judges a member's name and colon. Returns the end or NULL. */
static inline const char *
json_check_name(const char *p, const char *end)
{
	p = json_skip_space(p, end);
	if (p == end || *p != '"')
		return NULL;
	if ((p = json_check_string(p + 1, end)) == NULL)
		return NULL;
	p = json_skip_space(p, end);
	return p < end && *p == ':' ? p + 1 : NULL;
}

/* Judges a value, at its first byte. Returns its end or NULL. The open
 * containers are bits, 1 for an object, the innermost one lowest. */
static const char *
json_check_value(const char *p, const char *end)
{
	uint64_t objects = 0;
	unsigned depth = 0;

	for (;;) {
		p = json_skip_space(p, end);
		if (p == end)
			return NULL;
		if (*p == '{' || *p == '[') {
			if (depth++ == JSON_DEPTH_MAX)
				return NULL;
			objects = objects << 1 | (*p == '{');
			p = json_skip_space(p + 1, end);
			if (p == end)
				return NULL;
			if (*p != (objects & 1 ? '}' : ']')) {
				if ((objects & 1) &&
				    (p = json_check_name(p, end)) == NULL)
					return NULL;
				continue;
			}
		} else if ((p = json_check_scalar(p, end)) == NULL)
			return NULL;
		/* A value is complete, or an empty container's end is here. */
		for (;;) {
			if (depth == 0)
				return p;
			p = json_skip_space(p, end);
			if (p == end)
				return NULL;
			if (*p == ',')
				break;
			if (*p != (objects & 1 ? '}' : ']'))
				return NULL;
			p++;
			depth--;
			objects >>= 1;
		}
		p++;
		if ((objects & 1) && (p = json_check_name(p, end)) == NULL)
			return NULL;
	}
}

bool
json_validate(const char *text, size_t len, struct json_value *value)
{
	const char *p, *end, *stop;

	*value = (struct json_value){0};
	if (len == 0)
		return false;
	end = text + len;
	p = json_skip_space(text, end);
	if ((stop = json_check_value(p, end)) == NULL ||
	    json_skip_space(stop, end) != end)
		return false;
	value->p = p;
	value->len = (size_t)(stop - p);
	value->type = json_type_at(p);
	return true;
}
