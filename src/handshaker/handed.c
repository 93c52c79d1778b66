#include "handed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shared.h"
#include "codec/message.h"
#include "net/counters.h"
#include "net/link.h"

enum {
	/* Workers that refuse a connection one after the other. Larger: one
	 * that no worker can take is passed around for longer. */
	REFUSALS_MAX = 3,
	/* That are believed to be on their way to one worker at most. Larger:
	 * a worker that takes them and does not answer holds more of them for
	 * HANDED_MS. */
	ROOM_MAX = 256,
	/* Batches of answers that a dead worker can have left. */
	DRAIN_MAX = 256,
	NO_WORKER = -1
};

struct handed_one {
	struct handed_one *next;
	uint64_t number;
	uint64_t deadline_ms;
	int fd;
	int worker; /* NO_WORKER: waits for one */
	bool sent;
	bool again; /* a process that is dead may have taken it */
	unsigned refusals;
	uint32_t endpoint;
	uint16_t port; /* of its client, see struct message_begun */
	uint8_t address[16];
	struct tls_birth birth;
};

void
handed_init(struct handed *h)
{
	*h = (struct handed){.end = &h->first};
	for (int k = 0; k < SHM_WORKERS; k++)
		h->worker[k].link = -1;
}

/* How many more a worker has room for. */
static uint32_t
handed_room_of(const struct handed_worker *w)
{
	return w->link != -1 && w->room > w->on_way ? w->room - w->on_way : 0;
}

uint32_t
handed_room(const struct handed *h)
{
	uint64_t room = 0;

	for (int k = 0; k < SHM_WORKERS; k++)
		room += handed_room_of(&h->worker[k]);
	return room > h->n_waiting ? (uint32_t)(room - h->n_waiting) : 0;
}

/* The worker that has room and the fewest connections, with those on their way;
 * NO_WORKER: none has room. */
static int
handed_choose(const struct handed *h)
{
	const struct handed_worker *w;
	uint64_t n, least = UINT64_MAX;
	int best = NO_WORKER;

	for (int k = 0; k < SHM_WORKERS; k++) {
		w = &h->worker[k];
		n = (uint64_t)w->connections + w->on_way;
		if (handed_room_of(w) > 0 && n < least) {
			least = n;
			best = k;
		}
	}
	return best;
}

/* Sends it to its worker, unless it was sent; a full link is tried again by
 * handed_time(), and one that has ended has a successor. A worker that reads
 * no more, since it leaves, has no room. */
static void
handed_send(struct handed *h, struct handed_one *o)
{
	struct {
		struct message_begun begun;
		struct tls_birth birth;
	} m = {{.number = o->number,
		   .endpoint = o->endpoint,
		   .again = o->again,
		   .port = o->port},
	    o->birth};
	struct handed_worker *w = &h->worker[o->worker];

	_Static_assert(sizeof(m) ==
		    sizeof(struct message_begun) + sizeof(struct tls_birth) &&
		sizeof(struct tls_birth) <= BEGUN_MAX,
	    "the birth follows the message");
	memcpy(m.begun.address, o->address, sizeof(o->address));
	if (!o->sent && w->link != -1) {
		o->sent =
		    link_send(w->link, MSG_BEGUN, &m, sizeof(m), o->fd) == 0;
		if (!o->sent && errno == EPIPE)
			w->room = 0;
	}
	KILL_POINT();
	explicit_bzero(&m, sizeof(m));
}

/* Takes it away from its worker. */
static void
handed_leave(struct handed *h, struct handed_one *o)
{
	if (o->worker == NO_WORKER)
		return;
	h->worker[o->worker].on_way--;
	h->n_waiting++;
	o->worker = NO_WORKER;
	o->sent = o->again = false;
}

/* Gives it to a worker that has room, if there is one. */
static void
handed_place(struct handed *h, struct handed_one *o)
{
	int k;

	while (o->worker == NO_WORKER && (k = handed_choose(h)) != NO_WORKER) {
		o->worker = k;
		h->worker[k].on_way++;
		h->n_waiting--;
		handed_send(h, o);
		if (!o->sent && h->worker[k].room == 0)
			handed_leave(h, o);
	}
}

/* Gives those that wait to workers that have room. */
static void
handed_place_all(struct handed *h)
{
	struct handed_one *o = h->first;

	for (; o != NULL && h->n_waiting > 0; o = o->next)
		if (o->worker == NO_WORKER)
			handed_place(h, o);
}

/* Forgets the one that *at names, and its secrets; the connection goes on if
 * another process has it. */
static void
handed_forget(struct handed *h, struct handed_one **at)
{
	struct handed_one *o = *at;

	handed_leave(h, o);
	h->n_waiting--;
	h->n--;
	*at = o->next;
	if (h->end == &o->next)
		h->end = at;
	close(o->fd);
	KILL_POINT();
	explicit_bzero(o, sizeof(*o));
	free(o);
}

int
handed_give(struct handed *h, const struct handed_what *what, uint64_t now_ms)
{
	struct handed_one *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		close(what->fd);
		h->n_closed++;
		return -1;
	}
	*o = (struct handed_one){.number = ++h->number,
	    .deadline_ms = now_ms + HANDED_MS,
	    .fd = what->fd,
	    .worker = NO_WORKER,
	    .endpoint = what->endpoint,
	    .port = what->port,
	    .birth = *what->birth};
	memcpy(o->address, what->address, sizeof(o->address));
	o->birth.read = what->read;
	o->birth.written = what->written;
	*h->end = o;
	h->end = &o->next;
	h->n++;
	h->n_waiting++;
	KILL_POINT();
	handed_place(h, o);
	return 0;
}

