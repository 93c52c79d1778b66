/*
 * custody: many descriptors with their connections' ids in one message, over
 * the link between a worker and its keeper. SOCK_SEQPACKET. Layer 2.
 */
#ifndef CHATD_NET_CUSTODY_H
#define CHATD_NET_CUSTODY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CUSTODY_MAX = 250,    /* ids a message: 253 descriptors at most */
	CUSTODY_FLIGHT = 1000 /* descriptors sent and not yet received: they
			       * count per user, for everybody's links */
};

enum custody_type {
	CUSTODY_KEEP = 1, /* ids with as many descriptors */
	CUSTODY_GIVE_UP,  /* ids: close those */
	CUSTODY_DONE	  /* that was all */
};

struct custody_note {
	uint32_t type;
	uint32_t n;
	uint64_t id[CUSTODY_MAX];
};

/* Makes a pair for one link: close-on-exec, buffers raised. -1 and errno. */
int custody_pair(int fd[2]);

/*
 * Sends a note, with fd[n] if it is CUSTODY_KEEP. Returns 0, or -1 and errno:
 * EAGAIN = full (with wait false), EPIPE = the other side is gone.
 */
int custody_send(
    int link, const struct custody_note *note, const int *fd, bool wait);

/*
 * Receives one note; fd has room for CUSTODY_MAX. Returns 1, 0 = nothing
 * there (never with wait), or -1: the end, or a note that makes no sense
 * (errno EBADMSG, its descriptors are closed).
 */
int custody_receive(int link, struct custody_note *note, int *fd, bool wait);

#endif
