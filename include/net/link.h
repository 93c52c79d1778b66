/*
 * link: one end of a SOCK_SEQPACKET socketpair between two processes, each
 * message whole and with its descriptor. Layer 2: knows messages' framing
 * (codec/message.h) and nothing else of chatd. Never blocks.
 */
#ifndef CHATD_NET_LINK_H
#define CHATD_NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	LINK_BUFFER = 1024 * 1024, /* SO_SNDBUF asked for, bytes */
	LINK_BATCH = 16		   /* datagrams per sendmmsg or recvmmsg */
};

/* Raises a socket's send buffer to LINK_BUFFER: above wmem_max with privilege,
 * up to it without. */
void link_buffer_raise(int fd);

/* Makes a pair: non-blocking, close-on-exec, buffers raised. -1 and errno. */
int link_pair(int fd[2]);

/*
 * Sends one message (head is added); pass_fd -1 = none. Returns 0, or -1 and
 * errno: EAGAIN = the link is full, EPIPE or ECONNRESET = the peer is gone.
 */
int
link_send(int fd, uint32_t type, const void *payload, size_t len, int pass_fd);

/*
 * Sends whole datagrams, head included, with as few calls as possible.
 * Returns how many went out (0 = full), or -1 and errno if the peer is gone.
 */
int link_send_batch(int fd, const struct iovec *datagram, int n);

struct link_datagram {
	const void *bytes; /* in the receive buffer, until the next receive */
	size_t len;
	int fd;	   /* a descriptor that came with it, or -1; the
		    * receiver owns it */
	int n_fds; /* how many came; surplus ones are closed already */
	bool lost; /* a descriptor came and there was no room for it here */
};

/*
 * Receives up to LINK_BATCH datagrams into one static buffer per process.
 * Returns how many (0 = nothing there), or -1 and errno; errno 0 = EOF.
 * Truncated data shows as len 0, a lost descriptor (MSG_CTRUNC) as none.
 */
int link_receive(int fd, struct link_datagram out[LINK_BATCH]);

/* What the kernel holds of what was sent and not received yet, in bytes; 0:
 * nothing, or it cannot be asked. */
size_t link_unread(int fd);

#endif
