/*
 * Leaving on purpose. Who retires leaves its connections where they are: the
 * turn is over, so all that was promised stands in shared memory, and the
 * sockets are in the table that it shares with its keepers. Only where there
 * are none it stays, and gives the sockets itself. Who drains stays, and ends
 * its connections one by one.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/conn.h"
#include "conn/hold.h"
#include "codec/message.h"
#include "net/custody.h"
#include "net/link.h"
#include "net/peer.h"
#include "private.h"

enum {
	/* Requests that are half there and answers that are half out are known
	 * to this process alone. They may take so long. Of a client that has
	 * said nothing the next worker reads the request. Larger: a replacement
	 * takes longer when clients send slowly; smaller: more of them have to
	 * connect again. */
	HANDSHAKES_MS = 1000,
	/* And requests that wait for another process (conn/hold.h) so much
	 * longer: until they are answered, however that goes. */
	HELD_MS = HOLD_RESULT_MS + HOLD_ROWS_MS,
	HOLD_RETRY_MS = 1 /* the link is full: again after */
};

enum { CREDIT = 1000 * 1000 }; /* 1000 s in ms: for one connection */

void
leave_part(struct worker *w, bool on)
{
	w->parting = on;
	KILL_POINT();
	if (on)
		conn_part(&w->chat);
	else
		w->chat.parting =
		    w->retiring || w->chat.leaving || w->chat.draining;
	accept_balance(w);
}

void
leave_retire(struct worker *w, bool hold)
{
	w->retiring = true;
	w->holds = hold;
	KILL_POINT();
	/* others have retired already, if requests were waited for before */
	w->retire_ms = w->chat.now_ms + (w->parting ? 0 : HANDSHAKES_MS);
	conn_part(&w->chat);
	accept_balance(w);
}

/* Whether a connection is one of which this process knows what a takeover does
 * not. */
static bool
leave_is_unfinished(const struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];

	return c->phase == CONN_START || c->phase == CONN_ANSWER ||
	    (c->phase == CONN_REQUEST &&
		(c->again || c->request.len > 0 || c->request.has_body));
}

/* Whether it is a request that waits for another process, or has just got what
 * it waited for. */
static bool
leave_is_held(const struct chat *ch, uint32_t i)
{
	return ch->conn[i].phase == CONN_REQUEST && ch->conn[i].waits;
}

/* Whether there is any such; those without a slot are served by no other
 * worker. */
static bool
leave_has(struct chat *ch, bool (*such)(const struct chat *ch, uint32_t i))
{
	uint32_t i = SHM_NONE;

	while (conn_next(ch, &i))
		if (such(ch, i))
			return true;
	for (i = ch->hub->n_slots; i < ch->hub->n_slots + CHAT_SPARE; i++)
		if (such(ch, i))
			return true;
	return false;
}

void
leave_forget(struct worker *w)
{
	struct chat *ch = &w->chat;
	uint32_t i = SHM_NONE;

	while (conn_next(ch, &i))
		if (leave_is_unfinished(ch, i) ||
		    (!w->retiring && ch->conn[i].phase == CONN_REQUEST))
			conn_drop(ch, i, NULL);
	for (i = ch->hub->n_slots; i < ch->hub->n_slots + CHAT_SPARE; i++)
		if (ch->conn[i].phase != CONN_NONE)
			conn_drop(ch, i, NULL);
}

bool
leave_may_retire(struct worker *w)
{
	struct chat *ch = &w->chat;

	/* connections given away, or on their way here, arrive first */
	if (!worker_is_settled(w))
		return false;
	return ch->now_ms >= w->retire_ms
	    ? ch->now_ms >= w->retire_ms + HELD_MS ||
		!leave_has(ch, leave_is_held)
	    : !leave_has(ch, leave_is_unfinished);
}

/* What a worker that has retired without keepers holds. The slots are the next
 * worker's, so nothing of it is read there. */
struct held {
	struct held_socket {
		uint64_t id;
		int fd;
	} * socket;
	struct custody_giver giver;
	int link; /* to the worker that goes on; -1: none */
};

