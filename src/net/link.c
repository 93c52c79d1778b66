#include "net/link.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/message.h"
#include "net/rights.h"

enum { FDS_MAX = 253 }; /* SCM_MAX_FD: the kernel passes no more at once */

/* Pages are touched only as datagrams come in. */
static char receive_buffer[LINK_BATCH][MESSAGE_MAX];
static RIGHTS_SPACE(FDS_MAX) receive_control[LINK_BATCH];

void
link_buffer_raise(int fd)
{
	const int size = LINK_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ==
	    -1)
		/* Cannot fail; a smaller buffer is a link that fills sooner. */
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int
link_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		0, fd) == -1)
		return -1;
	link_buffer_raise(fd[0]);
	link_buffer_raise(fd[1]);
	return 0;
}

/* Whether an error of a send means "not now": no room, or no memory. */
static bool
error_is_full(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

int
link_send(int fd, uint32_t type, const void *payload, size_t len, int pass_fd)
{
	struct message_head head = {.type = type, .length = (uint32_t)len};
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)payload, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1};
	RIGHTS_SPACE(1) space;

	if (len > MESSAGE_MAX - sizeof(head)) {
		errno = EMSGSIZE;
		return -1;
	}
	if (pass_fd != -1)
		rights_put(&msg, &space, &pass_fd, 1);
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
		if (error_is_full(errno))
			errno = EAGAIN;
		return -1;
	}
	return 0;
}

int
link_send_batch(int fd, const struct iovec *datagram, int n)
{
	struct mmsghdr msg[LINK_BATCH];
	int sent = 0, want, r;

	while (sent < n) {
		want = n - sent < LINK_BATCH ? n - sent : LINK_BATCH;
		memset(msg, 0, (size_t)want * sizeof(msg[0]));
		for (int i = 0; i < want; i++) {
			msg[i].msg_hdr.msg_iov =
			    (struct iovec *)&datagram[sent + i];
			msg[i].msg_hdr.msg_iovlen = 1;
		}
		r = sendmmsg(
		    fd, msg, (unsigned)want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r == -1)
			return error_is_full(errno) ? sent : -1;
		sent += r; /* fewer than wanted: the next call says why */
	}
	return sent;
}

/* Whether the peer's end is closed; what is pending can still be read. */
static bool
peer_is_gone(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 &&
	    (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/*
 * How many of r received datagrams precede the EOF. An EOF reads as datagrams
 * of length 0 up to the end of a full batch. No process sends a datagram
 * of length 0, but a corrupted worker may, and that is not an EOF.
 */
static int
datagrams_before_eof(int fd, const struct mmsghdr *msg, int r)
{
	int n = r;

	if (r < LINK_BATCH)
		return r;
	while (n > 0 && msg[n - 1].msg_len == 0 &&
	    msg[n - 1].msg_hdr.msg_controllen == 0)
		n--;
	return n < r && peer_is_gone(fd) ? n : r;
}

int
link_receive(int fd, struct link_datagram out[LINK_BATCH])
{
	struct mmsghdr msg[LINK_BATCH];
	struct iovec iov[LINK_BATCH];
	int r, n, tries = 0;

	memset(msg, 0, sizeof(msg));
	for (int i = 0; i < LINK_BATCH; i++) {
		iov[i].iov_base = receive_buffer[i];
		iov[i].iov_len = MESSAGE_MAX;
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		msg[i].msg_hdr.msg_control = receive_control[i].bytes;
		msg[i].msg_hdr.msg_controllen =
		    sizeof(receive_control[i].bytes);
	}
	/*
	 * A peer that closed with something unread gives one ECONNRESET ahead
	 * of what it had sent: that is to be read first, then comes the EOF.
	 */
	do {
		r = recvmmsg(
		    fd, msg, LINK_BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	} while (
	    r == -1 && (errno == ECONNRESET || errno == EINTR) && tries++ < 3);
	if (r == -1)
		return errno == EAGAIN ? 0 : -1;
	n = datagrams_before_eof(fd, msg, r);
	if (n == 0) {
		errno = 0;
		return -1;
	}
	for (int i = 0; i < n; i++) {
		struct link_datagram *d = &out[i];

		*d = (struct link_datagram){.bytes = receive_buffer[i],
		    .len = msg[i].msg_len,
		    .fd = -1};
		d->n_fds = (int)rights_take(&msg[i].msg_hdr, &d->fd, 1);
		d->lost = (msg[i].msg_hdr.msg_flags & MSG_CTRUNC) != 0;
		if ((msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
			d->len = 0;
		if ((d->len == 0 || d->lost) && d->fd != -1) {
			close(d->fd);
			d->fd = -1;
		}
		if (d->lost)
			d->n_fds = 0;
	}
	return n;
}

size_t
link_unread(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(memory);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) == -1)
		return 0;
	return memory[SK_MEMINFO_WMEM_ALLOC];
}
