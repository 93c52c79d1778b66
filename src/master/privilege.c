#include "master/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/identity.h"
#include "process/process.h"

enum { TRY_MS = 10000 /* for a child to be scheduled, and to die */ };

/* What the child does: becomes the user, says how that went, waits to be
 * killed, or for the other pipe's end. */
static void __attribute__((noreturn))
child_run(const struct identity *id, int say, int hear)
{
	int error = identity_assume(id) == -1 ? errno : 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(say, &error, sizeof(error)) == sizeof(error))
		(void)!read(hear, &error, sizeof(error));
	_exit(0);
}

/* What the child says: 0, or errno. */
static int
child_hear(int from)
{
	struct pollfd p = {from, POLLIN, 0};
	int error = ETIMEDOUT;

	if (poll(&p, 1, TRY_MS) == 1 &&
	    read(from, &error, sizeof(error)) != sizeof(error))
		error = EIO;
	return error;
}

/* Judges a child that has been forked. */
static int
child_judge(const struct identity *id, pid_t pid, int from, char *error,
    size_t error_len)
{
	int wrong = child_hear(from);

	if (wrong != 0) {
		snprintf(error, error_len,
		    "workers cannot become user %s: %s: give chatd CAP_SETUID "
		    "and CAP_SETGID, or use -u root, which is right where root "
		    "is the only user (rootless containers)",
		    id->name, strerror(wrong));
		return -1;
	}
	if (kill(pid, SIGKILL) == 0)
		return 0;
	snprintf(error, error_len,
	    "root without CAP_KILL cannot stop workers that hang (%s): give "
	    "chatd CAP_KILL (docker: --cap-add KILL), or start it as the user "
	    "that workers are to be",
	    strerror(errno));
	return -1;
}

/* Tries it, with a pipe from the child and one to it. */
static int
child_try(const struct identity *id, const int from[2], const int to[2],
    char *error, size_t error_len)
{
	pid_t pid = fork();
	int r;

	if (pid == 0) {
		close(from[0]);
		close(to[1]);
		child_run(id, from[1], to[0]);
	}
	if (pid == -1) {
		snprintf(error, error_len, "fork: %s", strerror(errno));
		close(to[1]);
		return -1;
	}
	r = child_judge(id, pid, from[0], error, error_len);
	close(to[1]);
	(void)process_reap(pid, clock_ms() + TRY_MS);
	return r;
}

int
privilege_check(const struct identity *id, char *error, size_t error_len)
{
	int from[2], to[2], r = -1;

	if (!id->drop)
		return 0;
	if (pipe2(from, O_CLOEXEC) == -1) {
		snprintf(error, error_len, "pipe: %s", strerror(errno));
		return -1;
	}
	if (pipe2(to, O_CLOEXEC) == -1)
		snprintf(error, error_len, "pipe: %s", strerror(errno));
	else {
		r = child_try(id, from, to, error, error_len);
		close(to[0]);
	}
	close(from[0]);
	close(from[1]);
	return r;
}
