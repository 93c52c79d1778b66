#include "master/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/rights.h"

/* A socket that does not wait for ever; -1 and errno. */
static int
socket_make(void)
{
	const struct timeval limit = {.tv_usec = NOTIFY_MS * 1000};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd != -1 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ==
		-1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
notify_send(const char *state)
{
	return notify_send_fd(state, -1);
}

int
notify_send_fd(const char *state, int pass)
{
	RIGHTS_SPACE(1) space;
	struct iovec v = {(void *)state, strlen(state)};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len;
	ssize_t sent;
	int fd, saved;

	if (name == NULL || name[0] == '\0')
		return 0;
	len = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || len >= sizeof(sun.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	if ((fd = socket_make()) == -1)
		return -1;
	/* An abstract name is exactly as long as it says. */
	h.msg_name = &sun;
	h.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    len + (name[0] == '/'));
	if (pass != -1)
		rights_put(&h, &space, &pass, 1);
	do
		sent = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	saved = errno;
	close(fd);
	errno = saved;
	return sent == -1 ? -1 : 1;
}

int
notify_barrier(int ms)
{
	struct pollfd p = {.events = 0};
	int fd[2], sent, r, saved;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return -1;
	sent = notify_send_fd("BARRIER=1", fd[1]);
	saved = errno;
	close(fd[1]); /* the manager closes the last one */
	p.fd = fd[0];
	if (sent == 1) {
		do
			r = poll(&p, 1, ms);
		while (r == -1 && errno == EINTR);
		saved = r == 0 ? ETIMEDOUT : errno;
		sent = r == 1 ? 1 : -1;
	}
	close(fd[0]);
	errno = saved;
	return sent;
}