void
handed_unlink(struct handed *h, int worker)
{
	struct handed_worker *w = &h->worker[worker];

	if (w->link != -1)
		close(w->link);
	w->link = -1;
	w->room = 0;
}

/* Whether nothing was read of it, nor written to it, since it was handed over:
 * else another worker would seal other records with the same numbers. */
static bool
handed_is_fresh(const struct handed_one *o)
{
	struct counters k;

	return counters_read(o->fd, true, &k) == 0 && !k.closed &&
	    !k.fin_sent && k.read == o->birth.read &&
	    k.written == o->birth.written;
}

/* A worker does not take it. */
static void
handed_refused(struct handed *h, struct handed_one **at)
{
	struct handed_one *o = *at;

	if (++o->refusals < REFUSALS_MAX && handed_is_fresh(o)) {
		handed_leave(h, o);
		return;
	}
	h->n_closed++;
	handed_forget(h, at);
}

/* What a worker has said of one. Returns NULL, or what is wrong with it. */
static const char *
handed_answer(struct handed *h, int worker, const struct message_room *m)
{
	struct handed_one **at = &h->first;

	/* the oldest ones are answered first */
	while (*at != NULL && (*at)->number != m->number)
		at = &(*at)->next;
	if (*at == NULL)
		return NULL; /* it was kept for too long */
	if ((*at)->worker != worker || !(*at)->sent)
		return "it was not given that connection";
	if (m->taken == 0) {
		handed_refused(h, at);
		return NULL;
	}
	h->n_taken++;
	handed_forget(h, at);
	return NULL;
}

/* One datagram of a worker's. Returns NULL, or what is wrong with it. */
static const char *
handed_hear(struct handed *h, int worker, const struct link_datagram *d)
{
	struct handed_worker *w = &h->worker[worker];
	struct message_room m;
	const void *payload;
	const char *why;
	size_t len;

	if (message_check(d->bytes, d->len, d->n_fds, PARTY_TAKER, &payload,
		&len, &why) == -1)
		return why;
	memcpy(&m, payload, sizeof(m)); /* MSG_ROOM: there is no other */
	KILL_POINT();
	w->room = m.room < ROOM_MAX ? m.room : ROOM_MAX;
	w->connections = m.connections;
	return m.number != 0 ? handed_answer(h, worker, &m) : NULL;
}

/* What a worker has still said before its link is given up: of a connection
 * that it has taken its successor needs not be asked. */
static void
handed_drain(struct handed *h, int worker)
{
	struct link_datagram d[LINK_BATCH];
	int n = 1;

	for (int i = 0; i < DRAIN_MAX && n > 0; i++) {
		n = link_receive(h->worker[worker].link, d);
		for (int k = 0; k < n; k++) {
			if (d[k].fd != -1)
				close(d[k].fd);
			(void)handed_hear(h, worker, &d[k]);
		}
	}
}

void
handed_link(struct handed *h, int worker, int fd)
{
	struct handed_worker *w = &h->worker[worker];
	struct handed_one *o;
	uint32_t on_way;

	if (w->link != -1)
		handed_drain(h, worker);
	handed_unlink(h, worker);
	on_way = w->on_way;
	*w = (struct handed_worker){.link = fd, .on_way = on_way};
	for (o = h->first; o != NULL; o = o->next) {
		if (o->worker != worker)
			continue;
		o->again = o->again || o->sent;
		o->sent = false;
		if (o->again)
			handed_send(h, o);
		else
			handed_leave(h, o); /* no process has had it */
	}
	handed_place_all(h);
}

/* Counts a bad message; false: there were too many. */
static bool
handed_bear(
    struct handed_worker *w, int worker, const char *why, uint64_t now_ms)
{
	log_warn("worker %d: %s", worker, why);
	if (now_ms >= w->bad_ms + MESSAGE_BAD_MS) {
		w->bad_ms = now_ms;
		w->n_bad = 0;
	}
	return ++w->n_bad < MESSAGE_BAD_MAX;
}

bool
handed_read(struct handed *h, int worker, uint64_t now_ms)
{
	struct handed_worker *w = &h->worker[worker];
	struct link_datagram d[LINK_BATCH];
	const char *why;
	bool good = true;
	int n;

	if (w->link == -1)
		return false;
	if ((n = link_receive(w->link, d)) == -1)
		return false;
	for (int k = 0; k < n; k++) {
		if (d[k].fd != -1)
			close(d[k].fd);
		if (good && (why = handed_hear(h, worker, &d[k])) != NULL)
			good = handed_bear(w, worker, why, now_ms);
	}
	handed_place_all(h);
	return good;
}

void
handed_time(struct handed *h, uint64_t now_ms)
{
	struct handed_one **at = &h->first, *o;

	while ((o = *at) != NULL) {
		if (now_ms >= o->deadline_ms) {
			log_warn("a connection was closed: no worker took it "
				 "in %d s",
			    HANDED_MS / 1000);
			h->n_closed++;
			handed_forget(h, at);
			continue;
		}
		if (o->worker != NO_WORKER && h->worker[o->worker].room == 0 &&
		    !o->sent && !o->again)
			handed_leave(h, o); /* no process has had it */
		if (o->worker != NO_WORKER)
			handed_send(h, o);
		at = &o->next;
	}
	handed_place_all(h);
}

void
handed_deinit(struct handed *h)
{
	while (h->first != NULL)
		handed_forget(h, &h->first);
	for (int k = 0; k < SHM_WORKERS; k++)
		handed_unlink(h, k);
}
