/* source: one file of the configuration, read whole. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source.h"

/* Reads up to max bytes from fd, growing as they come. */
static char *
read_all(int fd, size_t max, size_t *len)
{
	char *bytes = NULL, *more;
	size_t size = 0, used = 0;
	ssize_t n;

	for (;;) {
		if (used == size) {
			size = size == 0 ? 4096 : size * 2;
			if ((more = realloc(bytes, size)) == NULL)
				break;
			bytes = more;
		}
		if ((n = read(fd, bytes + used, size - used)) == -1) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (n == 0) {
			*len = used;
			return bytes;
		}
		used += (size_t)n;
		if (used > max) {
			errno = EFBIG;
			break;
		}
	}
	free(bytes);
	return NULL;
}

/* Reads a file. */
struct source *
source_open(const char *name, size_t max, bool regular)
{
	struct source *s = NULL;
	struct stat st;
	int fd, error;

	/* O_NONBLOCK: a FIFO without a writer would stop us here. */
	fd = open(
	    name, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto fail;
	if (regular && !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		goto fail;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->bytes = read_all(fd, max, &s->len)) == NULL)
		goto fail;
	s->line = 1;
	close(fd);
	return s;

fail:
	error = errno;
	close(fd);
	source_free(s);
	errno = error;
	return NULL;
}

/* Frees a file; NULL is fine. */
void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	freezero(s->bytes, s->len); /* there may be secrets */
	free(s);
}

/* The path of a file that s names. */
bool
source_beside(const struct source *s, const char *name, char *path, size_t size)
{
	const char *slash = strrchr(s->name, '/');
	int n;

	if (*name == '/' || slash == NULL)
		n = snprintf(path, size, "%s", name);
	else
		n = snprintf(path, size, "%.*s/%s", (int)(slash - s->name),
		    s->name, name);
	return n >= 0 && (size_t)n < size;
}

/* What no file may hold. */
const char *
source_judge(struct source *s)
{
	size_t i, start = 0;

	for (i = 0; i < s->len; i++) {
		if (s->bytes[i] == '\0')
			return "a NUL byte";
		if (i - start >= SOURCE_LINE_MAX && s->bytes[i] != '\n')
			return "a line of more than 4096 bytes";
		if (s->bytes[i] == '\n') {
			start = i + 1;
			s->line++;
		}
	}
	s->line = 1;
	return NULL;
}

/* The next byte. */
int
source_peek(struct source *s)
{
	while (s->len - s->at >= 2 && s->bytes[s->at] == '\\' &&
	    s->bytes[s->at + 1] == '\n') {
		s->at += 2;
		s->line++;
	}
	return s->at == s->len ? EOF : (unsigned char)s->bytes[s->at];
}

/* Passes over blanks. */
int
source_skip_blanks(struct source *s)
{
	int c;

	while ((c = source_peek(s)) == ' ' || c == '\t')
		s->at++;
	return c;
}

/* Passes over a comment. */
int
source_skip_comment(struct source *s)
{
	while (s->at < s->len && s->bytes[s->at] != '\n')
		s->at++;
	return s->at == s->len ? EOF : '\n';
}

/* Reads a string in quotes. */
const char *
source_quoted(struct source *s, char *text, size_t size, size_t *len)
{
	int c, quote = source_peek(s);
	size_t n = 0;

	s->at++;
	for (;;) {
		c = source_peek(s);
		if (c == EOF || c == '\n')
			return "a string has no end";
		s->at++;
		if (c == quote)
			break;
		if (c == '\\' &&
		    (source_peek(s) == quote || source_peek(s) == '\\')) {
			c = source_peek(s);
			s->at++;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "a control character in a string";
		if (n == size - 1)
			return "a string is too long";
		text[n++] = (char)c;
	}
	text[n] = '\0';
	*len = n;
	return NULL;
}
