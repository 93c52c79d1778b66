#include "hub/publisher.h"

#include "hub/blob.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/reader.h"
#include "hub/slot.h"
#include "hub/subscription.h"

/* Room for the texts of a publication that come from its sender. */
struct sender_text {
	char user[PRESENCE_NAME_MAX], info[BLOB_MAX], sub_info[BLOB_MAX];
};

/* Adds the sender, and the key of the sender's input that is done by it. */
static void
publisher_sender(const struct hub *h, const struct publishing *w,
    struct publication *p, struct sender_text *t)
{
	const struct slot *s = &h->slot[w->conn];
	uint64_t committed = SHM_OWN(s->committed);

	p->sender = slot_id(h, w->conn);
	/* a join or leave is not a client's command */
	p->input_key = publication_is_event(p)
	    ? committed
	    : KEY(KEY_POSITION(committed), w->command + 1);
	p->user = t->user;
	p->user_len = (uint8_t)presence_user(h, s->user, t->user);
	p->info = t->info;
	p->info_len = (uint16_t)blob_get(h, s->info, p->sender, t->info);
}

/* Fills in the publication. Each field is named: clearing all of it first costs
 * more than the stores. */
static void
publisher_describe(const struct publisher *pub, const struct publishing *w,
    struct publication *p, struct sender_text *t)
{
	*p = (struct publication){.position = 0,
	    .offset = 0,
	    .previous = 0,
	    .before = 0,
	    .sender = 0,
	    .order = 0,
	    .command = 0,
	    .channel = 0,
	    .epoch = 0,
	    .time_ms = pub->wall_ms,
	    .format = w->format,
	    .flags = 0,
	    .required = 0,
	    .user_len = (uint8_t)w->user_len,
	    .info_len = 0,
	    .sub_info_len = 0,
	    .tags_len = (uint16_t)w->tags_len,
	    .data_len = (uint32_t)w->len,
	    .user = w->user,
	    .info = NULL,
	    .sub_info = NULL,
	    .tags = w->tags,
	    .data = w->data};
	if (publication_is_event(p))
		p->subscription = w->subscription;
	else
		p->command = w->command;
	if (w->conn != SHM_NONE)
		publisher_sender(pub->hub, w, p, t);
	else
		p->order = w->order;
}

/* Adds what the token of the sender's subscription says, if the entry does not
 * become too large by that. Lock held. */
static void
publisher_subscription(const struct hub *h, const struct publishing *w,
    struct publication *p, struct sender_text *t)
{
	uint32_t sub;

	/* few senders have one: the others do not pay for the search */
	if (w->conn == SHM_NONE || !(h->slot[w->conn].flags & SLOT_SUB_INFO))
		return;
	sub = subscription_find(h, w->conn, p->channel);
	if (sub == SHM_NONE)
		return;
	p->sub_info = t->sub_info;
	p->sub_info_len = (uint16_t)blob_get(
	    h, h->subscription[sub].info, p->sender, t->sub_info);
	if (publication_bytes(p) > h->journal_size / JOURNAL_SHARE)
		p->sub_info_len = 0;
}

/* The channel to publish to. One that is only to be known may be known to a
 * reader; what is no message is told to those who are here. Lock held. */
static uint32_t
publisher_target(
    struct hub *h, const char *name, size_t len, enum publish_to to, bool event)
{
	uint32_t e;

	if (to == PUBLISH_MAKE)
		return presence_make(h, name, len);
	e = to == PUBLISH_KNOWN && h->readers != 0 && !event
	    ? presence_recall(h, name, len)
	    : presence_find(h, name, len);
	if (to == PUBLISH_ONLINE && presence_mask(h, e) == 0)
		return SHM_NONE;
	return e;
}

/* Whether an entry is not open: its opener is asked. Lock held. */
static bool
publisher_is_cold(struct hub *h, uint32_t e, enum publish_to to)
{
	return to == PUBLISH_MAKE ? presence_is_cold(h, e)
				  : presence_is_cold_known(h, e);
}

