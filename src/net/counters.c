#include "net/counters.h"

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

int
counters_read(int fd, struct counters *out)
{
	struct tcp_info a, b;
	int in, pending, s;

	do { /* until the counts before and after are the same */
		if (info_read(fd, &a) < 0 || ioctl(fd, SIOCINQ, &in) < 0 ||
		    ioctl(fd, SIOCOUTQ, &pending) < 0 || info_read(fd, &b) < 0)
			return -1;
	} while (a.tcpi_bytes_received != b.tcpi_bytes_received ||
	    a.tcpi_bytes_acked != b.tcpi_bytes_acked ||
	    a.tcpi_state != b.tcpi_state);
	s = a.tcpi_state;
	out->closed = s == CLOSE || s == TIME_WAIT;
	out->fin_sent =
	    s == FIN_WAIT1 || s == FIN_WAIT2 || s == CLOSING || s == LAST_ACK;
	out->read = a.tcpi_bytes_received - (uint64_t)in -
	    (s == CLOSE_WAIT || s == LAST_ACK || s == CLOSING);
	out->written = a.tcpi_bytes_acked + (uint64_t)pending - out->fin_sent;
	return 0;
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

	return counters_is_tcp(fd) && counters_read(fd, &k) == 0 && !k.closed &&
	    !k.fin_sent && k.read == 0 && k.written == 0;
}
