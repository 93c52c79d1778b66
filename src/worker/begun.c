/*
 * begun: connections with which another process has begun, for a transport that
 * begins with something workers do not do. Their descriptors come over a link;
 * who gave one keeps it until it is told that all of it lies where a
 * takeover finds it, and gives it once more if the worker dies before.
 */
#include <errno.h>
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
 * not say so. */
static bool
begun_is_here(struct chat *ch, int fd)
{
	const uint64_t cookie = begun_cookie(fd);
	uint32_t i = SHM_NONE;

	while (cookie != 0 && conn_next(ch, &i))
		if (begun_cookie(ch->conn[i].fd) == cookie)
			return true;
	return false;
}

/* Takes it; false: it cannot go on here. *over: nor anywhere else, or it goes
 * on already. */
static bool
begun_take(struct worker *w, const struct message_begun *m, const void *birth,
    size_t len, int fd, bool *over)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	uint32_t i;

	*over = m->again != 0 && begun_is_here(&w->chat, fd);
	if (*over || !accept_is_able(w))
		return false;
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) == -1) {
		*over = true; /* it is gone */
		return false;
	}
	i = conn_accept_begun(&w->chat, (uint8_t)m->endpoint, fd,
	    (struct sockaddr *)&peer, birth, len);
	if (i != SHM_NONE) {
		conn_start(&w->chat, i);
		return true;
	}
	*over = errno != EBUSY;
	if (*over && m->again == 0)
		log_warn("a connection that was handed over cannot go on: %s",
		    strerror(errno));
	return false;
}

/* One that has come: see struct chat. */
static const char *
begun_cb(struct chat *ch, int peer, const void *payload, size_t len, int fd)
{
	struct worker *w = self;
	struct message_begun m;
	bool taken, over = false;

	memcpy(&m, payload, sizeof(m));
	if (fd == -1) {
		begun_tell(w, peer, m.number, false);
		return NULL;
	}
	if (m.number == 0 || m.endpoint >= (uint32_t)w->start->endpoints->n ||
	    transports[w->start->endpoints->at[m.endpoint].transport]->begin ==
		NULL) {
		close(fd);
		return "no connection can have begun there";
	}
	taken = begun_take(w, &m, (const char *)payload + sizeof(m),
	    len - sizeof(m), fd, &over);
	KILL_POINT();
	if (!taken)
		close(fd);
	begun_tell(w, peer, m.number, taken || over);
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
