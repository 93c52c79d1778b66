/* kill_filter: which system calls end a process of a family, and which do not;
 * and one of a kind that has a list of those that it makes.
 * Each is tried in a process of its own. Not in the sanitizers' build, which
 * has no filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handshaker/kinds.h"
#include "process/child.h"
#include "process/family.h"
#include "process/family_filter.h"

/* Which filters are loaded before the call. */
enum { FAMILY = 1, SELF = 2, BOTH = FAMILY | SELF, LISTED = 4 };

static pid_t other; /* of the same user */

/* How a process ends that makes a call behind filters: 0: the call returned. */
static int
ends(void (*call)(void), int filters)
{
	int *thread, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if ((filters & FAMILY) != 0 &&
		    family_filter(family_clone_flags(&thread)) != 0)
			_exit(3);
		if ((filters & SELF) != 0 && family_filter_self() != 0)
			_exit(4);
		if ((filters & LISTED) != 0)
			child_confine(&(const struct child_start){
			    .kind = &handshaker_kind});
		call();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void
call_fork(void)
{
	if (fork() == 0)
		_exit(0);
}

static void
call_vfork(void)
{
	syscall(SYS_vfork);
}

/* As libc's fork() may be some day. */
static void
call_clone3(void)
{
	uint64_t args[8] = {0};

	errno = 0;
	if (syscall(SYS_clone3, args, sizeof(args)) != -1 || errno != ENOSYS)
		_exit(9);
}

/* A child that shares descriptors, with its own parent. */
static void
call_clone(void)
{
	syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
}

/* As a keeper does. */
static void
call_keeper(void)
{
	static _Atomic int32_t pid;
	int *thread;
	unsigned long flags = family_clone_flags(&thread);

	if (syscall(SYS_clone, flags, 0, &pid, thread, thread) == 0)
		_exit(0);
}

static void
call_exec(void)
{
	char *argv[] = {NULL};

	execve("/nowhere", argv, argv);
}

static void
call_execveat(void)
{
	char *argv[] = {NULL};

	syscall(SYS_execveat, -1, "", argv, argv, AT_EMPTY_PATH);
}

static void
call_execveat_path(void)
{
	char *argv[] = {NULL};

	syscall(SYS_execveat, AT_FDCWD, "nowhere", argv, argv, 0);
}

static void
call_ptrace(void)
{
	syscall(SYS_ptrace, 16, other, 0, 0);
}

static void
call_unshare(void)
{
	unshare(0);
}

static void
call_kill_other(void)
{
	kill(other, 0);
}

static void
call_kill_all(void)
{
	kill(-1, 0);
}

static void
call_tgkill_other(void)
{
	syscall(SYS_tgkill, other, other, 0);
}

static void
call_limit_other(void)
{
	prlimit(other, RLIMIT_NOFILE, NULL, NULL);
}

static void
call_priority_other(void)
{
	setpriority(PRIO_PROCESS, (id_t)other, 19);
}

static void
call_affinity_other(void)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	sched_setaffinity(other, sizeof(all), &all);
}

/* All of its group, all of its user. */
static void
call_priority_group(void)
{
	setpriority(PRIO_PGRP, 0, 19);
}

static void
call_priority_user(void)
{
	setpriority(PRIO_USER, 0, 19);
}

static void
call_io_priority_user(void)
{
	syscall(SYS_ioprio_set, 3, 0, 0);
}

/* The kernel sends the owner of a file a signal of one's choice. */
static void
call_owner(void)
{
	fcntl(0, F_SETOWN, other);
}

static void
call_owner_ex(void)
{
	const struct f_owner_ex o = {F_OWNER_PID, other};

	fcntl(0, F_SETOWN_EX, &o);
}

/* The kernel looks at half of the word. */
static void
call_owner_wide(void)
{
	syscall(SYS_fcntl, 0, 1ull << 32 | F_SETOWN, other);
}

static void
call_owner_ioctl(void)
{
	syscall(SYS_ioctl, 0, FIOSETOWN, &other);
}

static void
call_owner_group(void)
{
	syscall(SYS_ioctl, 0, SIOCSPGRP, &other);
}

