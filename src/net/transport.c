#include "net/transport.h"

#include <string.h>
#include <sys/socket.h>

#include "tcp.h"

/* A connection's number of these stands in its slot, so a row keeps its place.
 */
const struct transport *const transports[TRANSPORTS_MAX] = {
    [TRANSPORT_USUAL] = &tcp_transport,
#ifdef CHATD_MORE_TRANSPORTS /* a test's build has further ones */
    CHATD_MORE_TRANSPORTS
#endif
};

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
