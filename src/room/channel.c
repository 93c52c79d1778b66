#include <string.h>

#include "room/channel.h"
#include "room/rooms.h"
#include "room/event.h"
#include "conn/hold.h"
#include "conn/recipient.h"
#include "room/quota.h"
#include "hub/lock.h"
#include "hub/reader.h"

_Static_assert(
    (int)CONF_CONNECTION_CHANNELS_MAX <= (int)SUBSCRIPTIONS_MAX, "conf.h");

size_t
channel_name(
    const struct hub *h, uint32_t channel, char out[PRESENCE_NAME_MAX + 1])
{
	struct presence_view v;

	out[0] = '\0';
	if (!presence_read(h, channel, &v))
		return 0;
	memcpy(out, v.name, v.name_len + 1);
	return v.name_len;
}

void
channel_count(struct chat *ch, uint32_t channel)
{
	if (channel < ch->hub->n_entries)
		ch->rooms->members[channel]++;
}

uint32_t
channel_hold(struct chat *ch, const char *name, size_t len,
    const struct charge_terms *terms, enum charge_result *how)
{
	uint32_t e = presence_enter_for(ch->hub, name, len, terms, how);

	if (e != SHM_NONE)
		channel_count(ch, e);
	return e;
}

void
channel_release(struct chat *ch, uint32_t channel)
{
	if (channel >= ch->hub->n_entries || ch->rooms->members[channel] == 0 ||
	    --ch->rooms->members[channel] > 0)
		return;
	hub_lock(ch->hub);
	presence_leave(ch->hub, channel, ch->hub->self);
	hub_unlock(ch->hub);
}

/* A connection is refused a channel or a subscription. */
static enum channel_result
channel_refuse(struct chat *ch, uint32_t conn, enum quota quota)
{
	quota_refuse(ch, conn, quota);
	return quota == QUOTA_USER_CHANNELS ? CHANNEL_LIMIT : CHANNEL_FULL;
}

/* An entry's position: its newest offset and epochs. Lock held. */
static void
channel_position_read(
    const struct hub *h, uint32_t e, struct channel_position *at)
{
	at->channel = e;
	at->epoch = SHM_LOAD(h->entry[e].epoch);
	at->offset = SHM_LOAD(h->entry[e].offset);
	at->stream = SHM_LOAD(h->stream[e]);
}

/* Whether a channel is cold; then its reader is asked, which is to be woken
 * when the lock is given back. Lock held. */
static bool
channel_ask(struct chat *ch, uint32_t e)
{
	return ch->hub->readers != 0 && presence_is_cold(ch->hub, e);
}

/* channel_ask() for who does not begin the channel. */
static bool
channel_ask_known(struct chat *ch, uint32_t e)
{
	return ch->hub->readers != 0 && presence_is_cold_known(ch->hub, e);
}

/* Whether the command in hand has learnt that nobody knows a channel, which is
 * nobody's still. Lock held. */
static bool
channel_is_unknown(const struct chat *ch, uint32_t e)
{
	return hold_ended(ch) == HOLD_ABSENT && e != SHM_NONE &&
	    presence_mask(ch->hub, e) == 0 &&
	    PRESENCE_WARMTH_OF(presence_flags(ch->hub, e)) != PRESENCE_OPEN;
}

enum channel_result
channel_find(struct chat *ch, const char *name, size_t len, bool make,
    struct channel_position *at)
{
	uint32_t e;
	bool cold;

	hub_lock(ch->hub);
	e = make ? presence_make(ch->hub, name, len)
		 : presence_recall(ch->hub, name, len);
	if (!make && channel_is_unknown(ch, e))
		e = SHM_NONE;
	cold = make ? channel_ask(ch, e) : channel_ask_known(ch, e);
	if (e != SHM_NONE)
		channel_position_read(ch->hub, e, at);
	hub_unlock(ch->hub);
	if (cold) {
		reader_wake(ch->hub, PRESENCE_OPENERS);
		return CHANNEL_COLD;
	}
	if (e != SHM_NONE)
		return CHANNEL_OK;
	return make ? channel_refuse(ch, SHM_NONE, QUOTA_CHANNELS)
		    : CHANNEL_ABSENT;
}

uint32_t
channel_subscription(
    struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	uint32_t e;

	hub_lock(ch->hub);
	e = presence_find(ch->hub, name, len);
	hub_unlock(ch->hub);
	return e != SHM_NONE ? subscription_find(ch->hub, conn, e) : SHM_NONE;
}

/* Ends one subscription. */
static void
channel_subscription_end(struct chat *ch, uint32_t sub)
{
	struct subscription *s = &ch->hub->subscription[sub];
	uint32_t channel = subscription_channel(s), info = s->info;

	if (!claim_has(&ch->rooms->subscriptions, sub))
		return;
	subscription_remove(ch->hub, &ch->rooms->subscriptions, sub);
	blob_drop(&ch->input, info);
	channel_release(ch, channel);
}

