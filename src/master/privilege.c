#include "master/privilege.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/identity.h"
#include "process.h"

enum { TRY_MS = 2000 /* for a child to be scheduled, and to die */ };

/* What the child does: becomes the user, says how that went, waits to be
 * killed, or for the end of the link. */
static void __attribute__((noreturn))
child_run(const struct identity *id, int link)
{
	int error = identity_assume(id) == -1 ? errno : 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(link, &error, sizeof(error)) == sizeof(error))
		(void)!read(link, &error, sizeof(error));
	_exit(0);
}

/* What the child says: 0, or errno. */
static int
child_hear(int link)
{
	struct pollfd p = {link, POLLIN, 0};
	int error = ETIMEDOUT;

	if (poll(&p, 1, TRY_MS) == 1 &&
	    read(link, &error, sizeof(error)) != sizeof(error))
		error = EIO;
	return error;
}

/* Judges a child that has been forked. */
static int
child_judge(const struct identity *id, pid_t pid, int link, char *error,
    size_t error_len)
{
	int wrong = child_hear(link);

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

int
privilege_check(const struct identity *id, char *error, size_t error_len)
{
	int link[2], r;
	pid_t pid;

	if (!id->drop)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) == -1) {
		snprintf(error, error_len, "socket: %s", strerror(errno));
		return -1;
	}
	if ((pid = fork()) == 0) {
		close(link[0]);
		child_run(id, link[1]);
	}
	if (pid == -1) {
		snprintf(error, error_len, "fork: %s", strerror(errno));
		r = -1;
	} else
		r = child_judge(id, pid, link[0], error, error_len);
	close(link[0]);
	close(link[1]);
	(void)process_reap(pid, clock_ms() + TRY_MS);
	return r;
}