/* What is asked of readers for a message to a channel that they require. Others
 * pay nothing for it. Lock held. */
static void
publisher_settle(struct publisher *pub, const char *name, size_t len,
    const struct publishing *what, struct publication *p)
{
	p->flags = what->flags;
	if (pub->settle != NULL)
		p->flags |= pub->settle(pub->arg, name, len);
}

/* The readers that require what is published to an entry with these flags. */
static uint8_t
publisher_required(const struct hub *h, uint8_t flags)
{
	return PRESENCE_REQUIRES(flags) & PRESENCE_READERS(flags) & h->readers;
}

/* Whether a message may not be published to an entry with these flags now. Lock
 * held. */
static enum publish_result
publisher_judge(
    struct hub *h, uint8_t flags, enum publish_to to, struct publication *p)
{
	const uint8_t required = publisher_required(h, flags);

	if (PRESENCE_WARMTH_OF(flags) != PRESENCE_OPEN &&
	    publisher_is_cold(h, p->channel, to)) {
		p->epoch = SHM_LOAD(h->entry[p->channel].epoch);
		return PUBLISH_COLD;
	}
	if (required == 0)
		return PUBLISH_OK;
	return journal_is_behind(h, required, publication_bytes(p)) ||
		presence_is_crowded(h, p->channel, required)
	    ? PUBLISH_BUSY
	    : PUBLISH_OK;
}

/* Appends to the channel of that name. Lock held. */
static enum publish_result
publisher_append(struct publisher *pub, const char *name, size_t len,
    enum publish_to to, const struct publishing *what, struct sender_text *text,
    struct publication *p, uint64_t *mask)
{
	enum publish_result r = PUBLISH_OK;
	struct hub *h = pub->hub;
	uint8_t flags;

	p->channel =
	    publisher_target(h, name, len, to, publication_is_event(p));
	if (p->channel == SHM_NONE)
		return to == PUBLISH_MAKE ? PUBLISH_FULL : PUBLISH_ABSENT;
	publisher_subscription(h, what, p, text);
	flags = SHM_LOAD(h->entry[p->channel].flags);
	if (flags != 0 && h->readers != 0 && !publication_is_event(p)) {
		r = publisher_judge(h, flags, to, p);
		if (r == PUBLISH_OK && publisher_required(h, flags) != 0)
			publisher_settle(pub, name, len, what, p);
	}
	if (r == PUBLISH_OK)
		*mask = journal_append(h, p);
	return r;
}

/* Wakes the readers that are asked for something, or sleep while what they have
 * not read keeps a publication back. */
static void
publisher_wake(
    struct hub *h, const struct publication *p, enum publish_result r)
{
	if (r == PUBLISH_COLD || r == PUBLISH_BUSY)
		reader_wake(h, h->readers);
	else if (p->flags != 0)
		reader_wake(h, p->required);
}

enum publish_result
publisher_publish(struct publisher *pub, const char *name, size_t len,
    enum publish_to to, const struct publishing *what, struct publication *out,
    uint64_t *mask)
{
	struct sender_text text; /* until the relay has it */
	struct hub *h = pub->hub;
	enum publish_result r;

	publisher_describe(pub, what, out, &text);
	if (publication_bytes(out) > h->journal_size / JOURNAL_SHARE)
		return PUBLISH_TOO_BIG;
	if (h->readers == 0)
		hub_lock(h);
	else
		journal_lock(h, publication_bytes(out) + BLOB_MAX);
	r = publisher_append(pub, name, len, to, what, &text, out, mask);
	hub_unlock(h);
	if (h->readers != 0)
		publisher_wake(h, out, r);
	if (r != PUBLISH_OK)
		return r;
	if (pub->count != NULL)
		SHM_COUNT(*pub->count, 1);
	if (pub->relay != NULL)
		pub->relay(pub->arg, out, *mask);
	return PUBLISH_OK;
}
