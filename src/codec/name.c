/* What users may be called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>

#include "name_char.h"

/* Text of characters below it alone is in every version's NFC. */
enum { FIRST_COMPOSING = 0x300 };

/* Whether a character is a control character (C0, DEL, C1). */
static bool
name_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

/* Whether a name is in Unicode's normal form C. */
static bool
name_is_normal(const struct name_chars *c)
{
	uint32_t room[4 * NAME_WORD_MAX], *out;
	size_t n = sizeof(room) / sizeof(room[0]), i = 0;
	bool same;

	while (i < c->n && c->code[i] < FIRST_COMPOSING)
		i++;
	if (i == c->n)
		return true;
	out = u32_normalize(UNINORM_NFC, c->code, c->n, room, &n);
	same = out != NULL && n == c->n &&
	    memcmp(out, c->code, n * sizeof(*out)) == 0;
	if (out != room)
		free(out);
	return same;
}

/* What is wrong with the characters of a name that a client chose. */
static const char *
name_judge_chars(const struct name_chars *c)
{
	static char why[96];
	size_t i;

	if (!c->valid)
		return "user is not valid UTF-8";
	for (i = 0; i < c->n; i++)
		if (name_is_control(c->code[i]) || c->code[i] == '"')
			return "user has a control character or a quote";
	for (i = 0; i < c->n; i++)
		if (!name_is_seen(c, i)) {
			snprintf(why, sizeof(why),
			    "user has U+%04X, which is not seen, is no "
			    "character yet or is an unusual space",
			    (unsigned)c->code[i]);
			return why;
		}
	if (!name_begins_alone(c))
		return "user begins with a combining mark";
	return name_is_normal(c) ? NULL
				 : "user is not in Unicode's normal form C";
}

const char *
name_check_unproved(const char *name, size_t len)
{
	struct name_chars c;
	const char *wrong;

	if (len == 0)
		return "user is missing: connect to /ws?user=NAME";
	if (len > NAME_UNPROVED_MAX)
		return "user is longer than 64 bytes";
	name_decode(name, len, &c);
	wrong = name_judge_chars(&c);
	if (wrong != NULL)
		return wrong;
	if (name[0] == ' ' || name[len - 1] == ' ')
		return "user begins or ends with a space";
	if (strchr("#@/*", name[0]) != NULL)
		return "user begins with one of # @ / *";
	return NULL;
}

const char *
name_check_signed(const char *name, size_t len)
{
	struct name_chars c;
	size_t i;

	if (len > NAME_SIGNED_MAX)
		return "sub is longer than 255 bytes";
	name_decode(name, len, &c);
	if (!c.valid)
		return "sub is not valid UTF-8";
	for (i = 0; i < c.n; i++)
		if (name_is_control(c.code[i]))
			return "sub has a control character";
	return c.n > 0 && name[0] == '#' ? "sub begins with #" : NULL;
}
