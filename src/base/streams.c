/* streams: descriptors 0, 1 and 2 are always open. */
#include "base/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
streams_hold(void)
{
	int fd;

	for (int want = STDIN_FILENO; want <= STDERR_FILENO; want++) {
		if (fcntl(want, F_GETFD) != -1)
			continue;
		/* open() takes the lowest number that is free: this one */
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			return -1;
		if (fd != want) {
			close(fd);
			errno = EBADF;
			return -1;
		}
	}
	return 0;
}
