/* try: whether the process could serve with certificates, before there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contexts.h"
#include "handshaker/handshaker.h"

/* Adds a file's bytes, or the error that came instead. */
static int
try_file(struct tls_files *f, enum tls_file_what what, const char *path)
{
	uint8_t *bytes = malloc(TLS_FILE_MAX + 1);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = fd == -1 ? -1 : 1;
	int r;

	while (bytes != NULL && n > 0 && len <= TLS_FILE_MAX)
		if ((n = read(fd, bytes + len, TLS_FILE_MAX + 1 - len)) > 0)
			len += (size_t)n;
	if (n != -1 && len > TLS_FILE_MAX) {
		errno = EFBIG;
		n = -1;
	}
	r = bytes == NULL ? -1
			  : tls_files_put(f, what, path, n == -1 ? errno : 0,
				bytes, n == -1 ? 0 : len);
	if (bytes != NULL)
		explicit_bzero(bytes, TLS_FILE_MAX + 1);
	free(bytes);
	if (fd != -1)
		close(fd);
	return r;
}

static void
try_warn(const char *line)
{
	fprintf(stderr, "warning: %s\n", line);
}

int
handshaker_try(int n, char **words)
{
	static struct birth_handshaker b;
	struct tls_files f = {.bytes = NULL};
	struct contexts *all;
	char error[1024] = "no memory";
	int r = 0;

	if (n < 2 || (n - 2) % 3 != 0 ||
	    strlcpy(b.ciphers, words[0], sizeof(b.ciphers)) >=
		sizeof(b.ciphers) ||
	    strlcpy(b.groups, words[1], sizeof(b.groups)) >= sizeof(b.groups)) {
		fprintf(stderr, "it is asked for something else\n");
		return 1;
	}
	for (int i = 2; i < n && r == 0; i += 3) {
		r = try_file(&f, TLS_FILE_CHAIN, words[i]);
		if (r == 0)
			r = try_file(&f, TLS_FILE_KEY, words[i + 1]);
		if (r == 0 && words[i + 2][0] != '\0')
			r = try_file(&f, TLS_FILE_STAPLE, words[i + 2]);
	}
	all = r == 0
	    ? contexts_new(&b, &f, NULL, try_warn, error, sizeof(error))
	    : NULL;
	tls_files_free(&f);
	if (all == NULL) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	contexts_free(all);
	return 0;
}
