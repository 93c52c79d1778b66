/* http_chunked: the chunked transfer coding (RFC 9112 7.1). */
#include <stdbool.h>
#include <string.h>

#include "codec/http_chunked.h"
#include "http_syntax.h"

/* What the next byte belongs to. */
enum chunked_state {
	CHUNKED_FIRST,	     /* the first digit of a length */
	CHUNKED_SIZE,	     /* further digits */
	CHUNKED_BLANK,	     /* blanks before an extension */
	CHUNKED_EXTENSION,   /* an extension, up to CR */
	CHUNKED_SIZE_LF,     /* LF behind a length */
	CHUNKED_DATA,	     /* a chunk's data */
	CHUNKED_DATA_CR,     /* CR behind it */
	CHUNKED_DATA_LF,     /* and LF */
	CHUNKED_FIELD_FIRST, /* the first byte of a trailer field, or CR */
	CHUNKED_FIELD,	     /* the rest of it, up to CR */
	CHUNKED_FIELD_LF,    /* and LF */
	CHUNKED_END_LF,	     /* LF of the empty line */
	CHUNKED_BAD	     /* nothing follows */
};

/* Whether a byte may stand in an extension or a trailer field. */
static bool
chunked_is_text(char c)
{
	unsigned char u = (unsigned char)c;

	return (u >= ' ' && u != 0x7f) || u == '\t';
}

/* Adds a digit to a chunk's length; a length above 2^32 - 1 counts as
 * malformed: no body may be so long. */
static enum chunked_state
chunked_size(struct http_chunked *c, char byte)
{
	int digit = http_hex(byte);

	if (digit < 0 || c->left > UINT32_MAX >> 4)
		return CHUNKED_BAD;
	c->left = c->left << 4 | (uint64_t)digit;
	return CHUNKED_SIZE;
}

/* What follows a byte of the line with a chunk's length. */
static enum chunked_state
chunked_line(struct http_chunked *c, char byte)
{
	if (++c->line > HTTP_CHUNK_LINE_MAX)
		return CHUNKED_BAD;
	switch (c->state) {
	case CHUNKED_FIRST:
		c->left = 0;
		return chunked_size(c, byte);
	case CHUNKED_EXTENSION:
		if (byte == '\r')
			return CHUNKED_SIZE_LF;
		return chunked_is_text(byte) ? CHUNKED_EXTENSION : CHUNKED_BAD;
	case CHUNKED_SIZE:
		if (byte == '\r')
			return CHUNKED_SIZE_LF;
		if (byte != ';' && byte != ' ' && byte != '\t')
			return chunked_size(c, byte);
		/* FALLTHROUGH */
	default:
		if (byte == ';')
			return CHUNKED_EXTENSION;
		return byte == ' ' || byte == '\t' ? CHUNKED_BLANK
						   : CHUNKED_BAD;
	}
}

/* What follows a byte of the trailer. */
static enum chunked_state
chunked_trailer(struct http_chunked *c, char byte)
{
	if (++c->line > HTTP_TRAILER_MAX)
		return CHUNKED_BAD;
	if (c->state == CHUNKED_FIELD_FIRST) {
		if (byte == '\r')
			return CHUNKED_END_LF;
		return http_is_token_char(byte) ? CHUNKED_FIELD : CHUNKED_BAD;
	}
	if (byte == '\r')
		return CHUNKED_FIELD_LF;
	return chunked_is_text(byte) ? CHUNKED_FIELD : CHUNKED_BAD;
}

/* What follows a byte that is no data. */
static enum chunked_state
chunked_step(struct http_chunked *c, char byte)
{
	switch ((enum chunked_state)c->state) {
	case CHUNKED_SIZE_LF:
		c->line = 0;
		if (byte != '\n')
			return CHUNKED_BAD;
		return c->left > 0 ? CHUNKED_DATA : CHUNKED_FIELD_FIRST;
	case CHUNKED_DATA_CR:
		return byte == '\r' ? CHUNKED_DATA_LF : CHUNKED_BAD;
	case CHUNKED_DATA_LF:
		return byte == '\n' ? CHUNKED_FIRST : CHUNKED_BAD;
	case CHUNKED_FIELD_FIRST:
	case CHUNKED_FIELD:
		return chunked_trailer(c, byte);
	case CHUNKED_FIELD_LF:
		c->line++;
		return byte == '\n' ? CHUNKED_FIELD_FIRST : CHUNKED_BAD;
	case CHUNKED_BAD:
		return CHUNKED_BAD;
	default:
		return chunked_line(c, byte);
	}
}

enum http_chunked_result
http_chunked_take(
    struct http_chunked *c, char *bytes, size_t len, size_t *used, size_t *n)
{
	size_t at = 0, more;

	*n = 0;
	while (at < len) {
		if (c->state == CHUNKED_DATA) {
			more = len - at < c->left ? len - at : (size_t)c->left;
			memmove(bytes + *n, bytes + at, more);
			*n += more;
			at += more;
			c->left -= more;
			if (c->left == 0)
				c->state = CHUNKED_DATA_CR;
			continue;
		}
		if (c->state == CHUNKED_END_LF) {
			*used = at + 1;
			return bytes[at] == '\n' ? HTTP_CHUNKED_DONE
						 : HTTP_CHUNKED_BAD;
		}
		c->state = (uint8_t)chunked_step(c, bytes[at++]);
		if (c->state == CHUNKED_BAD)
			break;
	}
	*used = at;
	return c->state == CHUNKED_BAD ? HTTP_CHUNKED_BAD : HTTP_CHUNKED_MORE;
}
