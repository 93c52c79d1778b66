/* kill_child: a child that may die at a kill point. */
#ifndef CHATD_TESTS_KILL_CHILD_H
#define CHATD_TESTS_KILL_CHILD_H

#include <signal.h>
#include <sys/wait.h>

/* In the child: dies of its own faults, which cmocka would catch. */
static inline void
child_signals(void)
{
	static const int sig[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

	for (size_t k = 0; k < sizeof(sig) / sizeof(sig[0]); k++)
		signal(sig[k], SIG_DFL);
}

/* Waits for the child. True: it was killed; else it got through. */
static inline bool
child_was_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGKILL);
	else
		assert_int_equal(status, 0);
	return WIFSIGNALED(status);
}

#endif
