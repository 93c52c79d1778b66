/* socket: what a connection does with its socket, over its transport. Layer 3.
 * As recv(2), send(2) and so on: -1 and errno; nothing waits. */
#ifndef CHATD_CONN_SOCKET_H
#define CHATD_CONN_SOCKET_H

#include <string.h>

#include "conn/chat.h"
#include "net/transport.h"

static inline const struct transport *
conn_transport(const struct chat *ch, uint32_t i)
{
	return transports[ch->conn[i].transport];
}

/* Where the state of its transport lies: of one without a slot, which ends
 * with its answer, in private memory. */
static inline void *
conn_wire(const struct chat *ch, uint32_t i)
{
	return conn_has_slot(ch, i)
	    ? ch->hub->wire + (size_t)i * SHM_WIRE
	    : ch->spare_wire + (size_t)(i - ch->hub->n_slots) * SHM_WIRE;
}

/* Zeroes what a transport keeps of a connection: keys, perhaps. The number may
 * come from shared memory. */
static inline void
conn_wire_clear(const struct chat *ch, uint32_t i, uint8_t transport)
{
	const struct transport *t = transport_of(transport);

	if (t != NULL)
		memset(conn_wire(ch, i), 0, t->state_bytes);
}

static inline struct transport_socket
conn_socket(const struct chat *ch, uint32_t i)
{
	return (struct transport_socket){.fd = ch->conn[i].fd,
	    .conn = i,
	    .at = output_written(&ch->conn[i].out),
	    .state = conn_wire(ch, i)};
}

static inline ssize_t
conn_recv(const struct chat *ch, uint32_t i, void *out, size_t len)
{
	const struct transport_socket s = conn_socket(ch, i);

	return conn_transport(ch, i)->recv(&s, out, len);
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
