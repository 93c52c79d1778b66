/* conn: one client connection from accept to close. Layer 3. */
#ifndef CHATD_CONN_CONN_H
#define CHATD_CONN_CONN_H

#include "conn/answer.h"
#include "conn/append.h"
#include "conn/chat.h"
#include "conn/closing.h"
#include "conn/drop.h"
#include "conn/end.h"
#include "conn/hold.h"
#include "conn/io.h"
#include "conn/memory.h"
#include "conn/number.h"
#include "conn/peer.h"
#include "conn/reader.h"
#include "conn/recipient.h"
#include "conn/serve.h"
#include "conn/sweep.h"
#include "conn/turn.h"
#include "conn/wait.h"
#include "conn/watch.h"
#include "conn/write.h"
#include "net/endpoint.h"

/* The door, framing and transport of a connection. */
struct conn_stations {
	uint8_t transport, door, dialect;
};

/* Reads them from a slot that another process wrote; false: corrupted. */
bool
conn_stations_of(const struct chat *ch, uint32_t i, struct conn_stations *out);

/* What a connection in CONN_REQUEST came through. */
static inline const struct endpoint *
conn_endpoint(const struct chat *ch, uint32_t i)
{
	return &ch->endpoints->at[ch->conn[i].endpoint];
}

/* Makes what connections have in this process, once the hub is known; returns
 * 0, or -1 and errno. */
int conn_init(struct chat *ch);

/*
 * Takes up a socket that an endpoint has accepted: in CONN_REQUEST, or in
 * CONN_START if its transport begins with something of its own. Owns fd from
 * then on. Returns its number, or SHM_NONE (fd is untouched) when not even a
 * spare connection is left. To be followed by conn_start().
 */
uint32_t conn_accept(
    struct chat *ch, uint8_t endpoint, int fd, const struct sockaddr *peer);

/*
 * conn_accept() of a connection with which another process has begun, at an
 * endpoint whose transport has `begin`. SHM_NONE and errno: EBUSY: there is no
 * connection left; as of begin(). fd is untouched then, but for its flags.
 */
uint32_t conn_accept_begun(struct chat *ch, uint8_t endpoint, int fd,
    const struct sockaddr *peer, const void *birth, size_t len);

/* conn_accept() of the socket of a slot that a dead worker had accepted:
 * nothing of it was read or written. False: it cannot be watched. */
bool
conn_accept_again(struct chat *ch, uint32_t conn, uint8_t endpoint, int fd);

/*
 * Opens it at a door: `answer`, a 101 or a greeting, perhaps of no byte, is its
 * first output.
 * `used` bytes of input were the request. user_len 0: it has no user, or not
 * yet. Returns 0, or -1 when a table is full (it is still in CONN_REQUEST
 * then).
 */
int conn_open(struct chat *ch, uint32_t i, const struct door *door,
    const char *user, size_t user_len, const char *device, size_t device_len,
    const void *answer, size_t answer_len, uint64_t used);

#endif
