/*
 * The listeners are shared by all workers; who has clearly more connections
 * than the least loaded pauses. That spreads them evenly and leaves none
 * hanging at a worker that is dead.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/http.h"
#include "conn/begin.h"
#include "conn/conn.h"
#include "conn/watch.h"
#include "hub/stats.h"
#include "net/ready.h"
#include "net/transport.h"
#include "private.h"

enum {
	SLACK_MIN = 3, /* connections ahead of the least loaded */
	/* Or this part of its connections. Larger: more turns are taken for
	 * fewer connections each; smaller: workers have less even shares. */
	SLACK_SHARE = 8,
	DEAD_TICK_MS = 300, /* a worker that has not ticked for so long is not
			     * waited for */
	PAUSE_MS = 100,	    /* out of descriptors: look again after */
	RETRY_MS = 1000,    /* a listener cannot be watched: again after */
	LOOK_MAX_MS = 64,   /* paused: look at the others again after */
	ACCEPT_MAX = 64	    /* connections a turn and listener */
};

_Static_assert((int)ENDPOINTS_MAX <= (int)READY_LISTENERS,
    "listeners are numbered by their endpoints");

/* The other workers' life signs when they were last looked at. */
static struct {
	uint64_t tick, seen_ms;
} life[SHM_WORKERS];

/* Connections of the least loaded worker that accepts and lives. */
static uint32_t
accept_least(struct worker *w)
{
	struct hub *h = w->chat.hub;
	uint32_t min = w->chat.n_here, n;
	struct shm_worker *o;
	struct shm_line *line;
	uint64_t tick, left;
	int k;

	for (left = w->chat.others; left != 0; left &= left - 1) {
		k = __builtin_ctzll(left);
		o = &h->worker[k];
		line = &h->line[k];
		if (SHM_LOAD(line->state) != WORKER_RUNNING ||
		    !SHM_LOAD(o->accepting))
			continue;
		tick = SHM_LOAD(line->tick);
		if (tick != life[k].tick) {
			life[k].tick = tick;
			life[k].seen_ms = w->chat.now_ms;
		}
		if (w->chat.now_ms - life[k].seen_ms > DEAD_TICK_MS)
			continue;
		n = SHM_LOAD(o->connections);
		if (n < min)
			min = n;
	}
	return min;
}

/* How many more connections are this worker's turn. */
static uint32_t
accept_allowance(struct worker *w)
{
	uint32_t min = accept_least(w);
	uint32_t slack =
	    min / SLACK_SHARE > SLACK_MIN ? min / SLACK_SHARE : SLACK_MIN;

	return w->chat.n_here < min + slack ? min + slack - w->chat.n_here : 0;
}

/* Whether it takes new connections at all. */
static bool
accept_is_open(const struct worker *w)
{
	return w->started && !w->chat.leaving && !w->parting && !w->retiring;
}

bool
accept_is_able(const struct worker *w)
{
	return accept_is_open(w) && w->chat.now_ms >= w->paused_until &&
	    w->chat.n_conns < w->most;
}

/* Whether workers accept at an endpoint: not where others begin with its
 * connections, or answer them. */
static bool
accept_is_own(const struct endpoint *e)
{
	return transports[e->transport]->begin == NULL &&
	    e->purpose != ENDPOINT_REDIRECT;
}

/* Watches the listeners, or does not. */
static void
accept_listen_set(struct worker *w, bool on)
{
	struct ready *ready = watch_ready(&w->chat);
	int k;

	if (on == w->listening)
		return;
	w->listening = on;
	for (k = 0; k < w->start->endpoints->n; k++) {
		if (!accept_is_own(&w->start->endpoints->at[k]))
			continue;
		if (!on) {
			ready_unlisten(ready, k, w->start->endpoints->at[k].fd);
			continue;
		}
		if (ready_listen(ready, k, w->start->endpoints->at[k].fd) == 0)
			continue;
		log_error("listener: %s", strerror(errno));
		/* out of epoll's watches, say: all again a little later */
		accept_listen_set(w, false);
		w->paused_until = w->chat.now_ms + RETRY_MS;
		return;
	}
}

/* The number of the endpoint that listens there. */
static uint8_t
endpoint_at(const struct worker *w, int listener)
{
	uint8_t k = 0;

	while (w->start->endpoints->at[k].fd != listener)
		k++;
	return k;
}

/* Tells a connection that cannot be kept so, unasked. */
static void
accept_tell_busy(const struct endpoint *e, int fd)
{
	static const char busy[] = HTTP_BUSY;
	const struct transport_socket s = {.fd = fd, .conn = SHM_NONE};
	const struct transport *t = transports[e->transport];
	const struct framing *framing = framing_of(e->framing);
	uint8_t close_frame[FRAMING_CLOSE_MAX];
	size_t n;

	if (t->start != NULL)
		return; /* its client would understand nothing yet */
	if (framing->http) {
		(void)transport_send(t, &s, busy, sizeof(busy) - 1);
		return;
	}
	n = framing->close(close_frame, CLOSE_TRY_LATER, "server is busy");
	(void)transport_send(t, &s, close_frame, n);
}

