/*
 * slow: preloaded into a daemon, makes opening files and looking up names take
 * long, and refuses SIGKILL, for the tests in which a disk, a name server or
 * the kernel does not do what is asked.
 *
 * SLOW=/srv/www SLOW_FLAG=/tmp/flag LD_PRELOAD=.../slow.so chatd ...
 *
 * While the file SLOW_FLAG exists, a process that opens a path that holds the
 * text SLOW, or looks up such a name or user, waits for SLOW_MS (10,000). While
 * the file SLOW_IMMORTAL exists, kill(2) says EPERM to SIGKILL. With SLOW_TELL,
 * each path that is opened is told on stderr: `slow: PID opens PATH`.
 */
#include <sys/types.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The function of that name in libc. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int __open_2(const char *, int);
int __open64_2(const char *, int);

/* Whether the environment names a file that exists. */
static int
flag_is_set(const char *variable)
{
	const char *file = getenv(variable);

	return file != NULL && access(file, F_OK) == 0;
}

/* Waits, if that is what the name is for. */
static void
linger(const char *name)
{
	const char *text = getenv("SLOW"), *ms = getenv("SLOW_MS");

	if (getenv("SLOW_TELL") != NULL)
		dprintf(2, "slow: %d opens %s\n", (int)getpid(), name);
	if (text != NULL && strstr(name, text) != NULL &&
	    flag_is_set("SLOW_FLAG"))
		usleep((ms != NULL ? atoi(ms) : 10000) * 1000);
}

/* The mode of an open() that may make a file. */
#define MODE(flags, mode)               \
	do {                            \
		va_list ap;             \
		va_start(ap, flags);    \
		mode = va_arg(ap, int); \
		va_end(ap);             \
	} while (0)

/* open(2) and its kin: wait first. */
int
open(const char *path, int flags, ...)
{
	int mode;

	MODE(flags, mode);
	linger(path);
	return NEXT(open)(path, flags, mode);
}

/* As above. */
int
open64(const char *path, int flags, ...)
{
	int mode;

	MODE(flags, mode);
	linger(path);
	return NEXT(open64)(path, flags, mode);
}

/* As above. */
int
openat(int at, const char *path, int flags, ...)
{
	int mode;

	MODE(flags, mode);
	linger(path);
	return NEXT(openat)(at, path, flags, mode);
}

/* What open() becomes with _FORTIFY_SOURCE. */
int
__open_2(const char *path, int flags)
{
	linger(path);
	return NEXT(__open_2)(path, flags);
}

/* As above. */
int
__open64_2(const char *path, int flags)
{
	linger(path);
	return NEXT(__open64_2)(path, flags);
}

/* As above. */
FILE *
fopen(const char *path, const char *mode)
{
	linger(path);
	return NEXT(fopen)(path, mode);
}

/* A name server that does not answer. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
    struct addrinfo **out)
{
	if (name != NULL)
		linger(name);
	return NEXT(getaddrinfo)(name, service, hints, out);
}

/* A directory of users that does not answer. */
struct passwd *
getpwnam(const char *name)
{
	linger(name);
	return NEXT(getpwnam)(name);
}

/* A kernel that does not let us kill. */
int
kill(pid_t pid, int sig)
{
	if (sig == SIGKILL && flag_is_set("SLOW_IMMORTAL")) {
		errno = EPERM;
		return -1;
	}
	return NEXT(kill)(pid, sig);
}
