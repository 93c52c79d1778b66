/*
 * custody: many descriptors with their connections' ids in one message, over a
 * link to the process that goes on with them (codec/custody.h). SOCK_SEQPACKET.
 * Layer 2.
 */
#ifndef CHATD_NET_CUSTODY_H
#define CHATD_NET_CUSTODY_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/custody.h"

/* Makes a pair for one link: close-on-exec, buffers raised. -1 and errno. */
int custody_pair(int fd[2]);

/*
 * Sends a note, with fd[n] if it is CUSTODY_KEEP; never waits. Returns 0, or -1
 * and errno: EAGAIN = not now (the link is full, no memory, too many
 * descriptors in flight), EBADF = one of the descriptors is none; EPIPE,
 * ECONNRESET, ENOTCONN = the other side is gone.
 */
int custody_send(int link, const struct custody_note *note, const int *fd);

/* Whether errno after custody_send() says that the link is of no use any
 * more. */
bool custody_is_gone(int error);

/* CUSTODY_ROOM for n descriptors. As custody_send(). */
int custody_ask(int link, uint32_t n);

/*
 * Receives one note; fd has room for CUSTODY_MAX; never waits. Returns 1,
 * 0 = nothing there, or -1: the end (errno 0), or a note that makes no sense or
 * has lost descriptors for want of room here (errno EBADMSG; its descriptors
 * are closed, the link is good).
 */
int custody_receive(int link, struct custody_note *note, int *fd);

/* Descriptors on their way over one link: what is numbered [next, n), as
 * far as there is room. next above n: DONE has been said. */
struct custody_giver {
	uint32_t next, n;
	uint64_t room; /* as the other side has asked */
};

/* Says what is numbered i; false: nothing. */
typedef bool (*custody_at)(void *arg, uint32_t i, uint64_t *id, int *fd);

enum custody_given {
	CUSTODY_IDLE, /* nothing to do until the other side asks */
	CUSTODY_FULL, /* again in a moment */
	CUSTODY_ENDED /* the other side is gone */
};

/* Gives what may be given now. Duplicates: the descriptors stay open here. */
enum custody_given
custody_give(struct custody_giver *g, int link, custody_at at, void *arg);

/*
 * Reads from *link (-1: there is none) how much the other side has room for,
 * and gives as much. Closes it at its end: *link is -1 then. True: the link is
 * full, again in a moment.
 */
bool
custody_serve(struct custody_giver *g, int *link, custody_at at, void *arg);

#endif
