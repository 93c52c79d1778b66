/*
 * source: the configuration's files as the lexer sees them, a stack with the
 * innermost on top, read whole before they are parsed. Private to src/conf.
 */
#ifndef CHATD_CONF_SOURCE_H
#define CHATD_CONF_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

enum { SOURCE_LINE_MAX = 4096 }; /* bytes of one line */

struct bundle;

struct source {
	struct source *up; /* the file that included this one */
	const char *name;  /* kept by the parser until the load ends */
	char *bytes;
	size_t len, at;
	int line;
	bool begins; /* its include line is not ended yet: a newline first */
	bool ended;  /* the newline that ends every file was delivered */
};

/*
 * Reads a file of at most `max` bytes; a bundle (NULL: none) has it already or
 * gets it. FIFOs, sockets and devices are refused (EINVAL), but `top`, the file
 * that is not included, may be a character device or /dev/stdin, whatever that
 * is. The caller sets its name. NULL and errno; EFBIG: it is longer, ENODATA:
 * the bundle does not have it and is not being filled.
 */
struct source *
source_open(const char *name, size_t max, bool top, struct bundle *b);
/* What errno says after it, for people. */
const char *source_error(void);
void source_free(struct source *s);

/* The path of a file that s names: a relative one is s's neighbour. False: it
 * is too long. */
bool source_beside(
    const struct source *s, const char *name, char *path, size_t size);

/*
 * Looks for what no file may hold, NUL and lines without end; s->line then
 * tells where. Returns NULL or what is wrong.
 */
const char *source_judge(struct source *s);

/* The next byte, or EOF; a backslash at a line's end joins two lines. Lines may
 * end in CR LF: the CR is not seen. */
int source_peek(struct source *s);

/* Passes over blanks; returns the next byte without taking it. */
int source_skip_blanks(struct source *s);

/* Passes over a comment up to its newline, which no backslash joins; returns
 * the next byte. */
int source_skip_comment(struct source *s);

/*
 * Reads a string in quotes, the next byte being its first, into text and NUL.
 * In it, a backslash makes a quote or backslash stand for itself. Returns
 * NULL or what is wrong.
 */
const char *
source_quoted(struct source *s, char *text, size_t size, size_t *len);

/* Whether a byte needs no quotes; EOF does. */
bool source_is_word(int c);

#endif
