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
 *	5  not 0: after each fsync(2) of a file FILE there is a copy FILE.safe
 *of it: what a machine that loses its power has at least
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
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum word { SYNC_MS, WRITE_ERROR, FS_TYPE, CLOCK_MS, SYNCS, SAFE, WORDS };
enum { FILES = 256, PATH_BYTES = 256 };

/* The function of that name in libc. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int64_t none[WORDS];
static volatile int64_t *words = none;
static char paths[FILES][PATH_BYTES]; /* by descriptor */

/* Maps the file. */
static void __attribute__((constructor)) words_map(void)
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

/* Notes what a descriptor is. */
static int
path_note(int fd, const char *path)
{
	if (fd >= 0 && fd < FILES)
		snprintf(paths[fd], PATH_BYTES, "%s", path);
	return fd;
}

int
open64(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return path_note(NEXT(open64)(path, flags, mode), path);
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return path_note(NEXT(open)(path, flags, mode), path);
}

/* Copies what is on the disk by now. The copy is never half there. */
static void
safe_copy(int fd)
{
	static char buf[65536];
	char temporary[PATH_BYTES + 8], path[PATH_BYTES + 8];
	off_t at = 0;
	ssize_t n;
	struct stat st;
	int to;

	if (words[SAFE] == 0 || fd < 0 || fd >= FILES || paths[fd][0] == '\0' ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	snprintf(temporary, sizeof(temporary), "%s.part", paths[fd]);
	snprintf(path, sizeof(path), "%s.safe", paths[fd]);
	to = NEXT(open)(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (to == -1)
		abort();
	while ((n = NEXT(pread)(fd, buf, sizeof(buf), at)) > 0) {
		if (write(to, buf, (size_t)n) != n)
			abort();
		at += n;
	}
	close(to);
	if (rename(temporary, path) != 0)
		abort();
}

/* A file that is deleted is gone for good: its folder is synchronized next. */
int
unlink(const char *path)
{
	char safe[PATH_BYTES + 8];

	snprintf(safe, sizeof(safe), "%s.safe", path);
	if (words[SAFE] != 0)
		NEXT(unlink)(safe);
	return NEXT(unlink)(path);
}

/* What fsync(2) has said. */
static int
sync_done(int fd, int result)
{
	if (result == 0)
		safe_copy(fd);
	return result;
}

/* How long the disk takes. */
static void
sync_wait(void)
{
	struct timespec left = {.tv_sec = words[SYNC_MS] / 1000,
	    .tv_nsec = words[SYNC_MS] % 1000 * 1000000L};

	__atomic_add_fetch(&words[SYNCS], 1, __ATOMIC_RELAXED);
	/* a disk is not hurried by signals */
	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
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
	return write_fails(fd) ? -1 : sync_done(fd, NEXT(fsync)(fd));
}

int
fdatasync(int fd)
{
	sync_wait();
	return write_fails(fd) ? -1 : sync_done(fd, NEXT(fdatasync)(fd));
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
