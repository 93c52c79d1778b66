/*
 * name_fuzz: bytes as a name, and as the beginning of a line. A name that may
 * be somebody's is taken back as it was from how it is shown; what is shown is
 * UTF-8 without control characters.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "codec/name.h"

/* Whether a text can stand in a line. */
static bool
is_line(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return utf8_valid(text, len);
}

/* A name as it is shown, and back. */
static void
require_shown(const char *name, size_t len)
{
	char shown[NAME_SHOWN_MAX + 2], word[NAME_WORD_MAX];
	size_t n = name_show_json(name, len, shown), left, word_len;
	const char *rest = shown;

	REQUIRE(n <= NAME_SHOWN_MAX && is_line(shown, n));
	n = name_show(name, len, shown);
	REQUIRE(n <= NAME_SHOWN_MAX && is_line(shown, n));
	if (len == 0 || len > NAME_WORD_MAX || !utf8_valid(name, len))
		return;
	memcpy(shown + n, " x", 2);
	left = n + 2;
	REQUIRE(name_take(&rest, &left, word, &word_len));
	REQUIRE(word_len == len && memcmp(word, name, len) == 0);
	REQUIRE(left == 1 && *rest == 'x');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), word[NAME_WORD_MAX];
	const char *rest = text;
	size_t left = size, word_len;

	memcpy(text, data, size);
	require_shown(text, size);
	if (name_check_unproved(text, size) == NULL)
		REQUIRE(name_check_signed(text, size) == NULL &&
		    size <= NAME_UNPROVED_MAX && is_line(text, size));
	if (name_take(&rest, &left, word, &word_len)) {
		REQUIRE(word_len > 0 && word_len <= sizeof(word));
		REQUIRE(rest > text && rest + left == text + size);
		require_shown(word, word_len);
	} else
		REQUIRE(rest == text && left == size);
	free(text);
	return 0;
}
