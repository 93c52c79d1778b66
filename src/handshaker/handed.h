/*
 * handed: connections whose handshakes are over, on their way to workers. Each
 * is kept, descriptor and secrets, until a worker says that both lie where a
 * takeover finds them. A worker that dies before it says so has a successor,
 * which is given the connection once more.
 *
 * Workers read hostile bytes: what one of them says is believed of what it was
 * given itself, and of nothing else.
 */
#ifndef CHATD_HANDSHAKER_HANDED_H
#define CHATD_HANDSHAKER_HANDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/tls.h"
#include "hub/shm.h"

enum {
	/* How long one is kept. Larger: of workers that hang, more connections
	 * wait; smaller: one whose worker takes long to be replaced is closed.
	 */
	HANDED_MS = 10000
};

struct handed_one;

/* A worker, as it is known here. */
struct handed_worker {
	int link;		    /* -1: none */
	uint32_t room, connections; /* as it has said */
	uint32_t on_way;	    /* connections that it has not answered */
	unsigned n_bad;		    /* messages, since bad_ms */
	uint64_t bad_ms;
};

struct handed {
	uint64_t number; /* of the newest: struct message_begun */
	struct handed_worker worker[SHM_WORKERS];
	struct handed_one *first, **end; /* by age; where the next one goes */
	size_t n;			 /* of them */
	size_t n_waiting;		 /* with no worker yet */
	uint64_t n_taken, n_closed;	 /* so far */
};

/* What is known of a connection. */
struct handed_what {
	int fd;
	uint32_t endpoint;
	uint64_t read, written; /* bytes, so far */
	/* of its client, as in struct message_begun */
	uint8_t address[16];
	uint16_t port;
	const struct tls_birth *birth;
};

void handed_init(struct handed *h);

/* Gives a connection to the worker that has room and the fewest; without any it
 * waits for one. Its descriptor is the function's. -1: there is no memory, and
 * it is closed. */
int
handed_give(struct handed *h, const struct handed_what *what, uint64_t now_ms);

/* A link to a worker, in the place of the one before, which is read to its end
 * and closed: what that process has not answered is given to this one once
 * more. */
void handed_link(struct handed *h, int worker, int fd);

/* Its link has something to read. False: it has ended, or should, and is to be
 * given up by handed_unlink(). */
bool handed_read(struct handed *h, int worker, uint64_t now_ms);
void handed_unlink(struct handed *h, int worker);

/* Now and then: tries again what a link had no room for, and gives up those
 * that are kept for too long. */
void handed_time(struct handed *h, uint64_t now_ms);

/* How many more connections workers have room for. */
uint32_t handed_room(const struct handed *h);

/* Closes all. */
void handed_deinit(struct handed *h);

#endif
