/*
 * http_syntax: the grammar's small words (RFC 9110 5.6, RFC 3986), for the
 * http_*.c files alone.
 */
#ifndef CHATD_CODEC_HTTP_SYNTAX_H
#define CHATD_CODEC_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/http.h"

bool http_is_token_char(char c);
bool http_is_digit(char c);

/* How many bytes come before the first control character (C0 or DEL), or len.
 */
size_t http_visible(const char *p, size_t len);

/* The value of a hexadecimal digit, -1 if it is none. */
int http_hex(char c);

/* Whether a span is a token: not empty, token characters only. */
bool http_is_token(struct http_span s);

/* Whether a span is that word in any case of letters. */
bool http_is_word(struct http_span s, const char *word);

/*
 * Path and query characters, escapes judged: RFC 3986 3.3 and 3.4, and what
 * browsers leave as it is (WHATWG URL): [ ] { } | ^ ` \ and UTF-8.
 */
bool http_is_path(struct http_span s);
bool http_is_query(struct http_span s);

/* Host with an optional port, as in a Host field (RFC 9112 3.2); the port must
 * be there (and not empty) with `need_port`. */
bool http_is_authority(struct http_span s, bool need_port);

/* Takes a line off the front, without its CRLF; false if there is none. */
bool http_next_line(struct http_span *rest, struct http_span *line);

/* Splits at the first c: the part before it goes to *before, s keeps the rest.
 * If there is no c, returns false. */
bool http_split(struct http_span *s, char c, struct http_span *before);

/* Without optional white space at both ends. */
struct http_span http_trim(struct http_span s);

/*
 * Takes the next element off a comma separated list, trimmed, without the
 * empty ones (RFC 9110 5.6.1.2); commas in quoted strings do not separate.
 * Returns false at the end.
 */
bool http_next_element(struct http_span *list, struct http_span *element);

/* Whether an element is an extension of RFC 6455 9.1: a token and parameters,
 * whose values are tokens, quoted or not. */
bool http_is_extension(struct http_span s);

#endif