/* Notes the sockets. */
static void
held_collect(struct held *held, struct chat *ch)
{
	uint32_t i = SHM_NONE, n = 0;

	held->socket = calloc(ch->n_conns + 1ul, sizeof(*held->socket));
	if (held->socket == NULL)
		log_fatal("no memory to hand over connections");
	while (conn_next(ch, &i))
		if (n < ch->n_conns)
			held->socket[n++] = (struct held_socket){
			    slot_id(ch->hub, i), ch->conn[i].fd};
	held->giver = (struct custody_giver){.next = n + 1, .n = n};
	held->link = -1;
}

/* For custody_serve(). */
static bool
held_at(void *arg, uint32_t i, uint64_t *id, int *fd)
{
	const struct held *held = arg;

	*id = held->socket[i].id;
	*fd = held->socket[i].fd;
	return true;
}

/* Takes up the master's word; its end, or anything but MSG_GIVE_BACK, is the
 * end. */
static void
held_control(struct held *held, int control)
{
	struct link_datagram d[LINK_BATCH];
	int n = link_receive(control, d), k, type;
	const void *payload;
	const char *why;
	size_t len;

	if (n < 0)
		exit(0);
	for (k = 0; k < n; k++) {
		type = message_check(d[k].bytes, d[k].len, d[k].n_fds,
		    PARTY_MASTER, &payload, &len, &why);
		if (type == MSG_STOP)
			exit(0);
		if (type != MSG_GIVE_BACK) {
			if (d[k].fd >= 0)
				close(d[k].fd);
			continue;
		}
		if (held->link >= 0)
			close(held->link);
		held->link = d[k].fd;
		held->giver.next = 0;
		held->giver.room = 0;
		KILL_POINT();
	}
}

void
leave_hold(struct worker *w)
{
	const int control = w->start->control;
	struct held held;
	struct pollfd p[2];
	bool full = false;
	int k;

	held_collect(&held, &w->chat);
	KILL_POINT();
	peers_leave(w->chat.peers);
	if (!w->chat.leaving)
		for (k = 0; k < w->start->endpoints->n; k++)
			close(w->start->endpoints->at[k].fd);
	KILL_POINT();
	p[0] = (struct pollfd){control, POLLOUT, 0};
	while (link_send(control, MSG_RETIRED, NULL, 0, -1) < 0)
		if (errno != EAGAIN || poll(p, 1, -1) < 0)
			exit(0);
	KILL_POINT();
	for (;;) {
		p[0] = (struct pollfd){control, POLLIN, 0};
		p[1] = (struct pollfd){held.link, POLLIN, 0};
		if (poll(p, 2, full ? HOLD_RETRY_MS : -1) < 0 && errno != EINTR)
			exit(0);
		if (p[0].revents)
			held_control(&held, control);
		full = custody_serve(&held.giver, &held.link, held_at, &held);
	}
}

void
leave_drain(struct worker *w, uint32_t rate)
{
	if (w->drain_rate == 0) {
		w->drained_ms = w->chat.now_ms;
		w->drain_credit = 0;
		w->drain_at = SHM_NONE;
	}
	w->drain_rate = rate;
	w->chat.draining = rate != 0;
	if (rate != 0)
		conn_part(&w->chat);
	else
		w->chat.parting = w->retiring || w->parting || w->chat.leaving;
}

/* The next open connection to end; false: there is none left. */
static bool
leave_drain_next(struct worker *w)
{
	struct chat *ch = &w->chat;
	bool wrapped = w->drain_at == SHM_NONE;

	for (;;) {
		if (!conn_next(ch, &w->drain_at)) {
			w->drain_at = SHM_NONE;
			if (wrapped)
				return false;
			wrapped = true;
		} else if (ch->conn[w->drain_at].phase == CONN_OPEN &&
		    !ch->conn[w->drain_at].drains)
			return true;
	}
}

void
leave_drain_tick(struct worker *w)
{
	if (w->drain_rate == 0)
		return;
	w->drain_credit += (w->chat.now_ms - w->drained_ms) * w->drain_rate;
	w->drained_ms = w->chat.now_ms;
	for (; w->drain_credit >= CREDIT && !chat_is_late(&w->chat);
	     w->drain_credit -= CREDIT)
		if (!leave_drain_next(w)) {
			w->drain_credit = 0;
			break;
		} else
			conn_drain(&w->chat, w->drain_at);
}
