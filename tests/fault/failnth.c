/*
 * failnth: preloaded into a daemon, fails the n-th call of one function, for
 * the tests that try every n.
 *
 *	FAILNTH=accept4:3:worker:once FAILNTH_DONE=FILE \
 *	    LD_PRELOAD=.../failnth.so chatd ...
 *
 * name:n:where:how. Where: `master` is the process that was started, `worker`
 * any that it forked, executed or not, `any` both; not those that filter their
 * system calls. Calls are counted in each process by itself.
 * How: `once` fails one call in all processes together, `each` the n-th of
 * each process, `on` that and all that follow. FILE, which all may write, holds
 * whether it has been; a build whose children are linked dynamically is needed.
 *
 * A failure is told on stderr: `failnth: accept4 3`. Calls that libc makes
 * within itself are not seen, but for memory; liburing's are, by its names.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct io_uring;
struct io_uring_params;
struct io_uring_cqe;

enum how { HOW_ONCE, HOW_EACH, HOW_ON };

static char wanted[64]; /* name of the function; "": none */
static unsigned long fuse;
static enum how how;
static char where = 'a';   /* m, w, a: first letter */
static pid_t master, self; /* pids */
static unsigned long count;
static int immune;	 /* a system call filter would kill us for telling */
static atomic_int *done; /* shared by all processes */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

/* What all processes share; one that is forked without being executed needs no
 * file. */
static void *
page_map(const char *path)
{
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page = (void *)syscall(SYS_mmap, NULL, sizeof(*done),
	    PROT_READ | PROT_WRITE, MAP_SHARED | (fd == -1 ? MAP_ANONYMOUS : 0),
	    fd, 0);

	if (fd != -1)
		close(fd);
	return page;
}

/* Reads FAILNTH before main(). */
static void __attribute__((constructor)) failnth_init(int argc, char **argv)
{
	const char *text = getenv("FAILNTH");
	char place[16] = "any", manner[16] = "once", name[64];
	const int is_child = argc == 3 && strcmp(argv[0], "chatd-child") == 0;
	void *page;

	/* a program that is only tried, or the next one of an upgrade */
	if (text == NULL || (getenv("FAILNTH_MASTER") != NULL && !is_child))
		return;
	page = page_map(getenv("FAILNTH_DONE"));
	if (page == MAP_FAILED ||
	    sscanf(text, "%63[^:]:%lu:%15[^:]:%15s", name, &fuse, place,
		manner) < 2)
		abort();
	done = page;
	where = place[0];
	how = strcmp(manner, "once") == 0 ? HOW_ONCE
	    : strcmp(manner, "each") == 0 ? HOW_EACH
					  : HOW_ON;
	self = getpid();
	master = is_child ? 0 : self;
	setenv("FAILNTH_MASTER", "", 1);
	memcpy(wanted, name, sizeof(wanted));
}

/* Whether this call of that function is to fail. */
static int
due(const char *name)
{
	static const char said[] = "failnth: ";
	char line[128];
	int n;

	if (wanted[0] == '\0' || immune || strcmp(name, wanted) != 0)
		return 0;
	if ((where == 'm' && self != master) ||
	    (where == 'w' && self == master))
		return 0;
	count++;
	if (how == HOW_ON ? count < fuse : count != fuse)
		return 0;
	if (how == HOW_ONCE && atomic_exchange(done, 1) != 0)
		return 0;
	n = snprintf(line, sizeof(line), "%s%s %lu in %d\n", said, name, count,
	    (int)self);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return 1;
	return 1;
}

/* The function behind ours. */
static void *
next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL)
		abort();
	return f;
}

/* A function of the same name that may fail with that result. */
#define WRAP(type, name, parameters, arguments, error, result)  \
	type name parameters                                    \
	{                                                       \
		static type(*real) parameters;                  \
                                                                \
		if (real == NULL)                               \
			real = (type(*) parameters)next(#name); \
		if (due(#name)) {                               \
			errno = error;                          \
			return result;                          \
		}                                               \
		return real arguments;                          \
	}

void *
malloc(size_t n)
{
	if (due("malloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	if (due("calloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	if (due("realloc")) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, n);
}

void *
mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	if (due("mmap")) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

/* The child counts from 0. */
pid_t
fork(void)
{
	static pid_t (*real)(void);
	pid_t pid;

	if (real == NULL)
		real = (pid_t(*)(void))next("fork");
	if (due("fork")) {
		errno = EAGAIN;
		return -1;
	}
	pid = real();
	if (pid == 0) {
		self = getpid();
		count = 0;
	}
	return pid;
}

/* Who gives up privileges for a filter is left alone from then on. */
int
prctl(int option, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_NO_NEW_PRIVS)
		immune = 1;
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

WRAP(int, socketpair, (int domain, int type, int protocol, int fd[2]),
    (domain, type, protocol, fd), EMFILE, -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
    (fd, m, flags), ENOBUFS, -1)
WRAP(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags),
    (fd, m, n, flags), ENOBUFS, -1)
WRAP(ssize_t, send, (int fd, const void *p, size_t n, int flags),
    (fd, p, n, flags), ENOBUFS, -1)
WRAP(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags),
    ENOBUFS, -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags),
    ENOBUFS, -1)
WRAP(int, recvmmsg,
    (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
    (fd, m, n, flags, t), ENOBUFS, -1)
WRAP(int, accept4, (int fd, struct sockaddr *sa, socklen_t *len, int flags),
    (fd, sa, len, flags), ENFILE, -1)
WRAP(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *ev),
    (ep, op, fd, ev), ENOSPC, -1)
WRAP(int, epoll_wait, (int ep, struct epoll_event *ev, int n, int ms),
    (ep, ev, n, ms), EINTR, -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags),
    EMFILE, -1)
WRAP(int, ftruncate, (int fd, off_t n), (fd, n), ENOSPC, -1)
WRAP(int, bind, (int fd, const struct sockaddr *sa, socklen_t n), (fd, sa, n),
    EADDRINUSE, -1)
WRAP(int, listen, (int fd, int n), (fd, n), EADDRINUSE, -1)

/* liburing tells errors as -errno. */
WRAP(int, io_uring_queue_init_params,
    (unsigned n, struct io_uring *ring, struct io_uring_params *p),
    (n, ring, p), 0, -ENOMEM)
WRAP(int, io_uring_submit, (struct io_uring * ring), (ring), 0, -EBUSY)
WRAP(int, io_uring_get_events, (struct io_uring * ring), (ring), 0, -EBUSY)
WRAP(int, io_uring_register_ring_fd, (struct io_uring * ring), (ring), 0,
    -ENOMEM)
WRAP(int, __io_uring_get_cqe,
    (struct io_uring * ring, struct io_uring_cqe **cqe, unsigned submit,
	unsigned wait, void *sigmask),
    (ring, cqe, submit, wait, sigmask), 0, -EINTR)
