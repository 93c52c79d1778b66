/*
 * name: what users may be called, and how a name stands in a line of text so
 * that it is taken for nothing else. Layer 1, pure.
 *
 * Character properties and normal forms are those of the Unicode version that
 * libunistring has.
 */
#ifndef CHATD_CODEC_NAME_H
#define CHATD_CODEC_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum {
	NAME_UNPROVED_MAX = 64, /* bytes of a name that is not signed */
	NAME_SIGNED_MAX = 255,	/* and of one in a token, as identity
				 * providers make them (OpenID Connect Core 1.0
				 * section 2, `sub`) */
	NAME_WORD_MAX = 257,	/* longer than any name, "#" before it too */
	NAME_SHOWN_MAX = 6 * NAME_WORD_MAX + 2 /* U+0001 is six bytes */
};

/*
 * Whether a name that a client chose may be a user's: NULL, or what is wrong in
 * one line (good until the next call). It is short, in UTF-8 and NFC, and has
 * no invisible character and no other space than U+0020. Letters of another
 * script that look alike are not detected.
 */
const char *name_check_unproved(const char *name, size_t len);

/* What is wrong with a name in a signed token, as name_check_unproved(). The
 * issuer answers for it: it only has no control characters and does not begin
 * with "#". */
const char *name_check_signed(const char *name, size_t len);

/*
 * A name as it stands in a line: as it is, or in double quotes if it begins
 * with "[" or "*", has a comma, a quote or a space, or a character that would
 * not be seen. In quotes a backslash stands before a quote and a backslash, and
 * what would not be seen is \u{HEX}. So a name without quotes ends at the first
 * space. Takes NAME_WORD_MAX bytes at most; returns the length, not terminated.
 */
size_t name_show(const char *name, size_t len, char out[NAME_SHOWN_MAX]);

/* A name as a JSON string, with its quotes: what would not be seen is \uXXXX.
 */
size_t name_show_json(const char *name, size_t len, char out[NAME_SHOWN_MAX]);

/*
 * Cuts the first word off a text, as name_show() writes it, and exactly one
 * space behind it; a backslash before any other character stands for itself. A
 * longer word is cut to NAME_WORD_MAX bytes, which are no user's name. False,
 * with nothing changed, if there is no word or its quote does not end.
 */
bool name_take(
    const char **text, size_t *len, char out[NAME_WORD_MAX], size_t *out_len);

#endif
