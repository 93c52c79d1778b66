/*
 * failnote: preloaded into a daemon, fails the next sendmsg() that passes
 * descriptors, in whichever process: what a family's next process is told, and
 * sockets that are given.
 *
 *	FAILNOTE=FILE SNDBUF=212992 LD_PRELOAD=.../failnote.so chatd ...
 *
 * The first byte of FILE, which is mapped, is the errno to fail with; it
 * becomes 0 then. SNDBUF is the most that a send buffer gets, as on a machine
 * with the kernel's default limit.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shared: a keeper's filter allows no call that would ask a file. */
static _Atomic unsigned char *error;
static int most; /* bytes of a send buffer; 0: no limit */
static ssize_t (*next_sendmsg)(int, const struct msghdr *, int);
static int (*next_setsockopt)(int, int, int, const void *, socklen_t);

/* Before main(). */
static void __attribute__((constructor)) failnote_init(void)
{
	const char *path = getenv("FAILNOTE"), *limit = getenv("SNDBUF");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	next_sendmsg = (ssize_t(*)(int, const struct msghdr *, int))dlsym(
	    RTLD_NEXT, "sendmsg");
	next_setsockopt = (int (*)(int, int, int, const void *,
	    socklen_t))dlsym(RTLD_NEXT, "setsockopt");
	if (limit != NULL)
		most = atoi(limit);
	if (fd == -1)
		return;
	error = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (error == MAP_FAILED)
		abort();
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	unsigned char e = 0;

	if (error != NULL && m->msg_controllen > 0)
		e = atomic_exchange(error, 0);
	if (e == 0)
		return next_sendmsg(fd, m, flags);
	errno = e;
	return -1;
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int size;

	if (most != 0 && level == SOL_SOCKET && len == sizeof(size) &&
	    (name == SO_SNDBUF || name == SO_SNDBUFFORCE)) {
		memcpy(&size, value, sizeof(size));
		if (size > most)
			return next_setsockopt(
			    fd, level, SO_SNDBUF, &most, sizeof(most));
	}
	return next_setsockopt(fd, level, name, value, len);
}
