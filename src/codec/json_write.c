/* json_write: JSON in one pass, with a sticky error. */
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/json.h"
#include "json_scan.h"

enum { JSON_GROW_FIRST = 512 }; /* bytes: holds most replies */

void
json_writer_init(struct json_writer *w, char *buf, size_t cap)
{
	*w = (struct json_writer){.buf = buf, .cap = cap};
}

void
json_writer_init_growing(struct json_writer *w, size_t limit)
{
	*w = (struct json_writer){.limit = limit};
}

void
json_writer_deinit(struct json_writer *w)
{
	if (w->limit != 0)
		free(w->buf);
	*w = (struct json_writer){0};
}

void
json_writer_reset(struct json_writer *w)
{
	w->len = 0;
	w->failed = false;
}

/* Makes a growing buffer at least `need` bytes large. */
static bool
json_grow(struct json_writer *w, size_t need)
{
	size_t cap = w->cap > 0 ? w->cap : JSON_GROW_FIRST;
	char *buf;

	if (need > w->limit)
		return false;
	while (cap < need)
		cap = cap > w->limit / 2 ? w->limit : cap * 2;
	if (cap > w->limit)
		cap = w->limit;
	if ((buf = realloc(w->buf, cap)) == NULL)
		return false;
	w->buf = buf;
	w->cap = cap;
	return true;
}

/* Room for len more bytes, or NULL, which is sticky. */
static inline char *
json_reserve(struct json_writer *w, size_t len)
{
	if (w->failed)
		return NULL;
	if (len > w->cap - w->len &&
	    (len > SIZE_MAX - w->len || !json_grow(w, w->len + len))) {
		w->failed = true;
		return NULL;
	}
	return w->buf + w->len;
}

void
json_put(struct json_writer *w, const char *p, size_t len)
{
	char *to = json_reserve(w, len);

	if (to == NULL || len == 0)
		return;
	memcpy(to, p, len);
	w->len += len;
}

/* Puts a comma if what is written ends with a complete value: a value never
 * ends with one of these bytes. */
static inline void
json_separate(struct json_writer *w)
{
	if (w->len == 0 || w->failed)
		return;
	switch (w->buf[w->len - 1]) {
	case '{':
	case '[':
	case ':':
	case ',':
	case '\n':
		return;
	default:
		json_put(w, ",", 1);
	}
}

void
json_open(struct json_writer *w, char bracket)
{
	json_separate(w);
	json_put(w, &bracket, 1);
}

void
json_close(struct json_writer *w, char bracket)
{
	json_put(w, &bracket, 1);
}

void
json_put_name(struct json_writer *w, const char *name)
{
	json_separate(w);
	json_put(w, "\"", 1);
	json_put(w, name, strlen(name));
	json_put(w, "\":", 2);
}

/* Writes the escape of a byte below 0x20, a quote or a backslash. */
static size_t
json_escape(unsigned char c, char out[6])
{
	static const char letters[0x20] = {['\b'] = 'b',
	    ['\t'] = 't',
	    ['\n'] = 'n',
	    ['\f'] = 'f',
	    ['\r'] = 'r'};
	static const char hex[] = "0123456789abcdef";

	out[0] = '\\';
	if (c >= 0x20 || letters[c] != '\0') {
		out[1] = c >= 0x20 ? (char)c : letters[c];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 0xf];
	return 6;
}

/* What comes next in a string that is written. */
struct json_piece {
	const char *p;
	size_t len;
	char escaped[6];
};

/* Takes the next piece of a text: bytes that stay as they are, or one that
 * does not. Returns where the text goes on. */
static const char *
json_next_piece(const char *p, const char *end, struct json_piece *piece)
{
	const char *stop = p;
	uint32_t code;
	size_t n;

	for (;;) {
		stop = json_skip_plain(stop, end);
		if (stop == end || (unsigned char)*stop < 0x80)
			break;
		if ((n = utf8_decode(stop, (size_t)(end - stop), &code)) == 0)
			break;
		stop += n;
	}
	if (stop > p) {
		piece->p = p;
		piece->len = (size_t)(stop - p);
		return stop;
	}
	piece->p = piece->escaped;
	if ((unsigned char)*p >= 0x80) {
		memcpy(piece->escaped, "\xef\xbf\xbd", 3);
		piece->len = 3;
	} else
		piece->len = json_escape((unsigned char)*p, piece->escaped);
	return p + 1;
}

void
json_put_string(struct json_writer *w, const char *text, size_t len)
{
	const char *p = len > 0 ? text : "", *end = p + len;
	struct json_piece piece;

	json_separate(w);
	json_put(w, "\"", 1);
	while (p < end) {
		p = json_next_piece(p, end, &piece);
		json_put(w, piece.p, piece.len);
	}
	json_put(w, "\"", 1);
}

/* Writes a number, with its sign. */
static void
json_put_digits(struct json_writer *w, uint64_t n, bool negative)
{
	char digits[21], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	if (negative)
		*--p = '-';
	json_separate(w);
	json_put(w, p, (size_t)(digits + sizeof(digits) - p));
}

void
json_put_int(struct json_writer *w, int64_t n)
{
	json_put_digits(w, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, n < 0);
}

void
json_put_uint(struct json_writer *w, uint64_t n)
{
	json_put_digits(w, n, false);
}

void
json_put_bool(struct json_writer *w, bool b)
{
	json_put_raw(w, b ? "true" : "false", b ? 4 : 5);
}

void
json_put_raw(struct json_writer *w, const char *p, size_t len)
{
	json_separate(w);
	json_put(w, p, len);
}

void
json_put_compact(struct json_writer *w, struct json_value v)
{
	const char *p = v.p, *end, *start;

	if (v.type == JSON_NONE) {
		json_put_raw(w, "null", 4);
		return;
	}
	json_separate(w);
	end = p + v.len;
	while (p < end) {
		start = p;
		while (p < end && !json_is_space(*p))
			p = *p == '"' ? json_skip_string(p + 1, end) : p + 1;
		json_put(w, start, (size_t)(p - start));
		p = json_skip_space(p, end);
	}
}
