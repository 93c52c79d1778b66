/*
 * slow_file: preloaded into a daemon, makes one file as slow as a dead file
 * server's: $SLOW_OPEN is opened after, $SLOW_WRITE is written after 10 s.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_S = 10 };

/* Waits, whatever signals come: so does the kernel. */
static void
wait_long(void)
{
	struct timespec left = {.tv_sec = SLOW_S};

	while (nanosleep(&left, &left) == -1)
		;
}

/* Whether an environment variable names that file. */
static int
is_named(const char *variable, const char *file)
{
	const char *name = getenv(variable);

	return name != NULL && strcmp(name, file) == 0;
}

int
open(const char *file, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (real == NULL)
		real =
		    (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	if (is_named("SLOW_OPEN", file))
		wait_long();
	return real(file, flags, mode);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	static ssize_t (*real)(int, const void *, size_t);
	char link[32], file[PATH_MAX];
	ssize_t n = -1;

	if (real == NULL)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(
		    RTLD_NEXT, "write");
	if (getenv("SLOW_WRITE") != NULL) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, file, sizeof(file) - 1);
	}
	if (n > 0) {
		file[n] = '\0';
		if (is_named("SLOW_WRITE", file))
			wait_long();
	}
	return real(fd, bytes, len);
}
