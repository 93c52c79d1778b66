#include "room/publish.h"
#include "room/rooms.h"

#include "room/kept.h"
#include "room/quota.h"
#include "room/relay.h"
#include "conn/hold.h"
#include "hub/presence.h"
#include "hub/stats.h"

/* For struct publisher. */
static void
publish_relay_cb(void *arg, const struct publication *p, uint64_t mask)
{
	relay_queue(arg, p, mask);
}

/* For struct publisher. */
static uint8_t
publish_settle_cb(void *arg, const char *name, size_t len)
{
	return kept_settle(arg, name, len);
}

void
publish_init(struct chat *ch)
{
	struct hub *h = ch->hub;

	ch->rooms->publisher = (struct publisher){.hub = h,
	    .count = &h->me->published,
	    .relay = publish_relay_cb,
	    .settle = publish_settle_cb,
	    .arg = ch};
	follower_init(&ch->rooms->follower, h, &h->mine->cursor,
	    1ull << (unsigned)h->self);
}

/* Whether a reader has said that nobody knows the user whom the command in hand
 * has waited for: unless that one has come just now, it is so. What no client
 * says is no command that has waited. */
static bool
publish_is_unknown(
    const struct chat *ch, enum publish_to to, const struct publishing *what)
{
	return to == PUBLISH_KNOWN && what->format < FORMAT_JOIN &&
	    what->conn != SHM_NONE && hold_ended(ch) == HOLD_ABSENT;
}

enum publish_result
publish(struct chat *ch, const char *name, size_t len, enum publish_to to,
    const struct publishing *what, struct publication *out, uint64_t *mask)
{
	struct rooms *rooms = ch->rooms;
	enum publish_result r;

	rooms->publisher.wall_ms = ch->wall_ms;
	if (publish_is_unknown(ch, to, what))
		to = PUBLISH_ONLINE;
	r = publisher_publish(
	    &rooms->publisher, name, len, to, what, out, mask);
	if (r == PUBLISH_OK)
		rooms->unsettled = true;
	else if (r == PUBLISH_FULL)
		quota_refuse(ch, what->conn,
		    presence_name_is_user(name, len) ? QUOTA_USERS
						     : QUOTA_CHANNELS);
	return r;
}
