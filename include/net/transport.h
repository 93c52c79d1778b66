/*
 * transport: the bytes of one client socket. A connection reads and writes
 * plaintext; positions count plaintext from its first byte. What the kernel has
 * of a connection is all that a transport may rely on after a takeover, beside
 * what it has put in shared memory itself, by the connection's number. Layer 2.
 *
 * A transport is a file of its own and a row of the table in transport.c;
 * nothing else names it.
 */
#ifndef CHATD_NET_TRANSPORT_H
#define CHATD_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/counters.h"

enum { TRANSPORTS_MAX = 8, TRANSPORT_USUAL = 1 };

/* A socket of a connection. */
struct transport_socket {
	int fd;
	uint32_t conn; /* the connection's number; UINT32_MAX: it has none */
	uint64_t at;   /* of send: position of its first byte; 0 in answers by
			* HTTP, which no takeover goes on with */
};

/* Nothing here waits; all but `positions` and `unread` set errno: EAGAIN as
 * for a socket, EINTR the same; any other error ends the connection. */
struct transport {
	const char *name; /* a word of `listen` */
	/* What is sent are the bytes themselves: they may go to the kernel in
	 * one batch with those of other connections (net/batch.h), and `send`
	 * is for what is not in the output. */
	bool batchable;
	/* As recv(2): 0 is the peer's end. */
	ssize_t (*recv)(
	    const struct transport_socket *s, void *out, size_t len);
	/*
	 * As writev(2). How many bytes of plaintext are out for good: those
	 * behind come again, with the same bytes, at the position where this
	 * ended, after a takeover too.
	 */
	ssize_t (*send)(
	    const struct transport_socket *s, const struct iovec *iov, int n);
	/* Whether the peer has sent what is not read yet. */
	bool (*unread)(const struct transport_socket *s);
	/* How much was read and written, in bytes of plaintext. -1: it cannot
	 * be told, and the connection cannot go on. */
	int (*positions)(
	    const struct transport_socket *s, struct counters *out);
	/* Says that nothing more is sent; what was sent still arrives. */
	void (*stop)(const struct transport_socket *s);
	/* Ends the connection without delay: what the kernel has of its output
	 * is thrown away. The descriptor stays open. */
	void (*reset)(const struct transport_socket *s);
};

/* By number; those that are not there are NULL. */
extern const struct transport *const transports[TRANSPORTS_MAX];

/* The transport of a number, which may come from shared memory; NULL: there is
 * none. */
static inline const struct transport *
transport_of(uint8_t number)
{
	return number < TRANSPORTS_MAX ? transports[number] : NULL;
}

/* Sends a FIN on a socket whose connection cannot go on, whatever it was. */
void transport_abandon(int fd);

/* The number of the transport of a name; 0: there is none. */
uint8_t transport_find(const char *name);

#endif