/* Turns a connection away that cannot be kept. */
static void
accept_turn_away(struct worker *w, int listener, int fd)
{
	accept_tell_busy(
	    &w->start->endpoints->at[endpoint_at(w, listener)], fd);
	SHM_COUNT(w->chat.hub->me->refused, 1);
	close(fd);
}

/* Says who is turned away, and why. */
static void
accept_refusal_log(const struct sockaddr *peer, const char *why)
{
	struct slot s = {0};
	char name[64];

	slot_set_peer(&s, peer);
	log_warn("%s: refused: 503 %s", slot_peer_name(&s, name), why);
}

/* Turns a connection away with the reserve descriptor: without that it would
 * wait, and the listener would spin. */
static void
accept_shed(struct worker *w, int listener, int error)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	if (w->reserve >= 0)
		close(w->reserve);
	w->reserve = -1;
	fd = accept4(listener, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		accept_refusal_log((struct sockaddr *)&peer, strerror(error));
		accept_turn_away(w, listener, fd);
	} else
		log_warn("accept: %s", strerror(error));
	w->reserve = eventfd(0, EFD_CLOEXEC);
}

/* accept4() failed: nothing there, a connection gone, or out of something. */
static void
accept_failed(struct worker *w, int listener)
{
	const int error = errno;

	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
		return;
	default:
		break;
	}
	if (error == EMFILE || error == ENFILE)
		accept_shed(w, listener, error);
	else
		log_warn("accept: %s", strerror(error));
	w->paused_until = w->chat.now_ms + PAUSE_MS;
}

/* Takes a new connection; turns it away if there is no room for it. */
static bool
accept_one(struct worker *w, int listener, int fd, const struct sockaddr *peer)
{
	uint32_t i = SHM_NONE;

	if (w->chat.n_conns >= w->most)
		accept_refusal_log(peer, strerror(EMFILE));
	else if ((i = conn_accept(&w->chat, endpoint_at(w, listener), fd,
		      peer)) != SHM_NONE) {
		conn_start(&w->chat, i);
		return true;
	} else
		accept_refusal_log(
		    peer, "the server is full (key `connections`)");
	accept_turn_away(w, listener, fd);
	w->paused_until = w->chat.now_ms + PAUSE_MS;
	return false;
}

/* There may be new connections. */
static void
accept_cb(void *arg, int k)
{
	struct worker *w = arg;
	const int listener = w->start->endpoints->at[k].fd;
	uint32_t n = accept_allowance(w);
	struct sockaddr_storage peer;
	socklen_t len;
	int fd;

	chat_event(&w->chat);
	if (n > ACCEPT_MAX)
		n = ACCEPT_MAX;
	for (; n > 0; n--) {
		len = sizeof(peer);
		/* kept over an exec: it is in the family's table from now on
		 */
		fd = accept4(
		    listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK);
		KILL_POINT();
		if (fd < 0) {
			accept_failed(w, listener);
			break;
		}
		if (!accept_one(w, listener, fd, (struct sockaddr *)&peer))
			break;
	}
	accept_balance(w);
}

void
accept_init(struct worker *w)
{
	struct ready *ready = watch_ready(&w->chat);
	int k;

	w->reserve = eventfd(0, EFD_CLOEXEC);
	w->chat.endpoints = w->start->endpoints;
	ready_set_listeners(ready, accept_cb, w);
	for (k = 0; k < w->start->endpoints->n; k++)
		ready_unlisten(ready, k, w->start->endpoints->at[k].fd);
}

void
accept_tick(struct worker *w)
{
	ready_look_listeners(watch_ready(&w->chat));
}

int
accept_turn(struct worker *w)
{
	bool changed = w->chat.n_here != w->balanced;

	/* a worker that listens with as many as before need not look at others
	 */
	if (!w->listening || changed)
		accept_balance(w);
	if (w->listening || !accept_is_open(w))
		return -1;
	/* no message tells when the others have caught up, so this worker
	 * looks: soon in a burst, then more and more seldom */
	if (changed)
		w->look_ms = 1;
	else if (w->look_ms < LOOK_MAX_MS)
		w->look_ms *= 2;
	return (int)w->look_ms;
}

void
accept_balance(struct worker *w)
{
	bool able = accept_is_open(w) && w->chat.now_ms >= w->paused_until;

	w->balanced = w->chat.n_here;
	SHM_STORE(w->chat.hub->me->accepting, able);
	accept_listen_set(w, able && accept_allowance(w) > 0);
}

void
accept_stop(struct worker *w)
{
	int k;

	w->chat.leaving = true;
	conn_part(&w->chat);
	accept_balance(w);
	for (k = 0; k < w->start->endpoints->n; k++)
		close(w->start->endpoints->at[k].fd);
}
