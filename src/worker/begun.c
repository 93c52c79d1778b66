/*
 * begun: connections with which another process has begun, for a transport that
 * begins with something workers do not do. Their descriptors come over a link;
 * who gave one keeps it until it is told that all of it lies where a
 * takeover finds it, and gives it once more if the worker dies before.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "conn/begin.h"
#include "conn/conn.h"
#include "hub/stats.h"
#include "net/peer.h"
#include "net/transport.h"
#include "private.h"
#include "worker/chat.h"

enum {
	/* Connections on their way here from one process. More: who has them
	 * when it dies loses more; fewer: it waits for answers more often. */
	ROOM_MAX = 64,
	/* Larger: who gives sees later which worker has fewer connections;
	 * smaller: more messages. */
	TELL_MS = 100
};

static struct worker *self;

/* How many more may come now. */
static uint32_t
begun_room(const struct worker *w)
{
	uint32_t left;

	if (!accept_is_able(w))
		return 0;
	left = w->most - w->chat.n_conns;
	return left < ROOM_MAX ? left : ROOM_MAX;
}

/* Tells a process how one was taken; number 0: how many may come. */
static void
begun_tell(struct worker *w, int peer, uint64_t number, bool taken)
{
	const struct message_room room = {.number = number,
	    .taken = taken,
	    .connections = w->chat.n_here,
	    .room = begun_room(w)};

	/* one that is not told gives up what it keeps after a while */
	(void)peers_message(
	    w->chat.peers, peer, MSG_ROOM, &room, sizeof(room), -1);
}

/* What the kernel calls a socket, whatever descriptors it has; 0: nothing. */
static uint64_t
begun_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == -1)
		return 0;
	return cookie;
}

/* Whether a connection has that socket: the predecessor had taken it, and could
 * not say so. One to which something was written needs not be looked at: the
 * kernel's counts say that it has begun. */
static bool
begun_is_here(struct chat *ch, int fd)
{
	const uint64_t cookie = begun_cookie(fd);
	uint32_t i = SHM_NONE;

	while (cookie != 0 && conn_next(ch, &i))
		if (output_written(&ch->conn[i].out) == 0 &&
		    begun_cookie(ch->conn[i].fd) == cookie)
			return true;
	return false;
}

/* Finds the client's address. -1: it is gone. */
static int
begun_peer(const struct message_begun *m, int fd, struct sockaddr_storage *peer)
{
	struct sockaddr_in *in = (void *)peer;
	struct sockaddr_in6 *in6 = (void *)peer;
	socklen_t len = sizeof(*peer);
	struct in6_addr a;

	if (getpeername(fd, (struct sockaddr *)peer, &len) == -1)
		return -1;
	if (m->port == 0)
		return 0;
	memcpy(&a, m->address, sizeof(a));
	if (IN6_IS_ADDR_V4MAPPED(&a)) {
		*in = (struct sockaddr_in){
		    .sin_family = AF_INET, .sin_port = htons(m->port)};
		memcpy(&in->sin_addr, m->address + 12, 4);
	} else
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		    .sin6_port = htons(m->port),
		    .sin6_addr = a};
	return 0;
}

/* Takes it: the connection's number, or SHM_NONE: it cannot go on here. *over:
 * nor anywhere else, or it goes on already. */
static uint32_t
begun_take(struct worker *w, const struct message_begun *m, const void *birth,
    size_t len, int fd, bool *over)
{
	struct sockaddr_storage peer;
	uint32_t i;

	*over = m->again != 0 && begun_is_here(&w->chat, fd);
	if (*over || !accept_is_able(w))
		return SHM_NONE;
	*over = begun_peer(m, fd, &peer) == -1;
	if (*over)
		return SHM_NONE;
	i = conn_accept_begun(&w->chat, (uint8_t)m->endpoint, fd,
	    (struct sockaddr *)&peer, birth, len);
	if (i != SHM_NONE)
		return i;
	*over = errno != EBUSY;
	if (errno == ECONNRESET) /* clients could fill the log */
		log_debug("a connection that was handed over was reset");
	else if (*over && m->again == 0)
		log_warn("a connection that was handed over cannot go on: %s",
		    strerror(errno));
	return SHM_NONE;
}

/* Overwrites what a message says of a connection, keys among it. */
static void
begun_forget(const void *payload, size_t len)
{
	explicit_bzero((char *)payload + sizeof(struct message_begun),
	    len - sizeof(struct message_begun));
}

/* One that has come: see struct chat. */
static const char *
begun_cb(struct chat *ch, int peer, const void *payload, size_t len, int fd)
{
	struct worker *w = self;
	struct message_begun m;
	bool over = false;
	uint32_t i;

	memcpy(&m, payload, sizeof(m));
	if (fd == -1) {
		begun_forget(payload, len);
		begun_tell(w, peer, m.number, false);
		return NULL;
	}
	if (m.number == 0 || m.endpoint >= (uint32_t)w->start->endpoints->n ||
	    transports[w->start->endpoints->at[m.endpoint].transport]->begin ==
		NULL) {
		begun_forget(payload, len);
		close(fd);
		return "no connection can have begun there";
	}
	i = begun_take(w, &m, (const char *)payload + sizeof(m),
	    len - sizeof(m), fd, &over);
	begun_forget(payload, len);
	KILL_POINT();
	if (i == SHM_NONE)
		close(fd);
	/* Before it can be open, and go on at another worker: who gave it would
	 * give it to this one's successor, and two would go on with it. */
	begun_tell(w, peer, m.number, i != SHM_NONE || over);
	KILL_POINT();
	if (i != SHM_NONE)
		conn_start(&w->chat, i);
	return NULL;
}

void
begun_init(struct worker *w)
{
	self = w;
	w->chat.begun = begun_cb;
}

void
begun_linked(struct chat *ch, int peer, bool begins)
{
	uint64_t bit;

	if (peer < SHM_WORKERS || peer >= SHM_LINES)
		return;
	bit = 1ull << (peer - SHM_WORKERS);
	ch->beginners = begins ? ch->beginners | bit : ch->beginners & ~bit;
	if (begins)
		begun_tell(self, peer, 0, false);
}

void
begun_turn(struct worker *w)
{
	const uint32_t room = begun_room(w);
	uint64_t left = w->chat.beginners;

	if (left == 0 ||
	    ((room == 0) == (w->told_room == 0) &&
		(w->chat.n_here == w->told_connections ||
		    w->chat.now_ms < w->told_ms + TELL_MS)))
		return;
	w->told_room = room;
	w->told_connections = w->chat.n_here;
	w->told_ms = w->chat.now_ms;
	for (; left != 0; left &= left - 1)
		begun_tell(w, SHM_WORKERS + __builtin_ctzll(left), 0, false);
}

void
begun_leave(struct worker *w)
{
	for (uint64_t left = w->chat.beginners; left != 0; left &= left - 1)
		peers_drain(w->chat.peers, SHM_WORKERS + __builtin_ctzll(left));
}
