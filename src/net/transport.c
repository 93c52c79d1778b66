#include "net/transport.h"

#include <string.h>
#include <sys/socket.h>

/* A test build adds rows: -DCHATD_TRANSPORTS_MORE='ROW(name)'. */
#ifndef CHATD_TRANSPORTS_MORE
#define CHATD_TRANSPORTS_MORE
#endif

/* By number, from TRANSPORT_USUAL on: that of a connection stands in its slot,
 * so a row keeps its place. */
#define TRANSPORTS ROW(tcp) CHATD_TRANSPORTS_MORE

#define ROW(name) extern const struct transport name##_transport;
TRANSPORTS
#undef ROW

#define ROW(name) &name##_transport,
const struct transport *const transports[TRANSPORTS_MAX] = {NULL, TRANSPORTS};
#undef ROW

void
transport_abandon(int fd)
{
	shutdown(fd, SHUT_WR);
}

uint8_t
transport_find(const char *name)
{
	for (uint8_t k = 1; k < TRANSPORTS_MAX; k++)
		if (transports[k] != NULL &&
		    strcmp(transports[k]->name, name) == 0)
			return k;
	return 0;
}