/* A subscription that is there already goes on. One that was HELD begins now,
 * at the channel's newest offset, which its answer tells, if that is known. */
static void
channel_resume(
    struct chat *ch, struct subscription *s, struct channel_position *at)
{
	uint32_t channel = subscription_channel(s);
	uint64_t newest;

	if (SHM_OWN(s->offset) == SUBSCRIPTION_HELD &&
	    channel < ch->hub->n_entries) {
		hub_lock(ch->hub);
		newest = PRESENCE_WARMTH_OF(presence_flags(ch->hub, channel)) ==
			PRESENCE_OPEN
		    ? SHM_LOAD(ch->hub->entry[channel].offset)
		    : SUBSCRIPTION_HELD;
		hub_unlock(ch->hub);
		SHM_STORE(s->offset, newest);
	}
	at->channel = channel;
	at->epoch = s->epoch;
	at->offset = SHM_OWN(s->offset);
	at->stream = presence_stream(ch->hub, channel, s->epoch);
}

/* Enters the channel of a subscription that is about to be made, if it is not
 * cold: then only *at is filled in. One of the server's is made all the same:
 * HELD, until its client has been told where the channel stands. */
static enum channel_result
channel_enter(struct chat *ch, uint32_t conn, const char *name, size_t len,
    bool server, struct channel_position *at)
{
	struct charge_terms terms = quota_terms(ch, conn);
	struct hub *h = ch->hub;
	enum charge_result how = CHARGE_FURTHER;
	uint32_t e = SHM_NONE;
	bool cold;

	hub_lock(h);
	if (h->readers != 0)
		e = presence_recall_for(h, name, len, &terms);
	cold = channel_ask(ch, e);
	if (!cold || server)
		e = channel_hold(ch, name, len, &terms, &how);
	if (e != SHM_NONE)
		channel_position_read(h, e, at);
	if (cold)
		at->offset = SUBSCRIPTION_HELD;
	hub_unlock(h);
	if (cold)
		reader_wake(h, PRESENCE_OPENERS);
	if (cold && !server)
		return CHANNEL_COLD;
	return e != SHM_NONE
	    ? CHANNEL_OK
	    : channel_refuse(ch, conn, quota_of(CHARGE_CHANNELS, how));
}

enum channel_result
channel_subscribe(struct chat *ch, uint32_t conn, const char *name, size_t len,
    const struct subscription *terms, struct channel_position *at,
    uint32_t *sub)
{
	struct subscription new = *terms;
	struct hub *h = ch->hub;
	enum channel_result entered;

	*sub = channel_subscription(ch, conn, name, len);
	if (*sub != SHM_NONE &&
	    h->subscription[*sub].flags & SUBSCRIPTION_REVOKED) {
		/* a worker died while it ended that subscription */
		channel_tell_leave(ch, *sub);
		channel_subscription_end(ch, *sub);
		*sub = SHM_NONE;
	}
	if (*sub != SHM_NONE) {
		channel_resume(ch, &h->subscription[*sub], at);
		return CHANNEL_ALREADY;
	}
	if (subscription_count(h, conn) >= ch->live.connection_channels)
		return CHANNEL_LIMIT;
	entered = channel_enter(
	    ch, conn, name, len, terms->flags & SUBSCRIPTION_SERVER, at);
	if (entered != CHANNEL_OK)
		return entered;
	new.slot = conn;
	new.channel = shm_link(at->channel);
	new.offset = at->offset;
	new.epoch = at->epoch;
	if (new.flags & SUBSCRIPTION_JOIN_LEAVE)
		new.flags |= SUBSCRIPTION_AWAY;
	if (new.info != 0)
		conn_slot(ch, conn)->flags |= SLOT_SUB_INFO;
	*sub = subscription_add(h, &ch->rooms->subscriptions, &new);
	if (*sub == SHM_NONE) {
		channel_release(ch, at->channel);
		return channel_refuse(ch, conn, QUOTA_SUBSCRIPTIONS);
	}
	return CHANNEL_OK;
}

enum channel_result
channel_unsubscribe(
    struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	uint32_t sub = channel_subscription(ch, conn, name, len);

	if (sub == SHM_NONE)
		return CHANNEL_ABSENT;
	channel_subscription_end(ch, sub);
	return CHANNEL_OK;
}

void
channel_unsubscribe_all(struct chat *ch, uint32_t conn)
{
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	uint32_t sub;

	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE)
		channel_subscription_end(ch, sub);
	conn_slot(ch, conn)->subscriptions = 0;
}

/* Drops a record whose connection is gone, or goes on at another worker. */
static void
channel_orphan_drop(struct chat *ch, uint32_t sub)
{
	struct subscription *s = &ch->hub->subscription[sub];
	uint32_t channel = subscription_channel(s), info = s->info;

	subscription_drop(ch->hub, &ch->rooms->subscriptions, sub);
	blob_drop(&ch->input, info);
	channel_release(ch, channel);
}

