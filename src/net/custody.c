#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/custody.h"
#include "net/link.h"

int
custody_pair(int fd[2])
{
	int size = LINK_BUFFER, i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	for (i = 0; i < 2; i++) /* a smaller buffer will do too */
		(void)setsockopt(
		    fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

/* Bytes of a note on the link. */
static size_t
note_bytes(const struct custody_note *note)
{
	return offsetof(struct custody_note, id) +
	    note->n * sizeof(note->id[0]);
}

int
custody_send(
    int link, const struct custody_note *note, const int *fd, bool wait)
{
	char control[CMSG_SPACE(sizeof(int) * CUSTODY_MAX)];
	struct iovec v = {(void *)note, note_bytes(note)};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c;
	ssize_t r;

	if (note->type == CUSTODY_KEEP && note->n > 0) {
		memset(control, 0, sizeof(control));
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * note->n);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * note->n);
		memcpy(CMSG_DATA(c), fd, sizeof(int) * note->n);
	}
	do
		r = sendmsg(link, &h, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == ETOOMANYREFS || errno == ENOBUFS))
		errno = EAGAIN;
	return r < 0 ? -1 : 0;
}

/* The descriptors of a message; returns how many. */
static int
take_descriptors(struct msghdr *h, int *fd)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	size_t n;

	if (c == NULL || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fd, CMSG_DATA(c), n * sizeof(int));
	return (int)n;
}

int
custody_receive(int link, struct custody_note *note, int *fd, bool wait)
{
	char control[CMSG_SPACE(sizeof(int) * CUSTODY_MAX)];
	struct iovec v = {note, sizeof(*note)};
	struct msghdr h = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	ssize_t r;
	int n, k;

	do
		r = recvmsg(
		    link, &h, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		return 0;
	if (r <= 0) {
		errno = r == 0 ? 0 : errno;
		return -1;
	}
	n = take_descriptors(&h, fd);
	if ((size_t)r >= offsetof(struct custody_note, id) &&
	    note->n <= CUSTODY_MAX && (size_t)r == note_bytes(note) &&
	    !(h.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) &&
	    n == (note->type == CUSTODY_KEEP ? (int)note->n : 0))
		return 1;
	for (k = 0; k < n; k++)
		close(fd[k]);
	errno = EBADMSG;
	return -1;
}
