/* source: one file of the configuration, read whole. */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bundle.h"
#include "conf/conf.h"
#include "source.h"

static const char standard_input[] = "/dev/stdin";

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

/* Whether that kind of file may be read: what makes readers wait is refused. */
static bool
kind_is_fine(mode_t mode, bool top, bool input)
{
	if (S_ISDIR(mode)) {
		errno = EISDIR;
		return false;
	}
	if (S_ISREG(mode) || (top && (S_ISCHR(mode) || input)))
		return true;
	errno = EINVAL;
	return false;
}

/* The bytes of a file; NULL and errno. */
static char *
source_file_read(const char *name, size_t max, bool top, size_t *len)
{
	const bool input = top && strcmp(name, standard_input) == 0;
	char *bytes = NULL;
	struct stat st;
	int fd, error;

	/* O_NONBLOCK: opening a FIFO without a writer waits for ever. */
	fd = open(
	    name, O_RDONLY | O_CLOEXEC | O_NOCTTY | (input ? 0 : O_NONBLOCK));
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == 0 && kind_is_fine(st.st_mode, top, input))
		bytes = read_all(fd, max, len);
	error = errno;
	close(fd);
	errno = error;
	return bytes;
}

/* A copy of what the bundle has of a file; NULL and errno. */
static char *
piece_copy(const struct bundle_piece *piece, size_t max, size_t *len)
{
	char *bytes;

	errno = piece->error;
	if (errno == 0 && piece->len > max)
		errno = EFBIG;
	if (errno != 0 || (bytes = malloc(piece->len + 1)) == NULL)
		return NULL;
	memcpy(bytes, piece->bytes, piece->len);
	*len = piece->len;
	return bytes;
}

/* The bytes of a file, from the bundle if there is one; NULL and errno. */
static char *
bytes_find(
    const char *name, size_t max, bool top, struct bundle *b, size_t *len)
{
	struct bundle_piece piece;
	char *bytes;
	int error;

	if (b == NULL)
		return source_file_read(name, max, top, len);
	if (bundle_get(b, BUNDLE_FILE, name, &piece))
		return piece_copy(&piece, max, len);
	if (b->begin == NULL) {
		errno = ENODATA;
		return NULL;
	}
	b->begin(b->arg, name);
	bytes = source_file_read(name, max, top, len);
	error = bytes == NULL ? errno : 0;
	if (bundle_put(b, BUNDLE_FILE, name, error, bytes,
		bytes == NULL ? 0 : *len) == -1) {
		error = errno;
		free(bytes);
		bytes = NULL;
	}
	errno = error;
	return bytes;
}

/* Reads a file. */
struct source *
source_open(const char *name, size_t max, bool top, struct bundle *b)
{
	struct source *s = calloc(1, sizeof(*s));
	int error;

	if (s == NULL)
		return NULL;
	s->line = 1;
	if ((s->bytes = bytes_find(name, max, top, b, &s->len)) != NULL)
		return s;
	error = errno;
	source_free(s);
	errno = error;
	return NULL;
}

/* What errno says after source_open. */
const char *
source_error(void)
{
	switch (errno) {
	case EFBIG:
		return "more than 1M of configuration";
	case EINVAL:
		return "not a regular file";
	default:
		return strerror(errno);
	}
}

/* Whether there is such a file. */
bool
conf_exists(const char *file, struct bundle *b)
{
	struct source *s = source_open(file, CONF_FILES_BYTES, true, b);
	bool absent = s == NULL && (errno == ENOENT || errno == ENOTDIR);

	source_free(s);
	return !absent;
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

/* Whether a text stands next. */
static bool
source_has(const struct source *s, const char *text)
{
	const size_t n = strlen(text);

	return s->len - s->at >= n && memcmp(s->bytes + s->at, text, n) == 0;
}

/* The next byte. */
int
source_peek(struct source *s)
{
	while (source_has(s, "\\\n") || source_has(s, "\\\r\n")) {
		s->at += s->bytes[s->at + 1] == '\r' ? 3 : 2;
		s->line++;
	}
	if (source_has(s, "\r\n"))
		s->at++;
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

bool
source_is_word(int c)
{
	return c != EOF && c < 0x80 &&
	    (isalnum(c) || (c != 0 && strchr(".:/-_*", c) != NULL));
}
