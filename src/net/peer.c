#include "net/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/message.h"
#include "conf/conf.h"
#include "net/link.h"
#include "net/ready.h"

/* Batches of datagrams that a link may still hold. */
enum { DRAIN_MAX = 256 };

struct peer {
	int fd; /* -1: no link */
	uint32_t generation;
	uint32_t n_bad; /* messages since bad_ms */
	uint64_t bad_ms;
};

struct peers {
	struct ready *ready;
	const struct peer_host *host;
	void *arg;
	int n;
	struct peer at[];
};

/* What a peer is called in the log; one static buffer. */
static const char *
peer_name(int k)
{
	static char name[32];

	snprintf(name, sizeof(name), "%s %d",
	    k < CONF_WORKERS_MAX ? "worker" : "the reader of line", k);
	return name;
}

void
peers_close(struct peers *p, int k)
{
	struct peer *peer = &p->at[k];

	if (peer->fd < 0)
		return;
	ready_unlink(p->ready, k);
	close(peer->fd);
	peer->fd = -1;
	p->host->ended(p->arg, k);
}

/* Hands on what has come. */
static void
peer_datagrams(struct peers *p, int k, const struct link_datagram *d, int n)
{
	for (int i = 0; i < n; i++)
		if (p->at[k].fd >= 0)
			p->host->datagram(p->arg, k, &d[i]);
		else if (d[i].fd >= 0) /* closed for the ones before */
			close(d[i].fd);
}

void
peers_drain(struct peers *p, int k)
{
	struct link_datagram d[LINK_BATCH];
	int n = 1;

	if (p->at[k].fd >= 0)
		(void)shutdown(p->at[k].fd, SHUT_RD);
	for (int i = 0; i < DRAIN_MAX && n > 0 && p->at[k].fd >= 0; i++) {
		n = link_receive(p->at[k].fd, d);
		peer_datagrams(p, k, d, n);
	}
}

/* What comes over a link, or its end. */
static bool
peer_cb(void *arg, int number)
{
	struct peers *p = arg;
	struct peer *peer = &p->at[number];
	const bool goes_on = p->host->event(p->arg);
	struct link_datagram d[LINK_BATCH];
	const int n = link_receive(peer->fd, d);

	if (n < 0)
		peers_close(p, number);
	peer_datagrams(p, number, d, n);
	return goes_on;
}

struct peers *
peers_new(struct ready *ready, int n, const struct peer_host *host, void *arg)
{
	struct peers *p = NULL;
	int k;

	if (n <= READY_LINKS)
		p = calloc(1, sizeof(*p) + (size_t)n * sizeof(p->at[0]));
	else
		errno = EINVAL;
	if (p == NULL)
		return NULL;
	p->ready = ready;
	p->host = host;
	p->arg = arg;
	p->n = n;
	for (k = 0; k < n; k++)
		p->at[k].fd = -1;
	ready_set_links(ready, peer_cb, p);
	return p;
}

bool
peers_link(struct peers *p, int k, uint32_t generation, int fd)
{
	struct peer *peer;

	if (k < 0 || k >= p->n) {
		close(fd);
		return false;
	}
	peers_close(p, k);
	peer = &p->at[k];
	peer->fd = fd;
	peer->generation = generation;
	peer->n_bad = 0;
	if (ready_link(p->ready, k, fd) == 0)
		return true;
	log_error("link to %s: epoll_ctl: %s", peer_name(k), strerror(errno));
	peers_close(p, k);
	return false;
}

bool
peers_is_linked(const struct peers *p, int k)
{
	return p->at[k].fd >= 0;
}

uint32_t
peers_generation(const struct peers *p, int k)
{
	return p->at[k].generation;
}

int
peers_send(struct peers *p, int k, const struct iovec *datagram)
{
	int n;

	if (p->at[k].fd < 0)
		return -1;
	n = link_send_batch(p->at[k].fd, datagram, 1);
	if (n < 0)
		peers_close(p, k);
	return n;
}

bool
peers_message(struct peers *p, int k, uint32_t type, const void *payload,
    size_t len, int fd)
{
	return p->at[k].fd >= 0 &&
	    link_send(p->at[k].fd, type, payload, len, fd) == 0;
}

bool
peers_bad(struct peers *p, int k, uint64_t now_ms, const char *why)
{
	struct peer *peer = &p->at[k];

	if (now_ms >= peer->bad_ms + MESSAGE_BAD_MS) {
		peer->bad_ms = now_ms;
		peer->n_bad = 0;
	}
	peer->n_bad++;
	log_warn("message from %s ignored: %s", peer_name(k), why);
	if (peer->n_bad < MESSAGE_BAD_MAX || peer->fd < 0)
		return false;
	log_error("link to %s closed: it sent %u bad messages within %d ms",
	    peer_name(k), peer->n_bad, MESSAGE_BAD_MS);
	peers_close(p, k);
	return true;
}

void
peers_leave(struct peers *p)
{
	int k;

	for (k = 0; k < p->n; k++)
		peers_close(p, k);
}
