/* publish: accepts a message: from here on it cannot get lost. Layer 3. */
#ifndef CHATD_ROOM_PUBLISH_H
#define CHATD_ROOM_PUBLISH_H

#include "conn/chat.h"

/*
 * What is published. conn SHM_NONE: by the server, under `user`; else under
 * the connection's user, with its info. ordinal: of the command in the message
 * that is being read (from 0, below CHAT_COMMANDS); of a join or leave see
 * hub/journal.h.
 */
struct publishing {
	uint32_t conn;
	uint64_t order; /* by the server: the master's number for it, 0: none */
	uint32_t ordinal;
	uint8_t format; /* enum publication_format */
	const char *user;
	size_t user_len;
	const char *data;
	size_t len;
	const char *tags; /* JSON object, NULL: none */
	size_t tags_len;
};

enum publish_result {
	PUBLISH_OK,
	PUBLISH_ABSENT, /* no such channel (user who never was here) */
	PUBLISH_FULL,	/* the table is full */
	PUBLISH_TOO_BIG /* larger than the journal's share */
};

/* How a channel is named and when it may not be made. */
enum publish_to {
	PUBLISH_MAKE,  /* it is made if need be */
	PUBLISH_KNOWN, /* it must have been there since the start */
	PUBLISH_ONLINE /* somebody must have it now */
};

/*
 * Publishes to the channel of that name. On PUBLISH_OK *out has position,
 * offset, epoch and channel, and *mask the workers that have it.
 */
enum publish_result
publish(struct chat *ch, const char *name, size_t len, enum publish_to to,
    const struct publishing *what, struct publication *out, uint64_t *mask);

/* Delivers what this turn has published, if anything: an answer appended
 * afterwards comes behind it. */
void deliver_settle(struct chat *ch);

/* Reads one publication from the journal; what *p points to is good until the
 * next is read. */
enum journal_result
publication_read(struct chat *ch, uint64_t position, struct publication *p);

/* Delivers to one connection that comes from another worker what lies between
 * its newest and this worker's cursor; SLOT_MOVED is done then. */
void deliver_missed(struct chat *ch, uint32_t conn);

/* Delivers what lies between this worker's cursor and the tail, or a turn's
 * share of it. True if there is more. */
bool deliver(struct chat *ch);

/* Delivers all that has been accepted by now. */
void deliver_all(struct chat *ch);

#endif
