#include "base/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL /* since Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x08u
#define MFD_EXEC 0x10u
#endif

/* One with a flag that kernels before 6.3 do not know. */
static int
memory_file_make(const char *name, unsigned flag)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | flag);

	return fd == -1 && errno == EINVAL ? memfd_create(name, flags) : fd;
}

int
memory_file(const char *name)
{
	return memory_file_make(name, MFD_NOEXEC_SEAL);
}

int
memory_file_program(const char *name)
{
	return memory_file_make(name, MFD_EXEC);
}

int
memory_file_fill(int fd, const void *bytes, size_t len)
{
	const int seals =
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	int saved;

	if (fd == -1)
		return -1;
	errno = ENOSPC; /* of a write that is short */
	if (pwrite(fd, bytes, len, 0) == (ssize_t)len &&
	    fcntl(fd, F_ADD_SEALS, seals) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
