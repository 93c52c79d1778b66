/* http_syntax: the grammar's small words. */
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "http_syntax.h"

/* Classes of characters, one bit each. */
enum {
	IS_TOKEN = 1, /* RFC 9110 5.6.2 */
	IS_HOST = 2,  /* unreserved and sub-delims: reg-name, RFC 3986 3.2.2 */
	IS_PATH = 4,  /* the same with : @ and /: RFC 3986 3.3 */
	IS_RAW = 8    /* no URI has them, yet browsers send them */
};

#define T IS_TOKEN
#define H (IS_HOST | IS_PATH)
#define TH (IS_TOKEN | IS_HOST | IS_PATH)
#define TR (IS_TOKEN | IS_RAW)

static const unsigned char http_class[256] = {
    ['0' ... '9'] = TH,
    ['A' ... 'Z'] = TH,
    ['a' ... 'z'] = TH,
    ['-'] = TH,
    ['.'] = TH,
    ['_'] = TH,
    ['~'] = TH,
    ['!'] = TH,
    ['$'] = TH,
    ['&'] = TH,
    ['\''] = TH,
    ['*'] = TH,
    ['+'] = TH,
    ['('] = H,
    [')'] = H,
    [','] = H,
    [';'] = H,
    ['='] = H,
    ['#'] = T,
    ['%'] = T,
    ['^'] = TR,
    ['`'] = TR,
    ['|'] = TR,
    ['['] = IS_RAW,
    ['\\'] = IS_RAW,
    [']'] = IS_RAW,
    ['{'] = IS_RAW,
    ['}'] = IS_RAW,
    [':'] = IS_PATH,
    ['@'] = IS_PATH,
    ['/'] = IS_PATH,
};

#undef T
#undef H
#undef TH
#undef TR

/* Whether a character is of a class. */
static inline bool
http_is(char c, int class)
{
	return http_class[(unsigned char)c] & class;
}

bool
http_is_token_char(char c)
{
	return http_is(c, IS_TOKEN);
}

bool
http_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Bytes of a word that are below ' ', or DEL: their highest bits; others' may
 * be set above the first of them. */
static uint64_t
http_controls(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t dels = word ^ ones * 0x7f;

	return (((word - ones * ' ') & ~word) | ((dels - ones) & ~dels)) &
	    ones * 0x80;
}

size_t
http_visible(const char *p, size_t len)
{
	uint64_t word;
	size_t i = 0;

	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word = http_controls(le64toh(word));
		if (word != 0)
			return i + (size_t)__builtin_ctzll(word) / 8;
	}
	while (i < len && (unsigned char)p[i] >= ' ' && p[i] != 0x7f)
		i++;
	return i;
}

int
http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
http_is_token(struct http_span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!http_is(s.p[i], IS_TOKEN))
			return false;
	return s.len > 0;
}

bool
http_is_word(struct http_span s, const char *word)
{
	return strlen(word) == s.len && strncasecmp(s.p, word, s.len) == 0;
}

/* The length of what begins at s: a character of a class, `also`, an escape,
 * or, with IS_RAW, a letter in UTF-8. 0: none of them. */
static size_t
http_unit(struct http_span s, int class, char also)
{
	uint32_t c;
	size_t n;

	if (*s.p == '%')
		return s.len >= 3 && http_hex(s.p[1]) != -1 &&
			http_hex(s.p[2]) != -1
		    ? 3
		    : 0;
	if (http_is(*s.p, class) || *s.p == also)
		return 1;
	if (!(class & IS_RAW) || (unsigned char)*s.p < 0x80)
		return 0;
	n = utf8_decode(s.p, s.len, &c);
	return n > 0 && c >= 0xa0 ? n : 0; /* no control characters */
}

/* Whether a span consists of those. */
static bool
http_is_escaped(struct http_span s, int class, char also)
{
	size_t n;

	for (; s.len > 0; s.p += n, s.len -= n)
		if ((n = http_unit(s, class, also)) == 0)
			return false;
	return true;
}

bool
http_is_path(struct http_span s)
{
	return http_is_escaped(s, IS_PATH | IS_RAW, '/');
}

bool
http_is_query(struct http_span s)
{
	return http_is_escaped(s, IS_PATH | IS_RAW, '?');
}

