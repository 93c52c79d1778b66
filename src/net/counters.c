#include "net/counters.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/tcp.h>

/* TCP states (include/net/tcp_states.h of the kernel). */
enum {
	FIN_WAIT1 = 4,
	FIN_WAIT2 = 5,
	TIME_WAIT = 6,
	CLOSE = 7,
	CLOSE_WAIT = 8,
	LAST_ACK = 9,
	CLOSING = 11
};

static int
info_read(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len);
}

/*
 * What the kernel has at one moment. TCP_INFO is of one moment
 * (lock_sock_fast() in tcp_get_info(), Linux 4.10 and later): with nothing on
 * its way and nothing unsent, what is acknowledged is all. Else the queue is
 * asked for, too, and goes on being acknowledged meanwhile, and so does what
 * comes in: then it looks until the counts before and after are the same.
 */
static int
counters_look(int fd, bool read, struct tcp_info *now, int *in, int *out)
{
	struct tcp_info before;

	*in = *out = 0;
	if (info_read(fd, now) < 0)
		return -1;
	if (!read && now->tcpi_unacked == 0 && now->tcpi_notsent_bytes == 0)
		return 0;
	do {
		before = *now;
		if ((read && ioctl(fd, SIOCINQ, in) < 0) ||
		    ioctl(fd, SIOCOUTQ, out) < 0 || info_read(fd, now) < 0)
			return -1;
	} while (
	    (read && before.tcpi_bytes_received != now->tcpi_bytes_received) ||
	    before.tcpi_bytes_acked != now->tcpi_bytes_acked ||
	    before.tcpi_state != now->tcpi_state);
	return 0;
}

int
counters_read(int fd, bool read, struct counters *k)
{
	struct tcp_info now;
	int in, out, s;

	if (counters_look(fd, read, &now, &in, &out) < 0)
		return -1;
	s = now.tcpi_state;
	k->closed = s == CLOSE || s == TIME_WAIT;
	k->fin_sent =
	    s == FIN_WAIT1 || s == FIN_WAIT2 || s == CLOSING || s == LAST_ACK;
	k->read = 0;
	if (read)
		k->read = now.tcpi_bytes_received - (uint64_t)in -
		    (s == CLOSE_WAIT || s == LAST_ACK || s == CLOSING);
	k->written = now.tcpi_bytes_acked + (uint64_t)out - k->fin_sent;
	return 0;
}

bool
counters_unacked(int fd, uint64_t *bytes)
{
	struct tcp_info info;
	int out;

	if (info_read(fd, &info) < 0 || info.tcpi_state == CLOSE ||
	    info.tcpi_state == TIME_WAIT || ioctl(fd, SIOCOUTQ, &out) < 0 ||
	    out < 0)
		return false;
	*bytes = (uint64_t)out;
	return true;
}

/* Whether it is the socket of a connection over TCP: no listener. */
static bool
counters_is_tcp(int fd)
{
	int protocol, listens;
	socklen_t len = sizeof(protocol);

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	    protocol == IPPROTO_TCP &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	    listens == 0;
}

bool
counters_untouched(int fd)
{
	struct counters k;

	return counters_is_tcp(fd) && counters_read(fd, true, &k) == 0 &&
	    !k.closed && !k.fin_sent && k.read == 0 && k.written == 0;
}

/* O_APPEND means nothing to a socket, and is a flag of the open file, not of
 * one descriptor of it. */
int
counters_came(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND) == 0 &&
		fcntl(fd, F_SETFD, 0) == 0
	    ? 0
	    : -1;
}

bool
counters_has_come(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags != -1 && (flags & O_APPEND) != 0;
}
