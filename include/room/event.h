/*
 * event: joins and leaves, published in channels with `join-leave yes`, and the
 * end of subscriptions. Layer 3.
 */
#ifndef CHATD_ROOM_EVENT_H
#define CHATD_ROOM_EVENT_H

#include "conn/chat.h"
#include "hub/subscription.h"

/*
 * Tells readers that want events that a user's connection is open, if they have
 * not been told; its end is told by channel_tell_leaves() and
 * channel_tell_gone(). Each once, as joins.
 */
void channel_tell_connect(struct chat *ch, uint32_t conn);

/*
 * Publishes that a connection joins a channel or the lobby, if that is to be
 * told and has not been. Each join and its leave are published once, though
 * workers may die between any two stores.
 */
void channel_tell_join(struct chat *ch, uint32_t sub);
void channel_tell_leave(struct chat *ch, uint32_t sub);
void channel_tell_lobby_join(struct chat *ch, uint32_t conn);
/* Publishes that a connection joins its user's own channel, which it is in
 * without a subscription. */
void channel_tell_own_join(struct chat *ch, uint32_t conn);

/* Ends a subscription, if there is one, and publishes its leave. */
void
channel_finish(struct chat *ch, uint32_t conn, const char *name, size_t len);

/* Ends the subscription that a command made before a takeover, if it did; the
 * command is named by the key of its answer. Done again, it is refused. */
void channel_undo(
    struct chat *ch, uint32_t conn, const char *name, size_t len, uint64_t key);

/* Begins to end a subscription for the server's reasons; the caller then tells
 * the client. If the worker dies before the record is gone, the next worker
 * calls channel_revoked(), before it sends anything, and learns whether the
 * client has been told. */
void channel_revoke(struct chat *ch, uint32_t sub);
void channel_revoked(const struct hub *h, struct subscription *s);

/* Tells that a connection leaves all that it is in. It is in them still; its
 * subscriptions may be another worker's. */
void channel_tell_leaves(struct chat *ch, uint32_t conn);

/* channel_tell_leaves() for all connections of a dead worker, from another
 * process. */
void channel_tell_gone(struct hub *h, int worker, int64_t wall_ms);

#endif