/* Whether a span, without its brackets, is an IPv6 or future address. */
static bool
http_is_ip_literal(struct http_span s)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];
	size_t i;

	if (s.len > 0 && (*s.p == 'v' || *s.p == 'V')) {
		for (i = 1; i < s.len && http_hex(s.p[i]) != -1; i++)
			;
		if (i == 1 || i + 1 >= s.len || s.p[i] != '.')
			return false;
		for (i++; i < s.len; i++)
			if (!http_is(s.p[i], IS_HOST) && s.p[i] != ':')
				return false;
		return true;
	}
	if (s.len >= sizeof(text) || memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

/* Whether a span is ":PORT" or, unless needed, ":" or nothing. */
static bool
http_is_port(struct http_span s, bool needed)
{
	unsigned long port = 0;
	size_t i;

	if (s.len == 0)
		return !needed;
	if (*s.p != ':' || (s.len == 1 && needed))
		return false;
	for (i = 1; i < s.len; i++) {
		if (!http_is_digit(s.p[i]))
			return false;
		port = port * 10 + (unsigned long)(s.p[i] - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

bool
http_is_authority(struct http_span s, bool need_port)
{
	struct http_span host = s, port;
	const char *end;

	if (s.len > 0 && *s.p == '[') {
		if ((end = memchr(s.p, ']', s.len)) == NULL)
			return false;
		host.p = s.p + 1;
		host.len = (size_t)(end - host.p);
		if (!http_is_ip_literal(host))
			return false;
		end++;
	} else {
		if ((end = memchr(s.p, ':', s.len)) == NULL)
			end = s.p + s.len;
		host.len = (size_t)(end - s.p);
		if (host.len == 0 || !http_is_escaped(host, IS_HOST, '.'))
			return false;
	}
	port.p = end;
	port.len = (size_t)(s.p + s.len - end);
	return http_is_port(port, need_port);
}

bool
http_next_line(struct http_span *rest, struct http_span *line)
{
	const char *cr = rest->p, *end = cr + rest->len;

	while (cr < end &&
	    (cr = memchr(cr, '\r', (size_t)(end - cr))) != NULL &&
	    (end - cr < 2 || cr[1] != '\n'))
		cr++;
	if (cr == NULL || cr >= end)
		return false;
	line->p = rest->p;
	line->len = (size_t)(cr - rest->p);
	rest->p += line->len + 2;
	rest->len -= line->len + 2;
	return true;
}

bool
http_split(struct http_span *s, char c, struct http_span *before)
{
	const char *at = s->len > 0 ? memchr(s->p, c, s->len) : NULL;

	if (at == NULL)
		return false;
	before->p = s->p;
	before->len = (size_t)(at - s->p);
	s->p += before->len + 1;
	s->len -= before->len + 1;
	return true;
}

struct http_span
http_trim(struct http_span s)
{
	while (s.len > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool
http_next_element(struct http_span *list, struct http_span *element)
{
	bool quoted = false;
	size_t i;

	while (list->len > 0) {
		for (i = 0; i < list->len; i++) {
			if (quoted && list->p[i] == '\\' && i + 1 < list->len)
				i++;
			else if (list->p[i] == '"')
				quoted = !quoted;
			else if (list->p[i] == ',' && !quoted)
				break;
		}
		element->p = list->p;
		element->len = i;
		*element = http_trim(*element);
		if (i < list->len)
			i++; /* the comma */
		list->p += i;
		list->len -= i;
		if (element->len > 0)
			return true;
	}
	return false;
}

/* Takes a token off the front; false if there is none. */
static bool
http_take_token(struct http_span *s)
{
	size_t i;

	for (i = 0; i < s->len && http_is(s->p[i], IS_TOKEN); i++)
		;
	s->p += i;
	s->len -= i;
	return i > 0;
}

/* Takes a quoted string off the front that is a token once unquoted. */
static bool
http_take_quoted_token(struct http_span *s)
{
	size_t i, chars = 0;

	for (i = 1; i < s->len && s->p[i] != '"'; i++, chars++) {
		if (s->p[i] == '\\' && ++i == s->len)
			return false;
		if (!http_is(s->p[i], IS_TOKEN))
			return false;
	}
	if (i >= s->len || chars == 0)
		return false;
	s->p += i + 1;
	s->len -= i + 1;
	return true;
}

/* Takes one character off the front, with white space around it. */
static bool
http_take(struct http_span *s, char c)
{
	struct http_span rest = http_trim(*s);

	if (rest.len == 0 || *rest.p != c)
		return false;
	rest.p++;
	rest.len--;
	*s = http_trim(rest);
	return true;
}

bool
http_is_extension(struct http_span s)
{
	if (!http_take_token(&s))
		return false;
	while (s.len > 0) {
		if (!http_take(&s, ';') || !http_take_token(&s))
			return false;
		if (!http_take(&s, '='))
			continue;
		if (s.len > 0 && *s.p == '"') {
			if (!http_take_quoted_token(&s))
				return false;
		} else if (!http_take_token(&s))
			return false;
	}
	return true;
}
