/*
 * hostile_table: preloaded into a daemon, makes a worker its enemy: a request
 *for
 * "/hostile-WHAT" has the worker that reads it do that to what it shares with
 * its keepers, and to them.
 *
 *	LD_PRELOAD=.../hostile_table.so chatd ...
 *
 * A build whose children are linked dynamically is needed. Each deed is told on
 * stderr, where that is still open.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <asm/sockios.h>
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HOME = 3, /* the family's link, see process/family.h */
	NUMBERS = 4096,
	SOCKETS = 200,
	NOTES = 20000
};

static void
tell(const char *what, long result)
{
	dprintf(STDERR_FILENO, "hostile: %s %ld (%s)\n", what, result,
	    result < 0 ? strerror(errno) : "done");
}

/* The pid of another child of the same parent whose name begins so; 0: none. */
static pid_t
sibling(const char *name)
{
	char path[64], text[64] = "";
	pid_t found = 0;
	struct dirent *e;
	DIR *d = opendir("/proc");
	int fd;

	while (d != NULL && found == 0 && (e = readdir(d)) != NULL) {
		pid_t pid = (pid_t)atoi(e->d_name), parent = 0;
		char state[256] = "";
		const char *end;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		if (pid <= 0 || pid == getpid() ||
		    (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			continue;
		if (read(fd, state, sizeof(state) - 1) > 0 &&
		    (end = strrchr(state, ')')) != NULL)
			parent = (pid_t)atoi(end + 4);
		close(fd);
		if (parent != getppid())
			continue;
		snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			continue;
		memset(text, 0, sizeof(text));
		if (read(fd, text, sizeof(text) - 1) > 0 &&
		    strstr(text, name) != NULL)
			found = pid;
		close(fd);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

static void
close_all(void)
{
	syscall(SYS_close_range, 0, ~0u, 0);
}

/* Another file under every number. */
static void
over_all(void)
{
	int fd = open("/dev/null", O_RDWR);

	for (int i = 0; i < NUMBERS; i++)
		if (i != fd && fcntl(i, F_GETFD) != -1)
			dup2(fd, i);
	tell("over", fd);
}

/* Another socket under the link's number, while the link stays open, so that
 * the master sees no end. */
static void
home_over(void)
{
	int pair[2], other[2];
	char c[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
	struct iovec io = {&byte, 1};
	struct msghdr h = {.msg_iov = &io,
	    .msg_iovlen = 1,
	    .msg_control = c,
	    .msg_controllen = sizeof(c)};
	struct cmsghdr *k = CMSG_FIRSTHDR(&h);

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, other);
	k->cmsg_level = SOL_SOCKET;
	k->cmsg_type = SCM_RIGHTS;
	k->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(k) = HOME;
	tell("home", sendmsg(pair[0], &h, 0));
	dup2(other[0], HOME);
}

/* Nothing comes through the link to the family any more, though it is open. */
static void
home_shut(void)
{
	tell("home-shut", shutdown(HOME, SHUT_RD));
}

/* As many descriptors as there may be. */
static void
fill(void)
{
	long n = 0;

	while (dup(STDERR_FILENO) != -1)
		n++;
	tell("fill", n);
}

/* Sockets that look as if a client had just been accepted. */
static void
orphans(void)
{
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0), n = 0;

	listen(listener, SOCKETS);
	getsockname(listener, (struct sockaddr *)&in, &len);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < SOCKETS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 &&
		    accept(listener, NULL, NULL) != -1)
			n++;
	}
	tell("orphans", n);
}

/* A child that shares the table, and stays. */
static void
clone_sharing(unsigned long flags)
{
	long pid =
	    syscall(SYS_clone, CLONE_FILES | flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		for (;;)
			pause();
	tell("clone", pid);
}

static void
fork_child(void)
{
	long pid = syscall(SYS_fork);

	if (pid == 0) {
		setsid();
		if (syscall(SYS_fork) == 0)
			for (;;)
				pause();
		_exit(0);
	}
	tell("fork", pid);
}

static void
exec_other(void)
{
	execl("/bin/sleep", "chatd-child", "1000", (char *)NULL);
	tell("exec", -1);
}

static void
trace_keeper(void)
{
	tell("trace", ptrace(PTRACE_ATTACH, sibling("keeper"), 0, 0));
}

static void
write_keeper(void)
{
	uint64_t word = 0;
	struct iovec from = {&word, sizeof(word)}, to = {&word, sizeof(word)};

	tell(
	    "write", process_vm_writev(sibling("keeper"), &from, 1, &to, 1, 0));
}

static void
kill_keeper(void)
{
	tell("kill", kill(sibling("keeper"), SIGKILL));
}

/* By the kernel, which signals who owns a socket that becomes ready. */
static void
signal_keeper(unsigned long owner)
{
	int pair[2], on = 1;
	pid_t pid = sibling("keeper");
	long r;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	fcntl(pair[0], F_SETSIG, SIGKILL);
	r = owner == 0 ? fcntl(pair[0], F_SETOWN, pid)
		       : ioctl(pair[0], owner, &pid);
	ioctl(pair[0], FIOASYNC, &on);
	(void)!write(pair[1], "x", 1);
	tell("signal", r);
}

static void
own_keeper(void)
{
	signal_keeper(0);
}

static void
ioctl_keeper(void)
{
	/* of which the kernel looks at 32 bits alone */
	signal_keeper(1ul << 32 | FIOSETOWN);
}

static void
kill_worker(void)
{
	tell("kill", kill(sibling("worker"), SIGKILL));
}

static void
stop_master(void)
{
	tell("stop", kill(getppid(), SIGSTOP));
}

static void
limit_keeper(void)
{
	const struct rlimit none = {0, 0};

	tell("limit", prlimit(sibling("keeper"), RLIMIT_NOFILE, &none, NULL));
}

/* Its own limit, and then it wants descriptors. */
static void
limit_self(void)
{
	const struct rlimit none = {0, 0};

	tell("limit", setrlimit(RLIMIT_NOFILE, &none));
}

/* What only the master says, over the link's wrong end. */
static void
notes(void)
{
	struct {
		uint32_t magic, generation, what, n;
	} note = {0x464d4c59, 1, 1, 0};
	int n = 0;

	for (int i = 0; i < NOTES; i++) {
		note.generation = (uint32_t)i;
		note.what = 1 + (uint32_t)i % 5;
		if (send(HOME, &note, i % 7 ? sizeof(note) : 3,
			MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			n++;
	}
	tell("notes", n);
}

/* Descriptors to the master, with words it does not expect. */
static void
gifts(void)
{
	int n = 0;

	for (int i = 0; i < NOTES; i++) {
		char c[CMSG_SPACE(sizeof(int))] = {0}, text[16] = "a gift";
		struct iovec io = {text, sizeof(text)};
		struct msghdr h = {.msg_iov = &io,
		    .msg_iovlen = 1,
		    .msg_control = c,
		    .msg_controllen = sizeof(c)};
		struct cmsghdr *k = CMSG_FIRSTHDR(&h);

		k->cmsg_level = SOL_SOCKET;
		k->cmsg_type = SCM_RIGHTS;
		k->cmsg_len = CMSG_LEN(sizeof(int));
		*(int *)CMSG_DATA(k) = STDERR_FILENO;
		n += sendmsg(HOME, &h, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	}
	tell("gifts", n);
}

/* Whatever it finds of others under /proc. */
static void
open_others(void)
{
	static const char *const file[] = {
	    "mem", "fd/3", "map_files", "environ"};
	const pid_t pid[] = {sibling("keeper"), sibling("worker"), getppid()};
	char path[64];
	long n = 0;

	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 4; k++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid[i],
			    file[k]);
			n += open(path, k == 0 ? O_RDWR : O_RDONLY) != -1;
		}
	tell("open", n);
}

/* Closes the standard streams and the reserve. */
static void
close_low(void)
{
	syscall(SYS_close_range, 0, HOME - 1, 0);
	close(HOME + 1);
}

/* Shuts its clients' sockets down, and the listeners, for everybody who has
 * them. */
static void
shut_all(void)
{
	int domain, n = 0;
	socklen_t len;

	for (int i = HOME + 1; i < NUMBERS; i++) {
		len = sizeof(domain);
		if (getsockopt(i, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		    domain == AF_INET)
			n += shutdown(i, SHUT_RDWR) == 0;
	}
	tell("shut", n);
}

/* Makes its sockets wait in calls, the listeners' for all workers. */
static void
block_all(void)
{
	int n = 0;

	for (int i = HOME + 1; i < NUMBERS; i++)
		n += fcntl(i, F_SETFL, 0) == 0;
	tell("block", n);
}

static void
clone_files(void)
{
	clone_sharing(0);
}

static void
clone_brother(void)
{
	clone_sharing(CLONE_PARENT);
}

static const struct deed {
	const char *name;
	void (*act)(void);
} deed[] = {{"close-all", close_all}, {"close-low", close_low},
    {"over-all", over_all}, {"home-over", home_over}, {"home-shut", home_shut},
    {"fill", fill}, {"orphans", orphans}, {"clone", clone_files},
    {"brother", clone_brother}, {"fork", fork_child}, {"exec", exec_other},
    {"trace", trace_keeper}, {"write", write_keeper},
    {"kill-keeper", kill_keeper}, {"own-keeper", own_keeper},
    {"ioctl-keeper", ioctl_keeper}, {"kill-worker", kill_worker},
    {"stop-master", stop_master}, {"limit-keeper", limit_keeper},
    {"limit-self", limit_self}, {"notes", notes}, {"gifts", gifts},
    {"open", open_others}, {"shut-all", shut_all}, {"block-all", block_all}};

/* Does what a request asks for. */
static void
obey(const char *bytes, size_t len)
{
	static const char word[] = "/hostile-";
	const char *p = memmem(bytes, len, word, sizeof(word) - 1);
	size_t n;

	if (p == NULL)
		return;
	p += sizeof(word) - 1;
	for (size_t i = 0; i < sizeof(deed) / sizeof(deed[0]); i++) {
		n = strlen(deed[i].name);
		if ((size_t)(bytes + len - p) <= n ||
		    memcmp(p, deed[i].name, n) != 0 ||
		    (p[n] != ' ' && p[n] != '+'))
			continue;
		dprintf(STDERR_FILENO, "hostile: %s by %d\n", deed[i].name,
		    (int)getpid());
		deed[i].act();
		if (p[n] == '+') /* and dies of it */
			syscall(SYS_kill, getpid(), SIGKILL);
		return;
	}
}

/* As where seccomp is not permitted, with HOSTILE_UNFILTERED. */
int
seccomp_load(void *filter)
{
	int (*load)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "seccomp_load");

	return getenv("HOSTILE_UNFILTERED") != NULL ? -EPERM : load(filter);
}

ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n = syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);

	if (n > 0)
		obey(buf, (size_t)n);
	return n;
}
