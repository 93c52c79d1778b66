#include "room/event.h"

#include <string.h>

#include "room/channel.h"
#include "conn/recipient.h"
#include "room/publish.h"
#include "room/user.h"
#include "hub/blob.h"
#include "hub/event.h"
#include "hub/lock.h"
#include "hub/stats.h"

/* Publishes a join or leave; the record of the subscription (SHM_NONE: none, as
 * in the lobby and in the user's own channel) is marked as told. */
static void
tell(struct chat *ch, uint32_t conn, const char *name, size_t len,
    enum publication_format format, uint32_t sub)
{
	const struct publishing what = {.conn = conn,
	    .subscription = sub,
	    .format = (uint8_t)format,
	    .data = "",
	    .len = 0};
	struct publication p;
	uint64_t mask;

	/* if no connection has the channel any more, none is to be told */
	(void)publish(ch, name, len, PUBLISH_KNOWN, &what, &p, &mask);
}

/* Publishes a subscription's join or leave if it was not published yet: no
 * second join, no leave without a join. */
static void
tell_sub(struct chat *ch, uint32_t sub, enum publication_format format)
{
	const struct subscription *s = &ch->hub->subscription[sub];
	uint32_t conn = SHM_ONCE(s->slot);
	bool away = s->flags & SUBSCRIPTION_AWAY;
	char name[PRESENCE_NAME_MAX + 1];
	size_t len;

	if (conn >= ch->hub->n_slots ||
	    subscription_conn(s) != slot_id(ch->hub, conn) ||
	    !(s->flags & SUBSCRIPTION_JOIN_LEAVE) ||
	    away != (format == FORMAT_JOIN))
		return;
	len = channel_name(ch->hub, subscription_channel(s), name);
	if (len > 0)
		tell(ch, conn, name, len, format, sub);
}

void
channel_tell_join(struct chat *ch, uint32_t sub)
{
	tell_sub(ch, sub, FORMAT_JOIN);
}

void
channel_tell_leave(struct chat *ch, uint32_t sub)
{
	tell_sub(ch, sub, FORMAT_LEAVE);
}

void
channel_tell_lobby_join(struct chat *ch, uint32_t conn)
{
	const struct conf_channel *rule = conf_channel_find(
	    &ch->live, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN);

	if (rule != NULL && rule->join_leave)
		tell(ch, conn, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN,
		    FORMAT_JOIN, SHM_NONE);
}

void
channel_tell_own_join(struct chat *ch, uint32_t conn)
{
	const struct slot *s = conn_slot(ch, conn);
	char name[PRESENCE_NAME_MAX + 1];
	size_t len = channel_name(ch->hub, s->user, name);
	const struct conf_channel *rule;

	if (!presence_name_is_user(name, len))
		return;
	rule = conf_channel_find(&ch->live, name, len);
	if (rule != NULL && rule->join_leave && s->flags & SLOT_OWN_AWAY)
		tell(ch, conn, name, len, FORMAT_JOIN, SHM_NONE);
}

/* Publishes its leave in the user's own channel, if its join was published
 * there. */
static void
tell_own_leave(struct chat *ch, uint32_t conn)
{
	const struct slot *s = conn_slot(ch, conn);
	char name[PRESENCE_NAME_MAX + 1];
	size_t len;

	if (s->flags & SLOT_OWN_AWAY || s->user == SHM_NONE)
		return;
	len = channel_name(ch->hub, s->user, name);
	if (presence_name_is_user(name, len))
		tell(ch, conn, name, len, FORMAT_LEAVE, SHM_NONE);
}

void
channel_revoke(struct chat *ch, uint32_t sub)
{
	struct subscription *s = &ch->hub->subscription[sub];
	uint32_t conn = SHM_ONCE(s->slot);

	channel_tell_leave(ch, sub);
	if (s->flags & SUBSCRIPTION_REVOKED || conn >= ch->hub->n_slots)
		return;
	subscription_set_revoked(s, SHM_OWN(conn_slot(ch, conn)->appended));
	KILL_POINT();
}

void
channel_revoked(const struct hub *h, struct subscription *s)
{
	uint32_t conn = SHM_ONCE(s->slot);

	if (!(s->flags & SUBSCRIPTION_REVOKED) ||
	    s->flags & SUBSCRIPTION_TOLD || conn >= h->n_slots)
		return;
	if (SHM_LOAD(h->slot[conn].appended) > subscription_revoked_at(s))
		s->flags |= SUBSCRIPTION_TOLD;
	else /* the client was not told: it is revoked anew, but the leave is
	      * not told twice */
		s->flags &= ~(uint32_t)SUBSCRIPTION_REVOKED;
}

