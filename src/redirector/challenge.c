#include "challenge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/title.h"
#include "process/child.h"

#define CHALLENGE_BELOW ".well-known/acme-challenge/"

bool
challenge_token(const char *p, size_t len, char out[CHALLENGE_TOKEN])
{
	if (len == 0 || len >= CHALLENGE_TOKEN)
		return false;
	for (size_t k = 0; k < len; k++)
		if (!((p[k] >= 'A' && p[k] <= 'Z') ||
			(p[k] >= 'a' && p[k] <= 'z') ||
			(p[k] >= '0' && p[k] <= '9') || p[k] == '-' ||
			p[k] == '_'))
			return false;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

/* Opens a file below the directory, which no link leads out of. */
static int
challenge_open(const char *directory, const char *token)
{
	/* not to wait for the writer of a pipe */
	const struct open_how how = {
	    .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	const struct open_how top = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
	char path[sizeof(CHALLENGE_BELOW) + CHALLENGE_TOKEN];
	int dir, fd, saved;

	/* anew each time: it may be made, moved or mounted at any time */
	dir = (int)syscall(SYS_openat2, AT_FDCWD, directory, &top, sizeof(top));
	if (dir == -1)
		return -1;
	snprintf(path, sizeof(path), CHALLENGE_BELOW "%s", token);
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	saved = errno;
	close(dir);
	errno = saved;
	return fd;
}

/* Reads an open file; its errno. */
static int
challenge_take(int fd, struct challenge_answer *out)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	if (st.st_size > CHALLENGE_FILE_MAX)
		return EFBIG;
	if ((n = read(fd, out->bytes, sizeof(out->bytes))) == -1)
		return errno;
	out->len = (uint32_t)n;
	return n > 0 ? 0 : ENOENT; /* it is being written */
}

void
challenge_file(
    const char *directory, const char *token, struct challenge_answer *out)
{
	const int fd = challenge_open(directory, token);

	out->len = 0;
	out->error = fd == -1 ? errno : challenge_take(fd, out);
	if (fd != -1)
		close(fd);
}

/* The process: ends with the one that asks, unless a disk holds it. */
static void __attribute__((noreturn))
challenge_main(const char *directory, int link)
{
	static const int calls[] = {SCMP_SYS(openat2), SCMP_SYS(fstat),
	    SCMP_SYS(newfstatat), SCMP_SYS(read), SCMP_SYS(close),
	    SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(exit_group),
	    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), -1};
	const struct child_kind kind = {
	    .name = "redirector's files", .calls = calls};
	const struct child_start start = {.kind = &kind};
	struct challenge_answer answer;
	struct challenge_ask ask;

	child_confine(&start);
	while (recv(link, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask)) {
		memset(&answer, 0, sizeof(answer));
		/* a hostile redirector learns of that folder alone */
		if (challenge_token(ask.token,
			strnlen(ask.token, CHALLENGE_TOKEN - 1), ask.token))
			challenge_file(directory, ask.token, &answer);
		else
			answer.error = ENOENT;
		answer.number = ask.number;
		if (send(link, &answer, sizeof(answer), MSG_NOSIGNAL) == -1)
			break;
	}
	_exit(0);
}

int
challenge_begin(const char *directory)
{
	const pid_t parent = getpid();
	int pair[2], log;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1 ||
	    (pid = fork()) == -1)
		log_fatal("the process that reads files: %s", strerror(errno));
	if (pid != 0) {
		close(pair[1]);
		return pair[0];
	}
	title_set("redirector, files");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(0);
	/* listeners, the log and the master are not its business */
	if ((log = dup2(pair[1], STDERR_FILENO + 1)) == -1 ||
	    close_range((unsigned)log + 1, ~0U, 0) == -1)
		_exit(1);
	challenge_main(directory, log);
}

bool
challenge_ask(int link, const struct challenge_ask *ask)
{
	return send(link, ask, sizeof(*ask), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    (ssize_t)sizeof(*ask);
}

int
challenge_read(int link, struct challenge_answer *out)
{
	const ssize_t n = recv(link, out, sizeof(*out), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n == (ssize_t)sizeof(*out) && out->len <= sizeof(out->bytes)
	    ? 1
	    : -1;
}
