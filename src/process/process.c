/* Killing and reaping the master's children, whatever they and the kernel say
 * to it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/process.h"

enum {
	AGAIN_MS = 60 * 1000, /* the same complaint again after */
	LOOK_MS = 1
};

const char *
process_signal(int number)
{
	static char text[32];
	const char *name = sigabbrev_np(number);

	if (name != NULL)
		snprintf(text, sizeof(text), "SIG%s", name);
	else
		snprintf(text, sizeof(text), "signal %d", number);
	return text;
}

const char *
process_death(int status)
{
	static char text[64];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "left with status %d",
		    WEXITSTATUS(status));
	else
		snprintf(text, sizeof(text), "died of %s%s",
		    process_signal(WTERMSIG(status)),
		    WCOREDUMP(status) ? " (core dumped)" : "");
	return text;
}

int
process_kill(pid_t pid, const char *what)
{
	static uint64_t logged_ms;
	static pid_t logged;
	const uint64_t now = clock_ms();
	int error;

	if (pid <= 0) { /* 0 and -1 mean others */
		errno = ESRCH;
		return -1;
	}
	if (kill(pid, SIGKILL) == 0 || errno == ESRCH)
		return 0;
	error = errno;
	if (logged != pid || now >= logged_ms + AGAIN_MS)
		log_error("%s (pid %d) cannot be killed: %s%s", what, (int)pid,
		    strerror(error),
		    error == EPERM && geteuid() == 0 ? "; give chatd CAP_KILL"
						     : "");
	logged = pid;
	logged_ms = now;
	errno = error;
	return -1;
}

bool
process_is_child(pid_t pid)
{
	siginfo_t si;

	return pid > 1 && /* 0 and -1 mean others, 1 is never one */
	    waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool
process_reap(pid_t pid, uint64_t limit_ms)
{
	pid_t got;

	if (pid <= 0)
		return true;
	for (;;) {
		got = waitpid(pid, NULL, WNOHANG);
		if (got == pid || (got == -1 && errno != EINTR))
			return true; /* or it is no longer a child of this
					process */
		if (clock_ms() >= limit_ms)
			return false;
		usleep(LOOK_MS * 1000);
	}
}

void
process_end(pid_t pid, const char *what, uint64_t limit_ms)
{
	if (pid <= 0)
		return;
	(void)process_kill(pid, what);
	if (!process_reap(pid, limit_ms))
		log_error(
		    "%s (pid %d) does not end: left behind", what, (int)pid);
}
