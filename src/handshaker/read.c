#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All bytes of an open file that is not too long: their number, or -1 and
 * errno. */
static ssize_t
read_into(int fd, uint8_t out[TLS_FILE_MAX + 1])
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;

	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	while (n > 0 && len <= TLS_FILE_MAX)
		if ((n = read(fd, out + len, TLS_FILE_MAX + 1 - len)) > 0)
			len += (size_t)n;
	if (n == -1)
		return -1;
	errno = EFBIG;
	return len > TLS_FILE_MAX ? -1 : (ssize_t)len;
}

int
read_file(struct tls_files *f, enum tls_file_what what, const char *path)
{
	uint8_t *bytes = malloc(TLS_FILE_MAX + 1);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1;
	int r = -1;

	if (bytes != NULL) {
		if (fd != -1)
			n = read_into(fd, bytes);
		r = tls_files_put(f, what, path, n == -1 ? errno : 0, bytes,
		    n == -1 ? 0 : (size_t)n);
		explicit_bzero(bytes, TLS_FILE_MAX + 1);
	}
	free(bytes);
	if (fd != -1)
		close(fd);
	return r;
}