/* The last close of such a socket waits for its peer. */
static void
call_linger(void)
{
	const struct linger l = {1, 1000};

	setsockopt(0, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* What a worker does call. */
static void
call_usual(void)
{
	const struct sched_param none = {0};
	struct rlimit limit;
	int fd = dup(0), on = 1;

	signal(SIGUSR1, SIG_IGN);
	kill(getpid(), 0);
	raise(SIGUSR1);
	if (sched_setscheduler(0, SCHED_BATCH, &none) != 0 ||
	    getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    setrlimit(RLIMIT_NOFILE, &limit) != 0 || close(fd) != 0 ||
	    prctl(PR_SET_NAME, "name") != 0 || fcntl(0, F_GETFD) == -1 ||
	    (setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 &&
		errno != ENOTSOCK) ||
	    (ioctl(0, FIONREAD, &on) == -1 && errno != ENOTTY))
		_exit(5);
}

/* Reaching other processes ends one; some of it from the first filter on. */
static void
test_forbidden(void **state)
{
	static const struct {
		void (*call)(void);
		int filter; /* that forbids it */
	} forbidden[] = {{call_fork, FAMILY}, {call_vfork, FAMILY},
	    {call_clone, FAMILY}, {call_keeper, SELF}, {call_exec, FAMILY},
	    {call_execveat, SELF}, {call_execveat_path, FAMILY},
	    {call_ptrace, FAMILY}, {call_unshare, FAMILY},
	    {call_kill_other, SELF}, {call_kill_all, SELF},
	    {call_tgkill_other, SELF}, {call_limit_other, SELF},
	    {call_priority_other, SELF}, {call_priority_group, SELF},
	    {call_priority_user, SELF}, {call_io_priority_user, SELF},
	    {call_affinity_other, SELF}, {call_owner, SELF},
	    {call_owner_ex, SELF}, {call_owner_wide, SELF},
	    {call_owner_ioctl, SELF}, {call_owner_group, SELF},
	    {call_linger, SELF}};

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		assert_int_equal(
		    ends(forbidden[i].call, forbidden[i].filter), SIGSYS);
		assert_int_equal(ends(forbidden[i].call, BOTH), SIGSYS);
	}
}

/* What keepers, and what workers do is allowed. */
static void
test_allowed(void **state)
{
	assert_int_equal(ends(call_keeper, FAMILY), 0);
	assert_int_equal(ends(call_execveat, FAMILY), 0);
	assert_int_equal(ends(call_clone3, BOTH), 0);
	assert_int_equal(ends(call_usual, BOTH), 0);
}

/* Where filters are not permitted, that is an error, and the process goes on.
 */
static void
call_refused(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int *thread;

	if (f == NULL ||
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) !=
		0 ||
	    seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1,
		SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) != 0 ||
	    seccomp_load(f) != 0)
		_exit(6);
	if (family_filter(family_clone_flags(&thread)) == 0)
		_exit(7);
	if (family_filter_self() == 0)
		_exit(8);
	call_fork();
}

static void
test_refused(void **state)
{
	assert_int_equal(ends(call_refused, 0), 0);
}

/* How much a socket has is asked for; nothing is typed into a terminal. */
static void
call_unread(void)
{
	int n;

	ioctl(other, FIONREAD, &n);
	ioctl(other, TIOCOUTQ, &n);
}

static void
call_type(void)
{
	ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static void
call_memory(void)
{
	void *p =
	    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_WRITE) != 0)
		_exit(9);
}

static void
call_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0);
}

static void
call_to_code(void)
{
	static uint8_t page[2 * 4096];

	mprotect((void *)(((uintptr_t)page + 4095) & ~(uintptr_t)4095), 4096,
	    PROT_READ | PROT_EXEC);
}

static void
call_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
}

/* A process that shakes hands is left what it needs. */
static void
test_listed(void **state)
{
	assert_int_equal(ends(call_unread, LISTED), 0);
	assert_int_equal(ends(call_memory, LISTED), 0);
	assert_int_equal(ends(call_open, LISTED), SIGSYS);
	assert_int_equal(ends(call_type, LISTED), SIGSYS);
	assert_int_equal(ends(call_code, LISTED), SIGSYS);
	assert_int_equal(ends(call_to_code, LISTED), SIGSYS);
	assert_int_equal(ends(call_fork, LISTED), SIGSYS);
}

/* A process to be attacked. */
static int
setup(void **state)
{
	if ((other = fork()) == 0)
		for (;;)
			pause();
	return other > 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forbidden),
	    cmocka_unit_test(test_allowed),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_listed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
