#include "room/publish.h"

#include "conn/conn.h"
#include "room/quota.h"
#include "room/relay.h"
#include "room/user.h"
#include "hub/blob.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "hub/subscription.h"

/* Describes what is published; name and info are room for what is copied. */
static void
describe(struct chat *ch, const struct publishing *w, struct publication *p,
    char name[USER_NAME_MAX + 1], char info[BLOB_MAX])
{
	struct slot *s;

	*p = (struct publication){.time_ms = ch->wall_ms,
	    .format = w->format,
	    .data = w->data,
	    .data_len = (uint32_t)w->len,
	    .tags = w->tags,
	    .tags_len = (uint16_t)w->tags_len,
	    .user = w->user,
	    .user_len = (uint8_t)w->user_len,
	    .input_end = w->order,
	    .ordinal = w->ordinal};
	if (w->conn == SHM_NONE)
		return;
	s = conn_slot(ch, w->conn);
	p->sender = slot_id(ch->hub, w->conn);
	/* joins and leaves are no commands of his */
	p->input_end = w->format >= FORMAT_JOIN
	    ? SHM_OWN(s->committed)
	    : KEY(KEY_POSITION(SHM_OWN(s->committed)), w->ordinal + 1);
	p->user = name;
	p->user_len = (uint8_t)user_name(ch->hub, s->user, name);
	p->info = info;
	p->info_len = (uint16_t)blob_get(ch->hub, s->info, p->sender, info);
}

/* Adds what the token of the sender's subscription says, if the entry does not
 * become too large by that; *room is for the copy. Lock held. */
static void
describe_subscription(struct chat *ch, const struct publishing *w,
    struct publication *p, char room[BLOB_MAX])
{
	uint32_t sub;

	/* seldom: those without are not to pay for the search */
	if (w->conn == SHM_NONE ||
	    !(conn_slot(ch, w->conn)->flags & SLOT_SUB_INFO))
		return;
	sub = subscription_find(ch->hub, w->conn, p->channel);
	if (sub == SHM_NONE)
		return;
	p->sub_info = room;
	p->sub_info_len = (uint16_t)blob_get(
	    ch->hub, ch->hub->subscription[sub].info, p->sender, room);
	if (publication_bytes(p) > ch->hub->journal_size / JOURNAL_SHARE)
		p->sub_info_len = 0;
}

/* The channel to publish to. Lock held. */
static uint32_t
target(struct chat *ch, const char *name, size_t len, enum publish_to to)
{
	uint32_t e;

	if (to == PUBLISH_MAKE)
		return presence_make(ch->hub, name, len);
	e = presence_find(ch->hub, name, len);
	if (to == PUBLISH_ONLINE && presence_mask(ch->hub, e) == 0)
		return SHM_NONE;
	return e;
}

enum publish_result
publish(struct chat *ch, const char *name, size_t len, enum publish_to to,
    const struct publishing *what, struct publication *out, uint64_t *mask)
{
	char user[USER_NAME_MAX + 1], info[BLOB_MAX], sub_info[BLOB_MAX];

	describe(ch, what, out, user, info);
	if (publication_bytes(out) > ch->hub->journal_size / JOURNAL_SHARE)
		return PUBLISH_TOO_BIG;
	hub_lock(ch->hub);
	out->channel = target(ch, name, len, to);
	if (out->channel != SHM_NONE) {
		describe_subscription(ch, what, out, sub_info);
		*mask = journal_append(ch->hub, out);
	}
	hub_unlock(ch->hub);
	if (out->channel == SHM_NONE) {
		if (to != PUBLISH_MAKE)
			return PUBLISH_ABSENT;
		quota_refuse(ch, what->conn,
		    presence_name_is_user(name, len) ? QUOTA_USERS
						     : QUOTA_CHANNELS);
		return PUBLISH_FULL;
	}
	SHM_COUNT(ch->hub->me->published, 1);
	ch->unsettled = true;
	relay_send(ch, out, *mask);
	return PUBLISH_OK;
}
