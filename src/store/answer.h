/* answer: what a worker asks for (MSG_ASK), as rows that it is sent
 * (MSG_ROWS). */
#ifndef CHATD_STORE_ANSWER_H
#define CHATD_STORE_ANSWER_H

#include "codec/message.h"
#include "store/store.h"

/* Finds what is asked for, a checked payload; s NULL: there is no database.
 * Sends it over the link, or nothing if that has no room. *unread, from 0:
 * bytes of files that were sent over it and perhaps not received yet; of a
 * worker that leaves more than ASK_BYTES_MAX of them nothing is found. Returns
 * how the looking went. */
enum store_result
answer_ask(struct store *s, const void *payload, int link, uint64_t *unread);

#endif
