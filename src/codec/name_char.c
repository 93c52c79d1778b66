/* name_char: which characters of a name are visible. */
#include <unictype.h>

#include "base/utf8.h"
#include "name_char.h"

enum {
	FIRST_MARK = 0x300, /* no character below it combines */
	CHAR_ZWNJ = 0x200c,
	CHAR_ZWJ = 0x200d,
	CHAR_TEXT_STYLE = 0xfe0e, /* variation selectors of emoji */
	CHAR_EMOJI_STYLE = 0xfe0f,
	CHAR_KEYCAP = 0x20e3,
	CHAR_BRAILLE_BLANK = 0x2800, /* a symbol by its category */
	/* Mongolian letters have forms, which these choose. */
	CHAR_MONGOLIAN_FIRST = 0x1820,
	CHAR_MONGOLIAN_LAST = 0x18aa,
	CHAR_MONGOLIAN_FORM_FIRST = 0x180b,
	CHAR_MONGOLIAN_FORM_LAST = 0x180f
};

/* Categories of characters that are invisible or only a gap. */
#define CATEGORY_UNSEEN                                                   \
	(UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Zs | UC_CATEGORY_MASK_Zl | \
	    UC_CATEGORY_MASK_Zp)

void
name_decode(const char *name, size_t len, struct name_chars *out)
{
	size_t n;

	out->n = 0;
	out->valid = true;
	if (len > NAME_WORD_MAX)
		len = NAME_WORD_MAX;
	for (; len > 0; name += n, len -= n) {
		n = utf8_decode(name, len, &out->code[out->n]);
		if (n == 0) {
			out->valid = false;
			out->code[out->n] = 0xfffd;
			n = 1;
		}
		out->n++;
	}
}

/* Whether the character before i is a virama (RFC 5892 A.1, A.2). */
static bool
char_after_virama(const struct name_chars *c, size_t i)
{
	return i > 0 && uc_combining_class((ucs4_t)c->code[i - 1]) == UC_CCC_VR;
}

/* Whether letters on both sides of i join across it (RFC 5892 A.1). */
static bool
char_is_between_joining(const struct name_chars *c, size_t i)
{
	size_t before = i, after = i + 1;
	int left, right;

	while (before > 0 &&
	    uc_joining_type(c->code[before - 1]) == UC_JOINING_TYPE_T)
		before--;
	while (after < c->n &&
	    uc_joining_type(c->code[after]) == UC_JOINING_TYPE_T)
		after++;
	if (before == 0 || after == c->n)
		return false;
	left = uc_joining_type(c->code[before - 1]);
	right = uc_joining_type(c->code[after]);
	return (left == UC_JOINING_TYPE_L || left == UC_JOINING_TYPE_D) &&
	    (right == UC_JOINING_TYPE_R || right == UC_JOINING_TYPE_D);
}

/* Whether i joins two emoji (UTS #51, emoji ZWJ sequences). */
static bool
char_is_between_emoji(const struct name_chars *c, size_t i)
{
	size_t k = i;

	while (k > 0 &&
	    (c->code[k - 1] == CHAR_EMOJI_STYLE ||
		uc_is_property_emoji_modifier(c->code[k - 1])))
		k--;
	return k > 0 && uc_is_property_extended_pictographic(c->code[k - 1]) &&
	    i + 1 < c->n &&
	    uc_is_property_extended_pictographic(c->code[i + 1]);
}

/* Whether variation selector i follows something that it chooses a form of. */
static bool
char_selects(const struct name_chars *c, size_t i)
{
	uint32_t code = c->code[i], before = i > 0 ? c->code[i - 1] : 0;

	if (code == CHAR_TEXT_STYLE || code == CHAR_EMOJI_STYLE)
		return before >= 0x80
		    ? uc_is_property_extended_pictographic(before)
		    : uc_is_property_emoji(before) && i + 1 < c->n &&
			c->code[i + 1] == CHAR_KEYCAP;
	if (code >= CHAR_MONGOLIAN_FORM_FIRST &&
	    code <= CHAR_MONGOLIAN_FORM_LAST)
		return before >= CHAR_MONGOLIAN_FIRST &&
		    before <= CHAR_MONGOLIAN_LAST;
	return code > 0xffff && uc_is_property_ideographic(before);
}

bool
name_begins_alone(const struct name_chars *c)
{
	return c->n == 0 || c->code[0] < FIRST_MARK ||
	    !uc_is_general_category_withtable(c->code[0], UC_CATEGORY_MASK_M);
}

bool
name_is_seen(const struct name_chars *c, size_t i)
{
	uint32_t code = c->code[i];

	if (code < 0x7f)
		return code >= 0x20;
	if (code == CHAR_ZWJ)
		return char_after_virama(c, i) || char_is_between_emoji(c, i);
	if (code == CHAR_ZWNJ)
		return char_after_virama(c, i) || char_is_between_joining(c, i);
	if (uc_is_property_variation_selector(code))
		return char_selects(c, i);
	if (code == CHAR_BRAILLE_BLANK)
		return false;
	return !uc_is_general_category_withtable(code, CATEGORY_UNSEEN) &&
	    !uc_is_property_default_ignorable_code_point(code);
}
