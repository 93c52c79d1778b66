/* event: what has happened to users and channels, and what is known of users.
 */
#ifndef CHATD_STORE_EVENT_H
#define CHATD_STORE_EVENT_H

#include "database.h"

/* Writes an event, c: its channel, if that is stored; others than those that
 * are kept are passed over. */
enum store_result event_take(struct store *s, const struct store_channel *c,
    const struct publication *p);

/* Forgets at most `rows` users whose name a token proved, or none did, and who
 * have not been here since: *n. In the caller's transaction. */
enum store_result user_prune(struct store *s, bool proved, int64_t oldest_ms,
    uint32_t rows, uint32_t *n);

#endif
