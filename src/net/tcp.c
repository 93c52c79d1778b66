/* Bytes as the kernel has them, as a transport. */
#include "net/transport.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

extern const struct transport tcp_transport;

static ssize_t
tcp_recv(const struct transport_socket *s, void *out, size_t len)
{
	return recv(s->fd, out, len, MSG_DONTWAIT);
}

static bool
tcp_unread(const struct transport_socket *s)
{
	int bytes = 0;

	return ioctl(s->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

static int
tcp_positions(const struct transport_socket *s, bool read, struct counters *out)
{
	return counters_read(s->fd, read, out);
}

static enum transport_wait
tcp_stop(const struct transport_socket *s)
{
	shutdown(s->fd, SHUT_WR);
	return TRANSPORT_READY;
}

/* Resets the connection at once, also while another process has the socket for
 * a moment: with SO_LINGER all would have to close it first. It fails if there
 * is no connection any more, and then there is nothing to reset. */
static void
tcp_reset(const struct transport_socket *s)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};

	(void)connect(s->fd, &none, sizeof(none));
}

const struct transport tcp_transport = {.name = "tcp",
    .recv = tcp_recv,
    .bare = true,
    .unread = tcp_unread,
    .positions = tcp_positions,
    .stop = tcp_stop,
    .reset = tcp_reset};
