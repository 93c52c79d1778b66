/*
 * publisher: accepts a message: from here on it cannot get lost. For a worker,
 * and for any other process that may take the lock: it needs no connections of
 * its own. Layer 2.
 *
 * A process may die at any store: then the message is accepted, with all that
 * follows from it, or it is not. The next process finds out which by the number
 * that the message carries (journal.h: input_key, order).
 */
#ifndef CHATD_HUB_PUBLISHER_H
#define CHATD_HUB_PUBLISHER_H

#include "hub/journal.h"

struct publisher {
	struct hub *hub;
	int64_t wall_ms; /* clock_wall_ms(): the time of what is published */
	_Atomic uint64_t *count; /* of what was published; NULL: not counted */
	/* Called after the lock has been given back: relays a publication to
	 * the workers in `mask`. NULL: they find it when they look at the index
	 * next, 100 ms later at most. */
	void (*relay)(void *arg, const struct publication *p, uint64_t mask);
	/* Called with the lock, of a message to a channel whose publications a
	 * reader requires: what it waits for, as struct publishing has it
	 * besides. NULL: nothing. */
	uint8_t (*settle)(void *arg, const char *name, size_t len);
	void *arg;
};

/*
 * A message to publish. conn SHM_NONE: from the server, under the name `user`;
 * else from that connection, under its user's name and with its info.
 */
struct publishing {
	uint32_t conn;	       /* slot */
	uint64_t order;	       /* by the server: see struct publication */
	uint32_t command;      /* of the message that is being read, from 0; of
				* one from the server that waits: number + 1 of
				* the worker that is answered */
	uint32_t subscription; /* FORMAT_JOIN, FORMAT_LEAVE: see there */
	uint8_t format;	       /* enum publication_format */
	/* PUBLICATION_WAITS, _PROPOSED: if a reader requires the channel's
	 * publications; else they are ignored */
	uint8_t flags;
	const char *user;
	size_t user_len;
	const char *data;
	size_t len;
	const char *tags; /* JSON object, NULL: none */
	size_t tags_len;
};

enum publish_result {
	PUBLISH_OK,
	PUBLISH_ABSENT,	 /* no such channel (or a user that was never connected)
			  */
	PUBLISH_FULL,	 /* the table is full */
	PUBLISH_TOO_BIG, /* larger than the journal's share */
	PUBLISH_BUSY,	 /* a reader that must not miss it is too far behind:
			  * later */
	PUBLISH_COLD	 /* the channel is not open: a reader has been asked,
			  * FORMAT_OPENED is its answer */
};

/* How a channel is named and when it may not be made. */
enum publish_to {
	PUBLISH_MAKE,  /* it is made if need be */
	PUBLISH_KNOWN, /* it must have been there since the start, or a reader
			* must know it */
	PUBLISH_ONLINE /* a worker must have it now */
};

/*
 * Publishes to the channel of that name. On PUBLISH_OK *out has position,
 * offset, epoch, channel and flags (whether it waits for a RESULT,
 * hub/reader.h), and *mask the workers that have it; on PUBLISH_COLD *out has
 * channel and epoch. What is no message (a join, a kick) is never refused as
 * BUSY or COLD. Takes the lock.
 */
enum publish_result publisher_publish(struct publisher *pub, const char *name,
    size_t len, enum publish_to to, const struct publishing *what,
    struct publication *out, uint64_t *mask);

#endif
