#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/turn.h"
#include "room/relay.h"
#include "codec/message.h"
#include "hub/stats.h"
#include "net/link.h"

enum {
	STASH_BYTES = 256 * 1024, /* what a turn keeps of relays; more is
				   * read from the journal */
	STASH_FIND = 1024	  /* places to find them again */
};

struct peer {
	struct relay *relay;
	int fd; /* -1: no link */
	struct event ev;
	uint8_t *out;	/* the datagram being filled, MESSAGE_MAX bytes */
	size_t out_len; /* 0: empty */
#ifdef CHATD_KILL_POINTS
	uint8_t *held; /* a datagram that comes too late */
	size_t held_len;
#endif
	uint32_t out_n; /* publications in it */
	uint32_t generation;
	uint32_t n_bad; /* messages since bad_ms */
	uint64_t bad_ms;
};

struct relay {
	struct chat *ch;
	struct peer peer[SHM_WORKERS];
	uint64_t waiting; /* peers with a datagram to send */
	uint64_t lost;	  /* peers whose link is no more: not told yet */
	uint8_t *stash;
	size_t stash_len;
	uint32_t n_found;
	struct {
		uint64_t position;
		uint32_t at, len;
	} found[STASH_FIND];
};

int
relay_init(struct chat *ch)
{
	struct relay *r = calloc(1, sizeof(*r));
	int k;

	if (r == NULL || (r->stash = malloc(STASH_BYTES)) == NULL) {
		free(r);
		errno = ENOMEM;
		return -1;
	}
	r->ch = ch;
	for (k = 0; k < SHM_WORKERS; k++) {
		r->peer[k].relay = r;
		r->peer[k].fd = -1;
	}
	ch->relay = r;
	return 0;
}

/* Gives up the link to a peer. */
static void
relay_peer_close(struct relay *r, int k)
{
	struct peer *p = &r->peer[k];

	if (p->fd < 0)
		return;
	event_del(&p->ev);
	close(p->fd);
	free(p->out);
	p->fd = -1;
	p->out = NULL;
	p->out_len = p->out_n = 0;
	r->waiting &= ~(1ull << k);
	r->lost |= 1ull << k;
}

/* Keeps one relayed entry for this turn's delivery. */
static void
relay_stash(
    struct relay *r, uint64_t position, const uint8_t *entry, size_t len)
{
	uint32_t k = position % STASH_FIND;

	if (r->stash_len + len > STASH_BYTES || r->found[k].position != 0)
		return;
	memcpy(r->stash + r->stash_len, entry, len);
	r->found[k].position = position;
	r->found[k].at = (uint32_t)r->stash_len;
	r->found[k].len = (uint32_t)len;
	r->stash_len += len;
	r->n_found++;
}

/* A peer has sent what none that works would. The link of one that goes on with
 * it is closed, and the master told. */
static void
relay_peer_bad(struct relay *r, int k, const char *why)
{
	struct chat *ch = r->ch;
	struct peer *p = &r->peer[k];

	if (ch->now_ms >= p->bad_ms + MESSAGE_BAD_MS) {
		p->bad_ms = ch->now_ms;
		p->n_bad = 0;
	}
	p->n_bad++;
	log_warn("message from worker %d ignored: %s", k, why);
	if (p->n_bad < MESSAGE_BAD_MAX || p->fd < 0)
		return;
	log_error("link to worker %d closed: it sent %u bad messages within "
		  "%d ms",
	    k, p->n_bad, MESSAGE_BAD_MS);
	relay_peer_close(r, k);
	if (ch->accuse != NULL)
		ch->accuse(ch, k, p->generation);
}

/* Takes a datagram apart; what is malformed ends it. */
static void
relay_take(struct relay *r, int from, const uint8_t *b, size_t len)
{
	struct relay_record rec;
	size_t n;

	while (len >= sizeof(rec)) {
		memcpy(&rec, b, sizeof(rec));
		n = sizeof(rec) + rec.length;
		if (rec.length > len || n > len)
			break;
		if (rec.length > 0)
			relay_stash(
			    r, rec.position, b + sizeof(rec), rec.length);
		b += n;
		len -= n;
	}
	if (len > 0)
		relay_peer_bad(r, from, "a relay's records do not fill it");
}

