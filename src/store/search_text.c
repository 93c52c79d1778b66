#include "search_text.h"

#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "codec/message.h"

/* The end of a string that begins at p: behind its second quote. */
static const char *
string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

/* Whether what is behind a string makes it the name of a member. */
static bool
string_is_name(const char *p, const char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4) != NULL)
		p++;
	return p < end && *p == ':';
}

/* The strings of a JSON text that was checked, a line each. A string has two
 * quotes, so there is room for the line's end. */
static size_t
text_of_json(const char *p, size_t len, char *out)
{
	const char *end = p + len, *next;
	struct json_value v = {.type = JSON_STRING};
	size_t n = 0;
	ssize_t got;

	for (; p < end; p = next) {
		next = p + 1;
		if (*p != '"')
			continue;
		next = string_end(p, end);
		if (string_is_name(next, end))
			continue;
		v.p = p;
		v.len = (size_t)(next - p);
		got = v.len >= 2 ? json_string(v, out + n, v.len - 2) : -1;
		if (got <= 0)
			continue;
		n += (size_t)got;
		out[n++] = '\n';
	}
	return n;
}

size_t
search_text(const struct publication *p, char *out)
{
	if (p->format == FORMAT_JSON)
		return text_of_json(p->data, p->data_len, out);
	if (p->format != FORMAT_TEXT)
		return 0;
	if (p->data_len > 0)
		memcpy(out, p->data, p->data_len);
	return p->data_len;
}

/* Whether a word may have a letter or digit: what is ASCII says that here, of
 * all else the tokenizer does. */
static bool
word_counts(const char *word, size_t len)
{
	for (size_t k = 0; k < len; k++)
		if ((word[k] >= '0' && word[k] <= '9') ||
		    ((word[k] | 0x20) >= 'a' && (word[k] | 0x20) <= 'z') ||
		    (word[k] & 0x80) != 0)
			return true;
	return false;
}

/* Appends a word in quotes, where a quote is two; returns how much is written,
 * 0: there is no room. */
static size_t
word_put(const char *word, size_t len, char *out, size_t cap)
{
	static const char before[] = "text:\"", after[] = "\" ";
	size_t n = sizeof(before) - 1;

	if (cap < 2 * len + sizeof(before) + sizeof(after))
		return 0;
	memcpy(out, before, n);
	for (size_t k = 0; k < len; k++) {
		if (word[k] == '"')
			out[n++] = '"';
		/* a NUL ends what SQLite reads */
		out[n++] = word[k] != '\0' ? word[k] : ' ';
	}
	memcpy(out + n, after, sizeof(after) - 1);
	return n + sizeof(after) - 1;
}

/* Words that lie beside each other must all be there, but for those in which
 * the tokenizer finds none, such as a dash: FTS5 leaves these out, which it
 * does not where AND is written. AND is written before the channel: a text of
 * these alone finds nothing. */
bool
search_words(
    const char *text, size_t len, long long channel, char *out, size_t cap)
{
	const char *p = text, *end = text + len, *word;
	size_t n = 1, put;
	unsigned words = 0;

	if (cap < 64)
		return false;
	out[0] = '(';
	while (p < end) {
		word = p;
		while (p < end && memchr(" \t\r\n", *p, 4) == NULL)
			p++;
		if (word_counts(word, (size_t)(p - word))) {
			put = word_put(
			    word, (size_t)(p - word), out + n, cap - n);
			if (put == 0 || ++words > ASK_WORDS_MAX)
				return false;
			n += put;
		}
		p += p < end;
	}
	if (words == 0 || cap - n < 40)
		return false;
	out[n - 1] = ')'; /* a blank */
	if (channel != 0)
		snprintf(out + n, cap - n, " AND channel:\"c%lld\"", channel);
	else
		out[n] = '\0';
	return true;
}
