/* publish: accepts a message: from here on it cannot get lost. Layer 3. */
#ifndef CHATD_CHAT_PUBLISH_H
#define CHATD_CHAT_PUBLISH_H

#include "chat/chat.h"

/* Publishes to the lobby. conn SHM_NONE: as the server, under `user`. */
void publish_lobby(struct chat *ch, uint32_t conn, const char *user,
    size_t user_len, const char *data, size_t len, uint64_t position);

/* Publishes to a user's channel; false if he is not connected. */
bool publish_user(struct chat *ch, uint32_t conn, const char *to, size_t to_len,
    const char *data, size_t len, uint64_t position);

/* Delivers what this turn has published, if anything: an answer appended
 * afterwards comes behind it. */
void publish_settle(struct chat *ch);

/* Delivers what lies between this worker's cursor and the tail. True if there
 * is more. */
bool deliver(struct chat *ch);

#endif