/* Leaves a connection with its giver: its descriptor found no room here. */
static bool
relay_give_lost(struct chat *ch, int from, const struct link_datagram *d)
{
	struct message_head head;
	uint64_t id;

	if (!d->lost || d->len != sizeof(head) + sizeof(id))
		return false;
	memcpy(&head, d->bytes, sizeof(head));
	memcpy(&id, (const char *)d->bytes + sizeof(head), sizeof(id));
	if (head.type != MSG_GIVE || head.length != sizeof(id))
		return false;
	log_warn("a connection of worker %d stays there: no descriptor is free "
		 "here",
	    from);
	ch->give(ch, from, id, -1);
	return true;
}

/* One datagram of a peer; its descriptor is this function's. */
static void
relay_message_take(struct relay *r, int from, struct link_datagram *d)
{
	struct chat *ch = r->ch;
	const void *payload;
	const char *why;
	size_t len;
	uint64_t id;

	if (relay_give_lost(ch, from, d))
		return;
	switch (message_check(
	    d->bytes, d->len, d->n_fds, PARTY_PEER, &payload, &len, &why)) {
	case MSG_RELAY:
		relay_take(r, from, payload, len);
		break;
	case MSG_GIVE:
		memcpy(&id, payload, sizeof(id));
		ch->give(ch, from, id, d->fd);
		return;
	case MSG_TAKEN:
		memcpy(&id, payload, sizeof(id));
		if (ch->n_moving > 0)
			ch->moving_taken(ch, from, id);
		break;
	default:
		relay_peer_bad(r, from, why);
	}
	if (d->fd >= 0)
		close(d->fd);
}

/* A peer's link: relays, or its end. */
static void
relay_link_cb(int fd, short what, void *arg)
{
	struct peer *p = arg;
	struct relay *r = p->relay;
	int from = (int)(p - r->peer), n, k;
	struct link_datagram d[LINK_BATCH];

	chat_event(r->ch);
	n = link_receive(fd, d);
	KILL_POINT();
	if (n < 0) {
		relay_peer_close(r, from);
		return;
	}
	for (k = 0; k < n; k++)
		if (p->fd >= 0)
			relay_message_take(r, from, &d[k]);
		else if (d[k].fd >= 0) /* closed for the ones before */
			close(d[k].fd);
}

void
relay_link(struct chat *ch, int peer, uint32_t generation, int fd)
{
	struct relay *r = ch->relay;
	struct peer *p;

	if (peer < 0 || peer >= SHM_WORKERS || peer == ch->hub->self) {
		close(fd);
		return;
	}
	relay_peer_close(r, peer);
	p = &r->peer[peer];
	p->out = malloc(MESSAGE_MAX);
	if (p->out == NULL) {
		log_error("no memory for the link to worker %d", peer);
		close(fd);
		return;
	}
	p->fd = fd;
	p->generation = generation;
	p->n_bad = 0;
	event_assign(
	    &p->ev, ch->base, fd, EV_READ | EV_PERSIST, relay_link_cb, p);
	if (event_add(&p->ev, NULL) < 0) {
		log_error("event_add: %s", strerror(errno));
		relay_peer_close(r, peer);
	}
}

#ifdef CHATD_KILL_POINTS
/*
 * For tests: with CHATD_RELAY_CHAOS in the environment a third of all relays
 * is lost and a third comes later than what was sent after it.
 */
static bool
relay_chaos(struct peer *p, struct iovec *v)
{
	static int on = -1;
	uint32_t dice = arc4random_uniform(3);
	uint8_t *held;

	if (on == -1)
		on = getenv("CHATD_RELAY_CHAOS") != NULL;
	if (!on || dice == 0)
		return false;
	if (dice == 1)
		return true;
	held = p->held;
	p->held = malloc(v->iov_len);
	if (p->held == NULL)
		abort();
	memcpy(p->held, v->iov_base, v->iov_len);
	if (held == NULL) {
		p->held_len = v->iov_len;
		return true;
	}
	/* the one before it goes out now, after its successors */
	memcpy(v->iov_base, held, p->held_len);
	free(held);
	dice = (uint32_t)v->iov_len;
	v->iov_len = p->held_len;
	p->held_len = dice;
	return false;
}
#endif

