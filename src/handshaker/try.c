/* try: whether certificates would be taken, before there is a process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts.h"
#include "handshaker/handshaker.h"
#include "process/executable.h"

static void
try_warn(const char *line)
{
	fprintf(stderr, EXECUTABLE_WARNING "%s\n", line);
}

/* Reads a file into the pieces; -1: there is no memory. */
static int
try_read(struct tls_files *f, enum tls_file_what what, const char *path)
{
	uint8_t *bytes = malloc(TLS_FILE_MAX + 1);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	ssize_t n = fd == -1 ? -1 : 1;
	int e = 0, r = -1;

	if (fd != -1 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		n = -1;
	}
	while (bytes != NULL && n > 0 && len <= TLS_FILE_MAX)
		if ((n = read(fd, bytes + len, TLS_FILE_MAX + 1 - len)) > 0)
			len += (size_t)n;
	if (n == -1)
		e = errno;
	else if (len > TLS_FILE_MAX)
		e = EFBIG;
	if (bytes != NULL) {
		r = tls_files_put(f, what, path, e, bytes, e != 0 ? 0 : len);
		explicit_bzero(bytes, TLS_FILE_MAX + 1);
	}
	free(bytes);
	if (fd != -1)
		close(fd);
	return r;
}

int
handshaker_try(int argc, char **argv)
{
	static const enum tls_file_what what[] = {
	    TLS_FILE_CHAIN, TLS_FILE_KEY, TLS_FILE_STAPLE};
	struct birth_handshaker b = {.files = -1, .tickets = -1};
	struct tls_files f = {.bytes = NULL};
	char error[2048] = "";
	struct contexts *all;

	strlcpy(b.ciphers, argv[0], sizeof(b.ciphers));
	strlcpy(b.groups, argv[1], sizeof(b.groups));
	for (int k = 2; k < argc; k++)
		if (argv[k][0] != '\0' &&
		    try_read(&f, what[(k - 2) % 3], argv[k]) == -1) {
			fprintf(stderr, "certificate: no memory\n");
			return 1;
		}
	all = contexts_new(&b, &f, NULL, try_warn, error, sizeof(error));
	tls_files_free(&f);
	if (all == NULL)
		fprintf(stderr, "%s\n", error);
	contexts_free(all);
	return all != NULL ? 0 : 1;
}
