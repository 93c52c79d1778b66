/* socket: what a connection does with its socket, over its transport. Layer 3.
 * As recv(2), send(2) and so on: -1 and errno; nothing waits. */
#ifndef CHATD_CONN_SOCKET_H
#define CHATD_CONN_SOCKET_H

#include "conn/chat.h"
#include "conn/rest.h"
#include "net/transport.h"

static inline const struct transport *
conn_transport(const struct chat *ch, uint32_t i)
{
	return transports[ch->conn[i].transport];
}

/* How long its client is to come by TLS alone, for route_answer(). */
static inline uint64_t
conn_hsts_ms(const struct chat *ch, uint32_t i)
{
	return conn_transport(ch, i)->secure ? ch->live.hsts_ms : 0;
}

/* The socket of a connection that is not here yet, or no more. What its
 * transport keeps lies in shared memory, or, of one without a slot, which ends
 * with its answer, in private memory; NULL: no transport keeps anything. */
static inline struct transport_socket
conn_socket_of(const struct chat *ch, uint32_t i, int fd)
{
	const bool slot = conn_has_slot(ch, i);
	const size_t k = slot ? i : i - ch->hub->n_slots;
	uint8_t *wire = slot ? ch->hub->wire : ch->spare_wire,
		*rest = slot ? ch->hub->rest : ch->spare_rest;

	return (struct transport_socket){.fd = fd,
	    .conn = i,
	    .state = wire != NULL ? wire + k * SHM_WIRE : NULL,
	    .rest = rest != NULL ? rest + k * SHM_REST : NULL};
}

static inline struct transport_socket
conn_socket(const struct chat *ch, uint32_t i)
{
	struct transport_socket s = conn_socket_of(ch, i, ch->conn[i].fd);

	s.at = output_written(&ch->conn[i].out);
	return s;
}

/* What a record of it takes is no more, or another worker's. */
static inline void
conn_rest_forget(const struct chat *ch, uint32_t i, uint8_t transport)
{
	const struct transport *t = transport_of(transport);

	if (t != NULL && t->rested != NULL)
		rest_note(ch, i, 0, false);
}

/* Zeroes what a transport keeps of a connection: keys, perhaps. The number may
 * come from shared memory. */
static inline void
conn_wire_clear(const struct chat *ch, uint32_t i, uint8_t transport)
{
	const struct transport_socket s = conn_socket_of(ch, i, -1);

	transport_forget(transport_of(transport), &s);
	conn_rest_forget(ch, i, transport);
}

/* Notes what a record of it takes that has not come whole, if it is of a
 * transport that has some. */
static inline void
conn_rest_look(const struct chat *ch, uint32_t i, bool went_on)
{
	const struct transport *t = conn_transport(ch, i);
	const struct transport_socket s = conn_socket(ch, i);

	if (t->rested != NULL)
		rest_note(ch, i, t->rested(&s), went_on);
}

static inline ssize_t
conn_recv(const struct chat *ch, uint32_t i, void *out, size_t len)
{
	const struct transport_socket s = conn_socket(ch, i);

	const ssize_t n = conn_transport(ch, i)->recv(&s, out, len);

	conn_rest_look(ch, i, n > 0);
	return n;
}

/* Of what is not in the output: an answer to a request. */
static inline ssize_t
conn_send(const struct chat *ch, uint32_t i, const void *bytes, size_t len)
{
	const struct transport_socket s = conn_socket(ch, i);

	return transport_send(conn_transport(ch, i), &s, bytes, len);
}

static inline int
conn_positions(
    const struct chat *ch, uint32_t i, bool read, struct counters *out)
{
	const struct transport_socket s = conn_socket(ch, i);

	return conn_transport(ch, i)->positions(&s, read, out);
}

/* Nothing more is sent. READY, or WRITES: again when it takes more. */
static inline enum transport_wait
conn_stop(const struct chat *ch, uint32_t i)
{
	const struct transport_socket s = conn_socket(ch, i);

	return conn_transport(ch, i)->stop(&s);
}

#endif
