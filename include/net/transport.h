/*
 * transport: the bytes of one client socket. A connection reads and writes
 * plaintext, and positions count plaintext from its first byte; what the peer
 * sends before that (a handshake), and what stands around it (records), only
 * its transport knows. Layer 2.
 *
 * After a takeover a transport has what the kernel says of the socket and its
 * state: plain data in shared memory, which another process may have written
 * over, so every field is checked when it is used. One store commits each
 * change of it. A transport is a file of its own and a row of the table in
 * transport.c; nothing else names it.
 */
#ifndef CHATD_NET_TRANSPORT_H
#define CHATD_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/counters.h"

enum {
	TRANSPORTS_MAX = 8,
	TRANSPORT_USUAL = 1,
	/* Bytes of state. Larger: each connection that has one takes more
	 * memory, and an upgrade from a program with less is refused where
	 * there are some. */
	TRANSPORT_STATE_MAX = 512,
	/* Plaintext that `seal` is given at once, bytes. Larger: what a slow
	 * socket does not take is sealed again more often; smaller: more
	 * writes. */
	TRANSPORT_PLAIN_MAX = 16 * 1024,
	/* What that becomes, at most. */
	TRANSPORT_SEALED_MAX = 2 * TRANSPORT_PLAIN_MAX,
	/* For a record that has not come whole, twice, see `rest`. It cannot
	 * change either. */
	TRANSPORT_REST = 40 * 1024
};

/* A socket of a connection. */
struct transport_socket {
	int fd;
	uint32_t conn; /* the connection's number; UINT32_MAX: it has none */
	uint64_t at;   /* of seal: position of its first byte; 0 in answers by
			* HTTP, which no takeover goes on with */
	void *state;   /* [TRANSPORT_STATE_MAX], zero at first */
	/* [TRANSPORT_REST], at a page's begin, in shared memory as the state:
	 * input that makes up no plaintext yet, of which the state says what
	 * counts. Pages that were never written to, or were given back by
	 * transport_rest_free(), cost nothing. */
	uint8_t *rest;
};

/* What start() and stop() wait for. */
enum transport_wait {
	TRANSPORT_READY,  /* nothing: it is done */
	TRANSPORT_READS,  /* input: call it again then */
	TRANSPORT_WRITES, /* room for output */
	TRANSPORT_WAITS, /* neither, but another process: the function that gets
			  * its answer calls conn_start() */
	TRANSPORT_FAILED /* the connection cannot go on: errno */
};

/* Nothing here waits. recv, seal and sent set errno: EAGAIN as for a socket,
 * EINTR the same; any other error ends the connection. */
struct transport {
	const char *name;     /* a word of `listen` */
	uint16_t state_bytes; /* that it uses, at most TRANSPORT_STATE_MAX */
	/* What the bytes mean. It grows with each change of that, of their
	 * order, or of what follows from them: a program with another one
	 * cannot go on with the connections that there are, and an upgrade to
	 * it is refused where an endpoint has this transport. */
	uint16_t state_version;
	bool secure; /* clients name it https and wss: nobody between reads it,
		      * and its server is who it says */
	/*
	 * What comes before the first byte of plaintext, step by step; of a
	 * connection that has not got through it nothing is taken over. NULL:
	 * nothing does. One that cannot be kept is told so only by a transport
	 * without start.
	 */
	enum transport_wait (*start)(const struct transport_socket *s);
	/*
	 * Goes on with a connection with which another process has begun: what
	 * that has come to, which is read as a hostile process's. Nothing has
	 * been read or written since. Returns 0, or -1 and errno: with EBUSY
	 * another worker may. NULL: connections are accepted by who goes on
	 * with them.
	 */
	int (*begin)(
	    const struct transport_socket *s, const void *birth, size_t len);
	/* With `begin`: whether nothing was read or written since, so that
	 * another process may begin with it as if it were new. */
	bool (*fresh)(const struct transport_socket *s);
	/*
	 * As recv(2): 0 is the peer's end. What it returns counts as read from
	 * when it is in `out` on: after a death either `out` has it, or it
	 * comes again. What does not make up plaintext yet is put into the
	 * state, not left in the kernel (MSG_PEEK): a part of a record there
	 * was seen to hold all of the receive buffer, so that the rest of the
	 * record could not come. Plaintext that `out` has no room for stays in
	 * the kernel, at least a byte of its record: it is asked for again
	 * when the socket is readable, and at no other time.
	 */
	ssize_t (*recv)(
	    const struct transport_socket *s, void *out, size_t len);
	/* How many records the last recv has passed over that had no plaintext
	 * in them: the connection's rate counts them as messages. NULL: there
	 * are none. */
	unsigned (*quiet)(void);
	/*
	 * How many bytes of `rest` have memory, as the state says; a worker
	 * that died in between may have left those of one record more. NULL:
	 * none ever have. They are bounded by it (conn/rest.h), and given back
	 * when the connection ends.
	 */
	size_t (*rested)(const struct transport_socket *s);
	bool bare; /* recv is recv(2) of the socket: others may do that */
	/*
	 * Makes of plaintext what is to be sent, in out[TRANSPORT_SEALED_MAX],
	 * and commits that before it returns. Returns its length; 0: nothing
	 * can be sent now. `plain` has all that there is from s->at on, or
	 * TRANSPORT_PLAIN_MAX bytes of it. NULL: plaintext is sent as it is.
	 */
	ssize_t (*seal)(const struct transport_socket *s, const uint8_t *plain,
	    size_t len, uint8_t *out);
	/*
	 * How many bytes of plaintext are out for good, after the kernel has
	 * taken `n` of the bytes that seal returned. Those behind come again,
	 * with the same bytes, at the position where this ends, after a
	 * takeover too.
	 */
	ssize_t (*sent)(const struct transport_socket *s, size_t n);
	/* Whether the peer has sent what is not read yet. */
	bool (*unread)(const struct transport_socket *s);
	/*
	 * How much was written, and with `read` how much was read, in bytes of
	 * plaintext. A process that takes the connection over calls it before
	 * anything else: it derives what the state has from the kernel's
	 * counts. -1: it cannot be told, and the connection cannot go on.
	 */
	int (*positions)(
	    const struct transport_socket *s, bool read, struct counters *out);
	/* Says that nothing more is sent; what was sent still arrives. Also
	 * while it has not started, or when output is left over. READY,
	 * WRITES or FAILED. */
	enum transport_wait (*stop)(const struct transport_socket *s);
	/* The connection is no more: what this process alone keeps of it goes.
	 * NULL: that is nothing. */
	void (*forgotten)(const struct transport_socket *s);
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

/* Forgets what it keeps of a connection that has ended, or whose place another
 * one gets: keys, perhaps. t NULL: nothing. */
void
transport_forget(const struct transport *t, const struct transport_socket *s);

/* Gives the memory of n bytes of a socket's rest back, from its begin or from
 * its middle on: they are zero then. */
void
transport_rest_free(const struct transport_socket *s, size_t from, size_t n);

/* As send(2), of what is not in the output: how many bytes are out for good. */
ssize_t transport_send(const struct transport *t,
    const struct transport_socket *s, const void *bytes, size_t len);

/* The number of the transport of a name; 0: there is none. */
uint8_t transport_find(const char *name);

#endif