void
channel_finish(struct chat *ch, uint32_t conn, const char *name, size_t len)
{
	uint32_t sub = channel_subscription(ch, conn, name, len);

	if (sub == SHM_NONE)
		return;
	/* the leave first: a record that is not marked makes the next worker
	 * tell it again */
	tell_sub(ch, sub, FORMAT_LEAVE);
	channel_unsubscribe(ch, conn, name, len);
}

void
channel_undo(
    struct chat *ch, uint32_t conn, const char *name, size_t len, uint64_t key)
{
	uint32_t sub = ch->replaying ? channel_subscription(ch, conn, name, len)
				     : SHM_NONE;

	if (sub != SHM_NONE &&
	    subscription_key(&ch->hub->subscription[sub]) == key)
		channel_finish(ch, conn, name, len);
}

/* Writes the data of a connection's event: struct event_end, then the device;
 * returns the length. */
static uint32_t
event_end_write(const struct slot *s, uint64_t life,
    enum publication_format format,
    char out[sizeof(struct event_end) + SLOT_DEVICE_MAX])
{
	uint8_t n =
	    s->device_len < SLOT_DEVICE_MAX ? s->device_len : SLOT_DEVICE_MAX;
	bool ending = (life & 7) == SLOT_ENDING;
	bool proved = format == FORMAT_CONNECT && s->flags & SLOT_PROVED;
	struct event_end e = {
	    .code = ending ? (uint16_t)s->close_code : (uint16_t)proved,
	    .reason = ending ? s->close_reason : REASON_NONE,
	    .port = (uint16_t)s->peer_port,
	    .family = s->family,
	    .door = s->door};

	memcpy(e.peer, s->peer, sizeof(e.peer));
	memcpy(out, &e, sizeof(e));
	memcpy(out + sizeof(e), s->device, n);
	return (uint32_t)sizeof(e) + n;
}

/* Tells readers that want events of a user's connection that it is open, or
 * ends, if they have not been told so. worker: whose it still must be; -1:
 * anyone's. */
static void
connection_tell(struct hub *h, uint32_t i, int worker,
    enum publication_format format, int64_t wall_ms)
{
	char user[USER_NAME_MAX + 1];
	char data[sizeof(struct event_end) + SLOT_DEVICE_MAX];
	struct publication p;
	struct slot s;
	uint64_t id;

	if (h->events == 0 || !slot_read(h, i, &s, &id) ||
	    (worker >= 0 && s.worker != worker) ||
	    !presence_is_user(h, s.user) ||
	    ((s.flags & SLOT_TOLD) != 0) == (format == FORMAT_CONNECT))
		return;
	p = (struct publication){.sender = id,
	    .input_key = SHM_LOAD(s.committed),
	    .subscription = SHM_NONE,
	    .channel = s.user,
	    .time_ms = wall_ms,
	    .format = (uint8_t)format,
	    .user_len = (uint8_t)user_name(h, s.user, user),
	    .data_len = event_end_write(&s, SHM_LOAD(s.life), format, data),
	    .user = user,
	    .data = data};
	hub_lock(h);
	journal_append_event(h, &p, h->events, 0);
	hub_unlock(h);
}

void
channel_tell_connect(struct chat *ch, uint32_t conn)
{
	if (ch->hub->events != 0 && ch->conn[conn].present)
		connection_tell(ch->hub, conn, -1, FORMAT_CONNECT, ch->wall_ms);
}

void
channel_tell_leaves(struct chat *ch, uint32_t conn)
{
	struct subscription_walk w = subscription_walk(ch->hub, conn);
	struct slot *s = conn_slot(ch, conn);
	uint32_t sub;

	if (!(s->flags & SLOT_AWAY))
		tell(ch, conn, PRESENCE_LOBBY_NAME, PRESENCE_LOBBY_LEN,
		    FORMAT_LEAVE, SHM_NONE);
	tell_own_leave(ch, conn);
	while ((sub = subscription_walk_next(ch->hub, &w)) != SHM_NONE)
		tell_sub(ch, sub, FORMAT_LEAVE);
	connection_tell(ch->hub, conn, -1, FORMAT_DISCONNECT, ch->wall_ms);
}

