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

void
publish_init(struct chat *ch)
{
	struct hub *h = ch->hub;

	ch->rooms->publisher = (struct publisher){.hub = h,
	    .count = &h->me->published,
	    .relay = publish_relay_cb,
	    .arg = ch};
	follower_init(&ch->rooms->follower, h, &h->mine->cursor,
	    1ull << (unsigned)h->self);
}

/* publisher_publish(), where there are readers: with what the channel's rule
 * asks of them. A function of its own: without readers nobody pays for it. */
static __attribute__((noinline)) enum publish_result
publish_settled(struct chat *ch, const char *name, size_t len,
    enum publish_to to, const struct publishing *what, struct publication *out,
    uint64_t *mask)
{
	struct publishing settled = *what;

	if (what->format < FORMAT_JOIN)
		settled.flags |= kept_settle(ch, name, len);
	/* nobody knew it: unless the user has come just now, that is so. What
	 * no client says is no command that has waited. */
	if (to == PUBLISH_KNOWN && what->format < FORMAT_JOIN &&
	    what->conn != SHM_NONE && hold_ended(ch) == HOLD_ABSENT)
		to = PUBLISH_ONLINE;
	return publisher_publish(
	    &ch->rooms->publisher, name, len, to, &settled, out, mask);
}

enum publish_result
publish(struct chat *ch, const char *name, size_t len, enum publish_to to,
    const struct publishing *what, struct publication *out, uint64_t *mask)
{
	struct rooms *rooms = ch->rooms;
	enum publish_result r;

	rooms->publisher.wall_ms = ch->wall_ms;
	r = ch->hub->readers != 0
	    ? publish_settled(ch, name, len, to, what, out, mask)
	    : publisher_publish(
		  &rooms->publisher, name, len, to, what, out, mask);
	if (r == PUBLISH_OK)
		rooms->unsettled = true;
	else if (r == PUBLISH_FULL)
		quota_refuse(ch, what->conn,
		    presence_name_is_user(name, len) ? QUOTA_USERS
						     : QUOTA_CHANNELS);
	return r;
}