/* Sends a peer's datagram; a full link skips it. */
static void
relay_peer_send(struct relay *r, int k)
{
	struct peer *p = &r->peer[k];
	struct message_head head = {
	    MSG_RELAY, (uint32_t)(p->out_len - sizeof(head))};
	struct shm_worker *me = r->ch->hub->me;
	struct iovec v = {p->out, p->out_len};
	int n;

	r->waiting &= ~(1ull << k);
	memcpy(p->out, &head, sizeof(head));
#ifdef CHATD_KILL_POINTS
	if (relay_chaos(p, &v))
		n = 0;
	else
#endif
		n = link_send_batch(p->fd, &v, 1);
	KILL_POINT();
	if (n == 1)
		SHM_COUNT(me->relayed, p->out_n);
	else
		SHM_COUNT(me->relay_skipped, p->out_n);
	p->out_len = p->out_n = 0;
	if (n < 0) /* its end comes with the master's next word */
		relay_peer_close(r, k);
}

/* Queues one record for a peer. */
static void
relay_peer_queue(struct relay *r, int k, const struct publication *pub)
{
	struct peer *p = &r->peer[k];
	struct relay_record rec = {.position = pub->position};
	size_t entry = publication_bytes(pub);

	if (p->fd < 0)
		return;
	if (entry <= RELAY_DATA_MAX)
		rec.length = (uint32_t)entry;
	if (p->out_len + sizeof(rec) + rec.length > MESSAGE_MAX) {
		relay_peer_send(r, k);
		if (p->fd < 0)
			return;
	}
	if (p->out_len == 0)
		p->out_len = sizeof(struct message_head);
	memcpy(p->out + p->out_len, &rec, sizeof(rec));
	p->out_len += sizeof(rec);
	if (rec.length > 0)
		publication_encode(pub, p->out + p->out_len);
	p->out_len += rec.length;
	p->out_n++;
	r->waiting |= 1ull << k;
}

void
relay_send(struct chat *ch, const struct publication *p, uint64_t mask)
{
	int k;

	mask &= ~(1ull << ch->hub->self);
	for (; mask != 0; mask &= mask - 1) {
		k = __builtin_ctzll(mask);
		relay_peer_queue(ch->relay, k, p);
	}
}

void
relay_flush(struct chat *ch)
{
	struct relay *r = ch->relay;
	uint64_t w;

	for (w = r->waiting; w != 0; w &= w - 1)
		relay_peer_send(r, __builtin_ctzll(w));
}

void
relay_lost(struct chat *ch)
{
	struct relay *r = ch->relay;
	uint64_t w = r->lost;

	r->lost = 0;
	for (; w != 0 && ch->n_moving > 0; w &= w - 1)
		ch->moving_back(ch, __builtin_ctzll(w));
}

bool
relay_find(struct chat *ch, uint64_t position, struct publication *p)
{
	struct relay *r = ch->relay;
	uint32_t k = position % STASH_FIND;

	if (r->n_found == 0 || r->found[k].position != position)
		return false;
	return publication_decode(
		   r->stash + r->found[k].at, r->found[k].len, p) != 0 &&
	    p->position == position;
}

void
relay_reset(struct chat *ch)
{
	struct relay *r = ch->relay;

	if (r->n_found > 0)
		memset(r->found, 0, sizeof(r->found));
	r->n_found = 0;
	r->stash_len = 0;
}

bool
relay_message(struct chat *ch, int peer, uint32_t type, const void *payload,
    size_t len, int fd)
{
	struct peer *p = &ch->relay->peer[peer];

	return p->fd >= 0 && link_send(p->fd, type, payload, len, fd) == 0;
}

bool
relay_is_linked(const struct chat *ch, int peer)
{
	return ch->relay->peer[peer].fd >= 0;
}

void
relay_leave(struct chat *ch)
{
	int k;

	for (k = 0; k < SHM_WORKERS; k++)
		relay_peer_close(ch->relay, k);
}