/* A leave that is to be told of a connection that has gone with its worker. */
struct gone {
	int worker;
	uint32_t slot;
	uint64_t conn; /* id; 0: the connection that has the slot now */
	uint32_t channel, epoch;
	uint32_t subscription; /* SHM_NONE: none */
	uint32_t away;	       /* without one: the flag of its slot */
	uint32_t sub_info;
	int64_t wall_ms;
};

/* Tells a channel that a connection has left with its worker, if it does not go
 * on at another one. */
static void
tell_gone(struct hub *h, const struct gone *g)
{
	char user[USER_NAME_MAX + 1], info[BLOB_MAX], room_info[BLOB_MAX];
	struct publication p = {.format = FORMAT_LEAVE,
	    .time_ms = g->wall_ms,
	    .user = user,
	    .info = info,
	    .sub_info = room_info,
	    .channel = g->channel,
	    .subscription = g->subscription,
	    .data = ""};
	struct slot slot;

	if (!slot_read(h, g->slot, &slot, &p.sender) ||
	    slot.worker != g->worker || (g->conn != 0 && g->conn != p.sender) ||
	    (g->subscription == SHM_NONE && slot.flags & g->away))
		return;
	p.user_len = (uint8_t)user_name(h, slot.user, user);
	p.info_len = (uint16_t)blob_get(h, slot.info, p.sender, info);
	p.sub_info_len =
	    (uint16_t)blob_get(h, g->sub_info, p.sender, room_info);
	p.input_key = SHM_LOAD(slot.committed);
	hub_lock(h);
	if (g->channel < h->n_entries &&
	    SHM_LOAD(h->entry[g->channel].epoch) == g->epoch)
		journal_append(h, &p);
	hub_unlock(h);
}

/* tell_gone() of a channel that a connection is in without a subscription. */
static void
slot_tell_gone(
    struct hub *h, const struct gone *of, uint32_t channel, uint32_t away)
{
	struct gone g = *of;

	if (channel >= h->n_entries)
		return;
	g.channel = channel;
	g.epoch = SHM_LOAD(h->entry[channel].epoch);
	g.away = away;
	tell_gone(h, &g);
}

/* Tells the leaves of all connections of a dead worker in the lobby, if they
 * were in it by their door, and in their users' own channels. */
static void
slots_tell_gone(struct hub *h, int worker, int64_t wall_ms)
{
	struct gone g = {
	    .worker = worker, .subscription = SHM_NONE, .wall_ms = wall_ms};
	uint32_t i;

	for (i = slot_ever(h, 0); i < h->n_slots; i = slot_ever(h, i + 1)) {
		if (!slot_in_use(h, i) || slot_holder(h, i) != worker)
			continue;
		g.slot = i;
		if (!(SHM_ONCE(h->slot[i].flags) & SLOT_AWAY))
			slot_tell_gone(h, &g, PRESENCE_LOBBY, SLOT_AWAY);
		slot_tell_gone(h, &g, SHM_ONCE(h->slot[i].user), SLOT_OWN_AWAY);
		connection_tell(h, i, worker, FORMAT_DISCONNECT, wall_ms);
	}
}

/* tell_gone() of one subscription that a dead worker had. */
static void
subscription_tell_gone(struct hub *h, uint32_t sub, int worker, int64_t wall_ms)
{
	struct subscription copy;
	struct gone g = {
	    .worker = worker, .subscription = sub, .wall_ms = wall_ms};

	memcpy(&copy, &h->subscription[sub], sizeof(copy));
	if (SHM_LOAD(copy.channel) == 0 ||
	    (copy.flags & (SUBSCRIPTION_JOIN_LEAVE | SUBSCRIPTION_AWAY)) !=
		SUBSCRIPTION_JOIN_LEAVE)
		return;
	g.slot = copy.slot;
	g.conn = subscription_conn(&copy);
	g.channel = subscription_channel(&copy);
	g.epoch = copy.epoch;
	g.sub_info = copy.info;
	tell_gone(h, &g);
}

void
channel_tell_gone(struct hub *h, int worker, int64_t wall_ms)
{
	uint32_t i;

	/* redoes what the dead worker did not finish: the mark of a leave that
	 * it has published */
	hub_lock(h);
	hub_unlock(h);
	slots_tell_gone(h, worker, wall_ms);
	for (i = 0; i < h->n_subscriptions; i++) {
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) !=
		    worker + 1) {
			i |= SHM_BLOCK - 1;
			continue;
		}
		line_tick(h);
		subscription_tell_gone(h, i, worker, wall_ms);
	}
}
