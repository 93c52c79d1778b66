/* name_char: the characters of a name. Private to the codec layer. */
#ifndef CHATD_SRC_CODEC_NAME_CHAR_H
#define CHATD_SRC_CODEC_NAME_CHAR_H

#include <stdint.h>

#include "codec/name.h"

struct name_chars {
	uint32_t code[NAME_WORD_MAX]; /* U+FFFD for a byte that is no UTF-8 */
	size_t n;
	bool valid; /* all of it is UTF-8 */
};

/* Decodes NAME_WORD_MAX bytes at most. */
void name_decode(const char *name, size_t len, struct name_chars *out);

/* Whether character i of a name is seen: no control, format, private-use,
 * unassigned or ignorable one, and no other space than U+0020; but joiners and
 * variation selectors where they have a meaning. */
bool name_is_seen(const struct name_chars *c, size_t i);

/* Whether the first character stands for itself: a combining mark there would
 * change what a line has before the name. */
bool name_begins_alone(const struct name_chars *c);

#endif
