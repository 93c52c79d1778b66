/* tcp: bytes as the kernel has them, as a transport. Private to src/net. */
#ifndef CHATD_SRC_NET_TCP_H
#define CHATD_SRC_NET_TCP_H

#include "net/transport.h"

extern const struct transport tcp_transport;

#endif