enum subscription_fault
channel_mend(struct chat *ch, uint32_t sub, uint32_t *steps)
{
	enum subscription_fault fault =
	    subscription_check(ch->hub, &ch->rooms->subscriptions, sub, steps);
	uint32_t conn = SHM_ONCE(ch->hub->subscription[sub].slot);

	/* a connection that moves away has its records here until the other
	 * worker says that it has taken it */
	if (conn < ch->hub->n_slots && ch->conn[conn].phase == CONN_MOVING)
		return SUBSCRIPTION_SOUND;
	if (fault == SUBSCRIPTION_UNCHAINED)
		subscription_chain(ch->hub, sub);
	else if (fault == SUBSCRIPTION_ORPHAN)
		channel_orphan_drop(ch, sub);
	return fault;
}

/* Members are counted and handed on up to a maximum. */
struct members {
	const struct chat *ch;
	const struct hub *h;
	const struct channel_position *at;
	int worker; /* whose records are looked at */
	uint32_t left;
	bool more; /* than those: it is over */
	bool (*member)(const struct channel_member *, void *);
	void *arg;
};

/* Hands on one connection that is in the channel: by its slot, or by its
 * record, which names it by its id. While a connection moves two workers have
 * records of it: those of the worker that its slot names count. The copy
 * belongs to the channel that was asked for only if that still has its entry
 * afterwards. */
static void
channel_member_slot(
    struct members *m, uint32_t i, const struct subscription *record)
{
	struct channel_member out = {
	    .sub_info = record != NULL ? record->info : 0};
	struct slot s;

	if (!slot_read(m->h, i, &s, &out.id) || !slot_is_live(m->h, out.id) ||
	    (record != NULL &&
		(subscription_conn(record) != out.id ||
		    s.worker != m->worker)) ||
	    (record == NULL && m->at->channel != PRESENCE_LOBBY &&
		s.user != m->at->channel) ||
	    SHM_LOAD(m->h->entry[m->at->channel].epoch) != m->at->epoch)
		return;
	if (m->left == 0) {
		m->more = true;
		return;
	}
	m->left--;
	out.user = s.user;
	out.info = s.info;
	m->more = !m->member(&out, m->arg);
}

/* Hands on one subscriber. */
static bool
channel_member_cb(const struct subscription *s, void *arg)
{
	struct members *m = arg;

	if ((s->flags & (SUBSCRIPTION_PRESENT | SUBSCRIPTION_REVOKED)) ==
	    SUBSCRIPTION_PRESENT)
		channel_member_slot(m, s->slot, s);
	return !m->more;
}

/* The connections that are members without a subscription: of the lobby those
 * at a door that makes them so, of "#user" all of that user. */
static void
channel_members_scan(struct members *m)
{
	const struct hub *h = m->h;
	uint32_t channel = m->at->channel, i;
	const struct slot *s;

	for (i = slot_ever(h, 0); i < h->n_slots && !m->more;
	     i = slot_ever(h, i + 1)) {
		s = &h->slot[i];
		if (slot_is_open(h, i) &&
		    (channel == PRESENCE_LOBBY
			    ? conn_door_lobby(m->ch, SHM_ONCE(s->door))
			    : s->user == channel))
			channel_member_slot(m, i, NULL);
	}
}

bool
channel_members(struct chat *ch, const struct channel_position *at,
    uint32_t max, bool (*member)(const struct channel_member *, void *),
    void *arg)
{
	struct members m = {ch, ch->hub, at, -1, max, false, member, arg};
	struct presence_view v;
	uint64_t mask;

	if (!presence_read(ch->hub, at->channel, &v) || v.epoch != at->epoch)
		return true;
	if (at->channel == PRESENCE_LOBBY ||
	    presence_name_is_user(v.name, v.name_len))
		channel_members_scan(&m);
	for (mask = v.mask; mask != 0 && !m.more; mask &= mask - 1) {
		m.worker = __builtin_ctzll(mask);
		subscription_members(ch->hub, m.worker, at->channel,
		    ch->hub->n_subscriptions, channel_member_cb, &m);
	}
	return !m.more;
}

bool
channel_member_text(const struct hub *h, const struct channel_member *m,
    struct member_text *out)
{
	out->user_len = user_name(h, m->user, out->user);
	out->info_len = blob_get(h, m->info, m->id, out->info);
	out->sub_info_len = blob_get(h, m->sub_info, m->id, out->sub_info);
	/* the connection holds its user's entry, so the name is its user's */
	shm_copied();
	return slot_is_live(h, m->id);
}

void
channel_drop(struct chat *ch, uint64_t id, uint32_t first, bool entered)
{
	struct subscription_walk w = subscription_walk_of(id, first);
	struct subscription *s;
	uint32_t channel, sub;

	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE &&
	    claim_has(&ch->rooms->subscriptions, sub)) {
		s = &ch->hub->subscription[sub];
		channel = subscription_channel(s);
		blob_drop(&ch->input, s->info);
		subscription_drop(ch->hub, &ch->rooms->subscriptions, sub);
		if (entered)
			channel_release(ch, channel);
	}
}
