/*
 * ready: which of many sockets can be read or written: an epoll set of their
 * own. It is apart from the loop's, so that it may outlive its process in a
 * table of descriptors that others share. The loop watches it as one
 * descriptor, or the other way round, which saves the sockets a second wake-up
 * and a system call: what the loop watches pays for them then. The process's
 * links to others of its kind, which end with it, can be in the set, and
 * listeners, too.
 * Level-triggered. Layer 2.
 */
#ifndef CHATD_NET_READY_H
#define CHATD_NET_READY_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* READY_BROKEN: watched for, but told as both others: the peer has reset it, or
 * ended it behind our own end. Whatever it is watched for, that is told. */
enum ready_what { READY_READ = 1, READY_WRITE = 2, READY_BROKEN = 4 };

/* Sockets that are told of at once. Larger: one that is always ready delays
 * the others for longer in a turn; smaller: less is done in a turn. */
enum { READY_MAX = 4096 };

/* Links and listeners are numbered below these. */
enum { READY_LINKS = 96, READY_LISTENERS = 16 };

struct ready_host {
	/* Some are ready: called for each before the first is handled, for who
	 * wants to know of those that are none of its own. NULL: nobody. */
	void (*seen)(void *arg, uint64_t key);
	/* One is ready, for what it was or is watched for: the kernel has told
	 * so once. False: the turn is over, the others are handled in the next
	 * one, before any that are told of then. */
	bool (*ready)(void *arg, uint64_t key, unsigned what);
};

struct ready;

/*
 * With a set that another process has left, or a new one (-1); *kept says
 * whether the former could be used, else its descriptor is left alone. NULL and
 * errno: it cannot be made.
 */
struct ready *ready_new(struct event_base *base, int set, bool *kept,
    const struct ready_host *host, void *arg);

/*
 * The process waits in ready_turn() from now on, for the sockets and for the
 * loop's own set. -1 or one that cannot be watched: ready_turn() waits in the
 * loop, as before. The set tells of it, of links and of listeners by keys whose
 * lower half is UINT32_MAX - READY_LINKS - READY_LISTENERS or more, as no
 * socket's may be; what a former process has left is another key, and nobody's.
 * Returns 0, or -1 and errno: it cannot go on.
 */
int ready_lead(struct ready *r, int loop);

/*
 * A turn, after a wait of ms at most (-1: without end): handles what is ready
 * among the links, in the loop and among the sockets, until a callback or
 * event_base_loopbreak() ends it. If links or the loop do, the next turn is the
 * sockets'. Returns 0, or -1 and errno.
 */
int ready_turn(struct ready *r, int ms);

/* Its descriptor, which stays over an exec. */
int ready_fd(const struct ready *r);

/*
 * A socket is watched for `is`, bits of ready_what, 0: no more. `was` is what
 * it is probably watched for: that costs one system call more if it is wrong.
 * key: what ready() is told. Returns 0, or -1 and errno: perhaps it is watched
 * as before.
 */
int
ready_watch(struct ready *r, int fd, uint64_t key, unsigned was, unsigned is);

/* Who is called for a link that has something or has ended, or for one that may
 * have: not more than once a turn. False: the turn is over. */
void ready_set_links(
    struct ready *r, bool (*link_ready)(void *arg, int k), void *arg);

/* Watches link k, which is not watched yet, until ready_unlink(), which is
 * called before its descriptor is closed: other processes may have it, and the
 * set would tell of it still. Returns 0, or -1 and errno. */
int ready_link(struct ready *r, int k, int fd);
void ready_unlink(struct ready *r, int k);

/*
 * Listeners that several processes watch: of those that wait, the kernel wakes
 * one for a connection, not all. So who is woken may have died, or be one that
 * takes none now, while the others sleep: each looks now and then, unasked.
 * listener() is called for one that may have a connection, not more than once a
 * turn.
 */
void ready_set_listeners(
    struct ready *r, void (*listener)(void *arg, int k), void *arg);

/* Watches listener k, until ready_unlisten(), which is called for each once
 * before, too: a former process may have left it in the set. Returns 0, or -1
 * and errno. */
int ready_listen(struct ready *r, int k, int fd);
void ready_unlisten(struct ready *r, int k, int fd);

/* All that are watched may have a connection. */
void ready_look_listeners(struct ready *r);

/*
 * Goes on with a set that is empty but for the loop, links and listeners;
 * nothing that the old one told of sockets is handled any more. Returns the old
 * one's descriptor, which is the caller's then, or -1 and errno: it goes on
 * with the old one.
 */
int ready_renew(struct ready *r);

#endif
