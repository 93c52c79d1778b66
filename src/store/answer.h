/* answer: what a worker asks for (MSG_ASK), as rows that it is sent
 * (MSG_ROWS). */
#ifndef CHATD_STORE_ANSWER_H
#define CHATD_STORE_ANSWER_H

#include "codec/message.h"
#include "database.h"

/* A worker that asks; from 0. */
struct asker {
	/* Bytes of files that were sent over its link, and perhaps not received
	 * yet. */
	uint64_t unread;
	struct store_share share; /* of searches */
};

/* Finds what is asked for, a checked payload; s NULL: there is no database.
 * Sends it over the link, or nothing if that has no room. For a worker
 * that leaves more than ASK_BYTES_MAX of files unread nothing is found. Returns
 * how the looking went. */
enum store_result
answer_ask(struct store *s, const void *payload, int link, struct asker *by);

#endif
