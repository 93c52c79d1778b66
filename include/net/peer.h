/*
 * peer: the links of a process to others, which have numbers: workers, and
 * behind them readers of the journal. A
 * link that has ended is closed here; a full one takes nothing, and nothing
 * queues. Layer 2.
 */
#ifndef CHATD_NET_PEER_H
#define CHATD_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct link_datagram;
struct peers;
struct ready;

/* What the process does with what comes. */
struct peer_host {
	/* A link may have something: called first. False: the turn is over
	 * after this one. */
	bool (*event)(void *arg);
	/* One datagram, whose descriptor is the host's from now on. */
	void (*datagram)(void *arg, int peer, const struct link_datagram *d);
	/* A link has ended, or is about to be replaced. */
	void (*ended)(void *arg, int peer);
};

/* No links yet, to peers below n, READY_LINKS at most; they are watched in the
 * set, none other's are. *host stays. NULL and errno. */
struct peers *
peers_new(struct ready *ready, int n, const struct peer_host *host, void *arg);

/* Takes up the link to a peer, in place of the one before; owns fd.
 * `generation` says which process of that number it leads to. False: it cannot
 * be watched, or there is no such peer. */
bool peers_link(struct peers *p, int peer, uint32_t generation, int fd);

bool peers_is_linked(const struct peers *p, int peer);
uint32_t peers_generation(const struct peers *p, int peer);

/* Sends one datagram, head included. 1: sent; 0: the link is full; -1: there is
 * none, or it has ended just now. */
int peers_send(struct peers *p, int peer, const struct iovec *datagram);

/* Sends one message, perhaps with a descriptor. False: the link is full, or
 * there is none. */
bool peers_message(struct peers *p, int peer, uint32_t type,
    const void *payload, size_t len, int fd);

/*
 * A peer has sent what none that works sends: logs it. True: there have been
 * too many such messages, and its link is closed for that (message.h:
 * MESSAGE_BAD_MAX).
 */
bool peers_bad(struct peers *p, int peer, uint64_t now_ms, const char *why);

/* Reads a link to a peer to its end, as what comes: nothing more can be sent
 * over it from there. */
void peers_drain(struct peers *p, int peer);

/* Closes the link to a peer, if there is one. */
void peers_close(struct peers *p, int peer);

/* Closes all links: the process leaves. */
void peers_leave(struct peers *p);

#endif
