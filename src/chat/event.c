/* Joins and leaves of channels that tell them. */
#include <string.h>

#include "chat/channel.h"
#include "chat/conn.h"
#include "chat/publish.h"
#include "chat/user.h"
#include "hub/blob.h"
#include "hub/lock.h"

void
channel_tell(struct chat *ch, uint32_t conn, const char *name, size_t len,
    enum publication_format format)
{
	const struct publishing what = {
	    .conn = conn, .format = (uint8_t)format, .data = "", .len = 0};
	struct publication p;
	uint64_t mask;

	/* nobody has the channel any more: nobody is to be told */
	(void)publish(ch, name, len, PUBLISH_KNOWN, &what, &p, &mask);
}

void
channel_tell_lobby(
    struct chat *ch, uint32_t conn, enum publication_format format)
{
	const struct conf_channel *rule =
	    conf_channel_find(&ch->live, "lobby", 5);

	if (rule != NULL && rule->join_leave)
		channel_tell(ch, conn, "lobby", 5, format);
}

void
channel_finish(struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	uint32_t sub = channel_subscription(ch, conn, name, len), flags;

	if (sub == SHM_NONE)
		return;
	flags = ch->hub->subscription[sub].flags;
	channel_unsubscribe(ch, conn, name, len);
	if (flags & SUBSCRIPTION_JOIN_LEAVE)
		channel_tell(ch, conn, name, len, FORMAT_LEAVE);
}

void
channel_tell_leaves(struct chat *ch, uint32_t conn)
{
	char name[PRESENCE_NAME_MAX + 1];
	struct subscription *s;
	uint32_t sub, n = 0;
	size_t len;

	if (conn_slot(ch, conn)->door == DOOR_PLAIN)
		channel_tell_lobby(ch, conn, FORMAT_LEAVE);
	for (sub = subscription_of_slot(ch->hub, conn);
	     sub != SHM_NONE && n < CONF_CONNECTION_CHANNELS_MAX;
	     sub = subscription_slot_next(ch->hub, sub), n++) {
		s = &ch->hub->subscription[sub];
		if (s->slot != conn)
			break;
		if (!(s->flags & SUBSCRIPTION_JOIN_LEAVE))
			continue;
		len = channel_name(ch->hub, SHM_OWN(s->channel) - 1, name);
		if (len > 0)
			channel_tell(ch, conn, name, len, FORMAT_LEAVE);
	}
}

/* Tells of one subscription that its connection has left with its worker, if it
 * does not go on at another one. */
static void
tell_gone(
    struct hub *h, const struct subscription *s, int worker, int64_t wall_ms)
{
	char user[USER_NAME_MAX + 1], info[BLOB_MAX];
	struct publication p = {.format = FORMAT_LEAVE,
	    .time_ms = wall_ms,
	    .user = user,
	    .info = info,
	    .data = ""};
	struct slot slot;

	if (!(s->flags & SUBSCRIPTION_JOIN_LEAVE) ||
	    !slot_read(h, s->slot, &slot, &p.sender) || slot.worker != worker)
		return;
	p.channel = SHM_LOAD(s->channel) - 1;
	p.user_len = (uint8_t)user_name(h, slot.user, user);
	p.info_len = (uint16_t)blob_get(h, slot.info, info);
	p.input_end = SHM_LOAD(slot.committed);
	hub_lock(h);
	if (p.channel < h->n_entries &&
	    SHM_LOAD(h->entry[p.channel].epoch) == s->epoch)
		journal_append(h, &p);
	hub_unlock(h);
}

void
channel_tell_gone(struct hub *h, int worker, int64_t wall_ms)
{
	struct subscription copy;
	uint32_t i;

	for (i = 0; i < h->n_subscriptions; i++) {
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) !=
		    worker + 1) {
			i |= SHM_BLOCK - 1;
			continue;
		}
		memcpy(&copy, &h->subscription[i], sizeof(copy));
		if (SHM_LOAD(copy.channel) != 0)
			tell_gone(h, &copy, worker, wall_ms);
	}
}
