/*
 * ready: which of many sockets can be read or written: an epoll set of their
 * own. It is apart from the loop's, so that it may outlive its process in a
 * table of descriptors that others share. The loop watches it as one
 * descriptor, or the other way round, which saves the sockets a second wake-up
 * and a system call: what the loop watches pays for them then. Level-triggered.
 * Layer 2.
 */
#ifndef CHATD_NET_READY_H
#define CHATD_NET_READY_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

enum ready_what { READY_READ = 1, READY_WRITE = 2 };

/* Sockets that are told of at once. Larger: one that is always ready delays
 * the others for longer in a turn; smaller: less is done in a turn. */
enum { READY_MAX = 4096 };

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
 * loop, as before. The set tells of it by a key whose lower half is all ones,
 * as no socket's may be; what a former process has left is another key, and
 * nobody's. Returns 0, or -1 and errno: it cannot go on.
 */
int ready_lead(struct ready *r, int loop);

/*
 * A turn, after a wait of ms at most (-1: without end): handles what is ready
 * in the loop and among the sockets, until ready() or event_base_loopbreak()
 * end it. If the loop does, the next turn is the sockets'. Returns 0, or -1 and
 * errno.
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

/*
 * Goes on with an empty set; nothing that the old one told of is handled any
 * more. Returns the old one's descriptor, which is the caller's then, or -1 and
 * errno: it goes on with the old one.
 */
int ready_renew(struct ready *r);

#endif
