/* answer: what a worker asks for (MSG_ASK), as rows that it is sent
 * (MSG_ROWS). */
#ifndef CHATD_STORE_ANSWER_H
#define CHATD_STORE_ANSWER_H

#include "codec/message.h"
#include "store/store.h"

/* Finds what is asked for, a checked payload; s NULL: there is no database.
 * Sends it over the link, or nothing if that has no room. Returns how the
 * looking went. */
enum store_result answer_ask(struct store *s, const void *payload, int link);

#endif
