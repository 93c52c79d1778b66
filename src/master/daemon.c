#include "master/daemon.h"

#include <errno.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Waits for the daemon's word and leaves with it. */
static void __attribute__((noreturn)) parent_wait(int fd)
{
	char text[1024];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n == 0 || (n == -1 && errno != EINTR))
			break;
		if (n > 0)
			len += (size_t)n;
		if (len > 0 && text[0] == '\0') /* daemon_ready() */
			_exit(0);
	}
	text[len] = '\0';
	warnx("%s", len > 0 ? text : "the daemon ended before it was ready");
	_exit(1);
}

/* Gives up the standard streams, so that a process that waits for their end
 * has it. `null` is above 2, since 0 to 2 are open (base/streams.h). */
static void
streams_close(int null)
{
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

int
daemon_detach(void)
{
	int fd[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1)
		return -1;
	if (pipe2(fd, O_CLOEXEC) == -1) {
		close(null);
		return -1;
	}
	switch (fork()) {
	case -1:
		close(null);
		close(fd[0]);
		close(fd[1]);
		return -1;
	case 0:
		break;
	default:
		close(fd[1]);
		parent_wait(fd[0]);
	}
	close(fd[0]);
	/* Neither fails for a child that has just been forked. */
	(void)setsid();
	(void)!chdir("/");
	streams_close(null);
	return fd[1];
}

void
daemon_ready(int pipe_fd)
{
	/* A parent that is gone has nothing to be told. */
	(void)!write(pipe_fd, "", 1);
	close(pipe_fd);
}

void
daemon_fail(int pipe_fd, const char *message)
{
	(void)!write(pipe_fd, message, strlen(message));
	close(pipe_fd);
}

/* Raises a limit to want if the system allows it; returns what it is. */
static uint64_t
limit_raise(__rlimit_resource_t which, uint64_t want)
{
	struct rlimit have, next;

	if (getrlimit(which, &have) == -1)
		return 0;
	if (have.rlim_cur >= want)
		return have.rlim_cur;
	/* With privilege the hard limit goes up too; else up to it. */
	next.rlim_cur = want;
	next.rlim_max = want > have.rlim_max ? want : have.rlim_max;
	if (setrlimit(which, &next) == 0)
		return want;
	next.rlim_cur = have.rlim_max < want ? have.rlim_max : want;
	next.rlim_max = have.rlim_max;
	if (setrlimit(which, &next) == 0)
		return next.rlim_cur;
	return have.rlim_cur;
}

uint64_t
daemon_raise_files(uint64_t want)
{
	return limit_raise(RLIMIT_NOFILE, want);
}

void
daemon_raise_locked(uint64_t want)
{
	(void)limit_raise(RLIMIT_MEMLOCK, want);
}
