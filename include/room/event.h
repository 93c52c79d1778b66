/*
 * event: joins and leaves, told in channels that tell them, and what ends with
 * them. Layer 3.
 */
#ifndef CHATD_ROOM_EVENT_H
#define CHATD_ROOM_EVENT_H

#include "conn/chat.h"
#include "hub/subscription.h"

/*
 * Publishes that a connection joins a channel or the lobby, if that is to be
 * told and has not been. Who is told of the join is told of the leave, each
 * once: workers may die between all stores.
 */
void channel_tell_join(struct chat *ch, uint32_t sub);
void channel_tell_leave(struct chat *ch, uint32_t sub);
void channel_tell_lobby_join(struct chat *ch, uint32_t conn);
/* Publishes that a connection joins its user's own channel, which it is in
 * without a subscription. */
void channel_tell_own_join(struct chat *ch, uint32_t conn);

/* Ends a subscription and tells those who are to be told; nothing if there is
 * none. */
void
channel_finish(struct chat *ch, uint32_t conn, const char *name, size_t len);

/* Finishes the subscription that the command with that answer made before a
 * takeover, if it did: done again, it is refused. */
void channel_undo(
    struct chat *ch, uint32_t conn, const char *name, size_t len, uint64_t key);

/* Begins to end a subscription for the server's reasons: what the connection is
 * sent next tells it. A worker that dies before the record is gone leaves it
 * to the next one, who sees with channel_revoked (before anything is sent) how
 * far that had come. */
void channel_revoke(struct chat *ch, uint32_t sub);
void channel_revoked(const struct hub *h, struct subscription *s);

/* Tells that a connection leaves all that it is in. It is in them still; its
 * subscriptions may be another worker's. */
void channel_tell_leaves(struct chat *ch, uint32_t conn);

/* channel_tell_leaves() for all connections of a dead worker, from another
 * process. */
void channel_tell_gone(struct hub *h, int worker, int64_t wall_ms);

#endif
