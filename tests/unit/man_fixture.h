/* What tests of manuals share: a page as lines without its macros. */
#ifndef CHATD_TESTS_UNIT_MAN_FIXTURE_H
#define CHATD_TESTS_UNIT_MAN_FIXTURE_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file's text; NULL: not started in the project's folder. */
static inline char *
man_read(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text;
	size_t n;

	if (f == NULL)
		return NULL;
	text = calloc(1, 1 << 18);
	assert_non_null(text);
	n = fread(text, 1, (1 << 18) - 1, f);
	assert_in_range(n, 1, (1 << 18) - 2);
	fclose(f);
	return text;
}

/* Appends a word, with a blank in front unless it is punctuation. */
static inline void
man_word(char *out, const char *word, size_t len)
{
	size_t at = strlen(out);

	if (at > 0 && out[at - 1] != '(' && out[at - 1] != '[' &&
	    !(len == 1 && strchr(".,:;?)]", word[0]) != NULL))
		out[at++] = ' ';
	memcpy(out + at, word, len);
	out[at + len] = '\0';
}

/* Whether a word of a macro's line is a macro itself. */
static inline bool
man_is_macro(const char *word, size_t len)
{
	static const char macros[] =
	    " It Ic Cm Ar Op Ql Qq Xr Pa Sx Sy Em Li Ns Pq Dv Fl Po Pc Brq Oo "
	    "Oc Pp No Sq ";
	char key[8];

	if (len < 2 || len > 3)
		return false;
	snprintf(key, sizeof(key), " %.*s ", (int)len, word);
	return strstr(macros, key) != NULL;
}

/* Appends a line of mdoc as it is read; `Op` puts what follows in brackets,
 * `Oo` what follows up to `Oc`, and of `Xr` the section is left out. */
static inline void
man_line(char *out, const char *line, size_t len)
{
	const bool macro = len > 0 && line[0] == '.';
	const char *close = "";
	int section = 0; /* words up to one */
	size_t n;

	for (line += macro, len -= macro; len > 0; line += n, len -= n) {
		if (*line == ' ') {
			n = 1;
			continue;
		}
		for (n = 0; n < len && line[n] != ' ';)
			n++;
		if (macro && strncmp(line, "Xr", n) == 0)
			section = 2;
		else if (!macro || !man_is_macro(line, n)) {
			if (section-- != 1)
				man_word(out, line, n);
		} else if (strncmp(line, "Op", n) == 0)
			man_word(out, "[", 1), close = "]";
		else if (strncmp(line, "Oo", n) == 0)
			man_word(out, "[", 1);
		else if (strncmp(line, "Oc", n) == 0)
			man_word(out, "]", 1);
	}
	if (*close != '\0')
		man_word(out, close, 1);
}

/* The text of a page between two places, in one line. Freed by the caller. */
static inline char *
man_text(const char *from, const char *to)
{
	char *out = calloc(2, (size_t)(to - from) + 2);
	const char *end;

	assert_non_null(out);
	for (; from < to; from = end + 1) {
		end = memchr(from, '\n', (size_t)(to - from));
		if (end == NULL)
			end = to;
		man_line(out, from, (size_t)(end - from));
	}
	return out;
}

/*
 * The item of a list whose lines `.It` begin with a macro and a name: *head is
 * the lines `.It` that stand together, *body what follows them up to the next
 * item or the list's end. False: there is none.
 */
static inline bool
man_item(const char *page, const char *it, char **head, char **body)
{
	const size_t len = strlen(it);
	const char *at, *first, *text, *end;

	*head = *body = NULL;
	for (at = page; (at = strstr(at, it)) != NULL; at += len)
		if (at > page && at[-1] == '\n' &&
		    strchr(" \n", at[len]) != NULL)
			break;
	if (at == NULL)
		return false;
	/* Lines `.It` before and after it belong to it. */
	for (first = at; first - 1 > page; first = text) {
		for (text = first - 1; text > page && text[-1] != '\n';)
			text--;
		if (strncmp(text, ".It ", 4) != 0)
			break;
	}
	for (text = at; strncmp(text, ".It ", 4) == 0;)
		text = strchr(text, '\n') + 1;
	for (end = text; *end != '\0' && strncmp(end, ".It ", 4) != 0 &&
	     strncmp(end, ".El\n", 4) != 0;)
		end = strchr(end, '\n') + 1;
	*head = man_text(first, text);
	*body = man_text(text, end);
	return true;
}

#endif
