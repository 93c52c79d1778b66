/* How a name stands in a line, and how it is taken out of one. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "name_char.h"

enum { SHOW_PIECE = 16 }; /* "\u{10ffff}", or two of JSON's with a NUL */

/* Whether a name is shown as it is: the usual case, decided by its bytes. */
static bool
show_is_bare(const char *name, size_t len)
{
	/* ASCII that is seen, but for the comma and the quote: one look a byte,
	 * as each rendered message asks */
	static const bool bare[256] = {
	    ['!'] = true, ['#' ... '+'] = true, ['-' ... '~'] = true};
	size_t i;

	if (len == 0 || len > NAME_WORD_MAX || name[0] == '[' || name[0] == '*')
		return false;
	for (i = 0; i < len && bare[(uint8_t)name[i]]; i++)
		;
	return i == len;
}

/* Whether a name with characters that are not ASCII needs quotes. */
static bool
show_needs_quotes(const struct name_chars *c)
{
	size_t i;

	if (c->n == 0 || c->code[0] == '[' || c->code[0] == '*')
		return true;
	for (i = 0; i < c->n; i++)
		if (c->code[i] == ' ' || c->code[i] == ',' ||
		    c->code[i] == '"' || !name_is_seen(c, i))
			return true;
	return false;
}

/* Writes a character that would not be seen; returns its length. */
static size_t
show_unseen(uint32_t code, bool json, char out[SHOW_PIECE])
{
	if (!json)
		return (size_t)snprintf(out, SHOW_PIECE, "\\u{%x}", code);
	if (code < 0x10000)
		return (size_t)snprintf(out, SHOW_PIECE, "\\u%04x", code);
	code -= 0x10000;
	return (size_t)snprintf(out, SHOW_PIECE, "\\u%04x\\u%04x",
	    0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
}

/* Writes a name between quotes. */
static size_t
show_quoted(const struct name_chars *c, bool json, char out[NAME_SHOWN_MAX])
{
	char piece[SHOW_PIECE], *to = out;
	size_t i, n;

	*to++ = '"';
	for (i = 0; i < c->n; i++) {
		if (!name_is_seen(c, i)) {
			n = show_unseen(c->code[i], json, piece);
		} else {
			n = 0;
			if (c->code[i] == '"' || c->code[i] == '\\')
				piece[n++] = '\\';
			n += utf8_encode(c->code[i], piece + n);
		}
		memcpy(to, piece, n);
		to += n;
	}
	*to++ = '"';
	return (size_t)(to - out);
}

size_t
name_show(const char *name, size_t len, char out[NAME_SHOWN_MAX])
{
	struct name_chars c;

	if (!show_is_bare(name, len)) {
		name_decode(name, len, &c);
		if (!c.valid || show_needs_quotes(&c))
			return show_quoted(&c, false, out);
	}
	if (len > NAME_WORD_MAX)
		len = NAME_WORD_MAX;
	memcpy(out, name, len);
	return len;
}

size_t
name_show_json(const char *name, size_t len, char out[NAME_SHOWN_MAX])
{
	struct name_chars c;

	name_decode(name, len, &c);
	return show_quoted(&c, true, out);
}

/* Reads "\u{HEX}" at p. Returns its length with *code set, or 0: it is not one.
 */
static size_t
take_escape(const char *p, const char *end, uint32_t *code)
{
	static const char digits[] = "0123456789abcdef";
	const char *q = p + 3, *digit;

	if (end - p < 5 || memcmp(p, "\\u{", 3) != 0)
		return 0;
	for (*code = 0; q < end && *q != '}'; q++) {
		digit = memchr(digits, *q, 16);
		if (digit == NULL || q - p == 3 + 6)
			return 0;
		*code = *code << 4 | (uint32_t)(digit - digits);
	}
	if (q == end || q == p + 3 || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return (size_t)(q + 1 - p);
}

/* Keeps bytes of a word, as far as there is room. */
static void
take_bytes(char out[NAME_WORD_MAX], size_t *used, const char *bytes, size_t len)
{
	if (len > NAME_WORD_MAX - *used)
		len = NAME_WORD_MAX - *used;
	memcpy(out + *used, bytes, len);
	*used += len;
}

/* Takes what stands between quotes, the first of which is before p; returns its
 * end behind the second, NULL: there is none. */
static const char *
take_quoted(
    const char *p, const char *end, char out[NAME_WORD_MAX], size_t *used)
{
	char piece[4];
	uint32_t code;
	size_t n;

	for (; p < end && *p != '"'; p += n) {
		n = take_escape(p, end, &code);
		if (n > 0) {
			take_bytes(out, used, piece, utf8_encode(code, piece));
			continue;
		}
		if (*p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\'))
			p++;
		take_bytes(out, used, p, 1);
		n = 1;
	}
	return p < end ? p + 1 : NULL;
}

bool
name_take(
    const char **text, size_t *len, char out[NAME_WORD_MAX], size_t *out_len)
{
	const char *p = *text, *end = p + *len, *stop;

	*out_len = 0;
	if (p < end && *p == '"') {
		stop = take_quoted(p + 1, end, out, out_len);
		if (stop == NULL || (stop < end && *stop != ' '))
			return false;
	} else {
		stop = memchr(p, ' ', *len);
		if (stop == NULL)
			stop = end;
		*out_len = (size_t)(stop - p) < NAME_WORD_MAX
		    ? (size_t)(stop - p)
		    : NAME_WORD_MAX;
		memcpy(out, p, *out_len);
	}
	if (*out_len == 0)
		return false;
	if (stop < end)
		stop++;
	*text = stop;
	*len = (size_t)(end - stop);
	return true;
}
