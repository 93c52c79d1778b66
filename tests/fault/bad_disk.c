/*
 * bad_disk: preloaded into a daemon (build/kill, whose programs are linked
 * dynamically), has the disk and the clock do what a test writes into the file
 * BAD_DISK, which holds 64-bit numbers:
 *
 *	0  fsync(2) and fdatasync(2) take so many milliseconds
 *	1  not 0: what is written to files fails with that errno
 *	2  not 0: fstatfs(2) says that this is the file system's type
 *	3  the clock of the day is off by so many milliseconds
 *	4  how often fsync(2) was called so far
 *
 * The file is mapped at the start of each process: later none may open one.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum word { SYNC_MS, WRITE_ERROR, FS_TYPE, CLOCK_MS, SYNCS, WORDS };

/* The function of that name in libc. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int64_t none[WORDS];
static volatile int64_t *words = none;

/* Maps the file. */
static void __attribute__((constructor))
words_map(void)
{
	const char *path = getenv("BAD_DISK");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd == -1)
		return;
	p = mmap(NULL, sizeof(none), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		words = p;
	close(fd);
}

/* How long the disk takes. */
static void
sync_wait(void)
{
	__atomic_add_fetch(&words[SYNCS], 1, __ATOMIC_RELAXED);
	if (words[SYNC_MS] > 0)
		poll(NULL, 0, (int)words[SYNC_MS]);
}

/* Whether writing to that file fails. */
static int
write_fails(int fd)
{
	struct stat s;

	if (words[WRITE_ERROR] == 0 || fstat(fd, &s) != 0 ||
	    !S_ISREG(s.st_mode))
		return 0;
	errno = (int)words[WRITE_ERROR];
	return 1;
}

int
fsync(int fd)
{
	sync_wait();
	return write_fails(fd) ? -1 : NEXT(fsync)(fd);
}

int
fdatasync(int fd)
{
	sync_wait();
	return write_fails(fd) ? -1 : NEXT(fdatasync)(fd);
}

ssize_t
pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	return write_fails(fd) ? -1 : NEXT(pwrite64)(fd, buf, n, at);
}

ssize_t
pwrite(int fd, const void *buf, size_t n, off_t at)
{
	return write_fails(fd) ? -1 : NEXT(pwrite)(fd, buf, n, at);
}

/* Another type, if that is asked for. */
static int
type_set(int result, struct statfs *out)
{
	if (result == 0 && words[FS_TYPE] != 0)
		out->f_type = words[FS_TYPE];
	return result;
}

int
fstatfs(int fd, struct statfs *out)
{
	return type_set(NEXT(fstatfs)(fd, out), out);
}

int
fstatfs64(int fd, struct statfs64 *out)
{
	return type_set(NEXT(fstatfs64)(fd, out), (struct statfs *)out);
}

int
statfs(const char *path, struct statfs *out)
{
	return type_set(NEXT(statfs)(path, out), out);
}

int
statfs64(const char *path, struct statfs64 *out)
{
	return type_set(NEXT(statfs64)(path, out), (struct statfs *)out);
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
	static int (*next)(clockid_t, struct timespec *);
	int64_t ms;

	if (next == NULL)
		next = NEXT(clock_gettime);
	if (next(clock, t) != 0)
		return -1;
	ms = words[CLOCK_MS];
	if (ms == 0 ||
	    (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return 0;
	ms += t->tv_sec * 1000 + t->tv_nsec / 1000000;
	t->tv_sec = ms / 1000;
	t->tv_nsec = ms % 1000 * 1000000;
	return 0;
}
