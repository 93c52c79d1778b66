#include "takeover/move.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "room/rooms.h"
#include "room/channel.h"
#include "room/event.h"
#include "conn/conn.h"
#include "conn/head.h"
#include "conn/socket.h"
#include "room/publish.h"
#include "room/user.h"
#include "takeover/give.h"
#include "hub/blob.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"

/* A connection's records, copied here, before they are its own. */
struct copy {
	uint32_t slot;
	uint64_t id;
	int fd;
	uint64_t life; /* the slot's life word before anything was copied */
	enum slot_state state; /* of that: it is taken out of it */
	uint64_t part;
	uint32_t info;
	uint32_t subs; /* link of the first of them */
	bool ending;
	bool closed;  /* its peer has reset it meanwhile */
	bool said;    /* our FIN is sent */
	bool present; /* in its channels: not so once it has left them */
	struct conn_stations stations;
	struct output out;
};

/* Whether a slot is one that may be taken from that worker: which is dead, or
 * gives it here. */
static bool
move_may_take(const struct chat *ch, const struct copy *c, int from, bool given)
{
	int to = (int)(c->life >> 8 & 0xff),
	    giver = (int)(c->life >> 48 & 0xff);

	if (c->slot == SHM_NONE || ch->conn[c->slot].phase != CONN_NONE ||
	    (c->life >> 16 << 32 | c->slot) != c->id)
		return false;
	if (given)
		return c->state == SLOT_MOVING && to == ch->hub->self &&
		    giver == from;
	return to == from && (c->state == SLOT_OPEN || c->state == SLOT_ENDING);
}

/* Makes the connection this worker's if its life word has not changed. False if
 * its giver has taken it back meanwhile, perhaps to give it again: it goes on
 * there, and the copies are of no use. */
static bool
move_pass(struct hub *h, const struct copy *c, enum slot_state state)
{
	return slot_pass_exact(h, c->slot, c->life, h->self, state);
}

/* The result of copying a connection's records. */
enum copied {
	COPY_DONE,
	COPY_NO_ROOM,  /* all of it is where it was */
	COPY_CORRUPTED /* its records are corrupted */
};

/* Copies what a token's info says of a connection into an own page; *copy 0:
 * there is none. False: no page is left. */
static bool
move_info_copy(struct chat *ch, uint64_t conn, uint32_t info, uint32_t *copy)
{
	char bytes[BLOB_MAX];
	size_t n = blob_get(ch->hub, info, conn, bytes);

	*copy = n > 0 ? head_blob(ch, conn, bytes, n) : 0;
	return n == 0 || *copy != 0;
}

/* The next of a connection's subscriptions among another worker's records: a
 * copy. Each walk stops at the same one. */
static bool
move_record_next(
    const struct hub *h, struct subscription_walk *w, struct subscription *out)
{
	uint32_t sub = subscription_walk_next(h, w), channel;

	if (sub == SHM_NONE)
		return false;
	memcpy(out, &h->subscription[sub], sizeof(*out));
	channel = subscription_channel(out);
	return channel < h->n_entries && !presence_is_user(h, channel) &&
	    subscription_conn(out) == w->conn;
}

/* Copies one subscription; false if there is no room for it. */
static bool
move_subscription_copy(struct chat *ch, struct copy *c, struct subscription *s)
{
	struct hub *h = ch->hub;
	uint32_t new;

	if (!move_info_copy(ch, c->id, s->info, &s->info))
		return false;
	channel_revoked(h, s);
	new = subscription_prepare(h, &ch->rooms->subscriptions, s, c->subs);
	if (new == SHM_NONE) {
		blob_drop(&ch->input, s->info);
		return false;
	}
	c->subs = shm_link(new);
	return true;
}

/* Whether a channel is among those copied so far: the former worker's chain
 * goes round then. */
static bool
move_subscription_is_copied(
    const struct hub *h, const struct copy *c, uint32_t channel)
{
	struct subscription_walk w = subscription_walk_of(c->id, c->subs);
	uint32_t sub;

	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE)
		if (SHM_OWN(h->subscription[sub].channel) == channel)
			return true;
	return false;
}

/* Copies the connection's subscriptions from the former worker's records: they
 * are in force when the connection is this worker's, not before. False if there
 * is no room for all. */
static bool
move_subscriptions_copy(struct chat *ch, struct copy *c)
{
	struct subscription_walk w = subscription_walk(ch->hub, c->slot);
	struct subscription s;

	while (move_record_next(ch->hub, &w, &s))
		if (!move_subscription_is_copied(
			ch->hub, c, SHM_OWN(s.channel)) &&
		    !move_subscription_copy(ch, c, &s))
			return false;
	return true;
}

/* Gives back what move_records_copy() has taken so far. */
static void
move_records_drop(struct chat *ch, struct copy *c)
{
	output_uncopy(&ch->output, &c->out);
	input_uncopy(&ch->input, c->part);
	blob_drop(&ch->input, c->info);
	channel_drop(ch, c->id, c->subs, false);
	c->info = c->subs = 0;
}

/* Copies a connection's records. If the peer is gone all output counts as
 * written. */
static enum copied
move_records_copy(struct chat *ch, struct copy *c)
{
	struct slot *s = conn_slot(ch, c->slot);
	const struct transport_socket socket =
	    conn_socket_of(ch, c->slot, c->fd);
	struct counters k;
	int r;

	if (!conn_stations_of(ch, c->slot, &c->stations) ||
	    transports[c->stations.transport]->positions(&socket, false, &k) <
		0)
		return COPY_CORRUPTED;
	c->closed = k.closed;
	c->said = k.fin_sent;
	r = output_copy(
	    &ch->output, &c->out, c->slot, k.closed ? OUTPUT_ALL : k.written);
	if (r < 0)
		return r == OUTPUT_CORRUPTED ? COPY_CORRUPTED : COPY_NO_ROOM;
	if (c->state != SLOT_MOVING) /* its worker is dead */
		output_redo(&ch->output, &c->out, c->slot);
	r = head_input_copy(ch, c->slot, &c->part);
	if (r < 0 || !move_info_copy(ch, c->id, s->info, &c->info)) {
		move_records_drop(ch, c);
		return r == INPUT_CORRUPTED ? COPY_CORRUPTED : COPY_NO_ROOM;
	}
	c->ending = c->state == SLOT_ENDING;
	c->present = !c->ending || slot_is_leaving(ch->hub, c->slot);
	if (c->present && !move_subscriptions_copy(ch, c)) {
		move_records_drop(ch, c);
		return COPY_NO_ROOM;
	}
	return COPY_DONE;
}

/* This worker's bits in presence for what the connection has; the former
 * worker's go later, so that no user is seen to leave. */
static void
move_enter(struct chat *ch, struct copy *c)
{
	struct hub *h = ch->hub;
	struct subscription_walk w = subscription_walk_of(c->id, c->subs);
	struct conn *n = &ch->conn[c->slot];
	uint32_t user = SHM_ONCE(conn_slot(ch, c->slot)->user), sub, channel;

	n->door = c->stations.door;
	if (presence_is_user(h, user)) {
		presence_set(h, user);
		n->present = true;
		user_list_add(ch, c->slot, user);
		if (conn_in_lobby(ch, c->slot)) {
			presence_set(h, PRESENCE_LOBBY);
			ch->rooms->members[PRESENCE_LOBBY]++;
		}
	}
	while ((sub = subscription_walk_next(h, &w)) != SHM_NONE) {
		channel = subscription_channel(&h->subscription[sub]);
		presence_set(h, channel);
		channel_count(ch, channel);
	}
}

/* Stores the numbers of the copied records in the slot. */
static void
move_fields_store(struct hub *h, struct shm_worker *me, uint32_t i)
{
	if (SHM_LOAD(h->slot[i].last) < SHM_LOAD(me->move_from))
		SHM_STORE(h->slot[i].last, SHM_LOAD(me->move_from));
	h->slot[i].flags |= SLOT_MOVED;
	/* that spoke of the former worker's set */
	SHM_STORE(h->slot[i].watched, 0);
	SHM_STORE(h->slot[i].chunk, SHM_LOAD(me->move_chunk));
	SHM_STORE(h->slot[i].part, SHM_LOAD(me->move_part));
	h->slot[i].info = SHM_LOAD(me->move_info);
	h->slot[i].subscriptions = SHM_LOAD(me->move_subs);
	SHM_STORE(h->socket[i], SHM_LOAD(me->move_socket));
	SHM_STORE(me->move_id, 0);
}

void
move_redo(struct hub *h, int worker)
{
	struct shm_worker *dead = &h->worker[worker];
	uint64_t id = SHM_LOAD(dead->move_id);
	uint32_t i = slot_find(h, id);

	if (id != 0 && i != SHM_NONE && slot_holder(h, i) == worker)
		move_fields_store(h, dead, i);
	SHM_STORE(dead->move_id, 0);
}

/* The one store that makes the connection this worker's. False if it is
 * another's by now. */
static bool
move_commit(struct chat *ch, struct copy *c, int from)
{
	struct hub *h = ch->hub;
	/* A dead worker's cursor stands for all that it had delivered, but
	 * for those that moved and do not have it yet; a living one's has
	 * moved on since it froze this connection. */
	bool delivered =
	    c->state != SLOT_MOVING && !(h->slot[c->slot].flags & SLOT_MOVED);
	bool ok;

	if (c->state != SLOT_MOVING)
		adopt_stage_bring(ch, c->id, from);
	SHM_STORE(h->me->move_id, 0);
	SHM_STORE(h->me->move_chunk, shm_link(c->out.chunk));
	SHM_STORE(h->me->move_part, c->part);
	SHM_STORE(h->me->move_info, c->info);
	SHM_STORE(h->me->move_subs, c->subs);
	SHM_STORE(h->me->move_from,
	    delivered && from >= 0 ? SHM_LOAD(h->line[from].cursor) : 0);
	SHM_STORE(h->me->move_socket, table_word(h, c->fd));
	SHM_STORE(h->me->move_id, c->id);
	/* from here on it is in the family's table for good */
	ok = counters_came(c->fd) == 0;
	KILL_POINT();
	ok = ok && move_pass(h, c, c->ending ? SLOT_ENDING : SLOT_OPEN);
	if (ok)
		move_fields_store(h, h->me, c->slot);
	else
		SHM_STORE(h->me->move_id, 0);
	return ok;
}

/* Makes the private part; the connection lives here. */
static void
move_go_on(struct chat *ch, struct copy *c)
{
	struct conn *n = &ch->conn[c->slot], entered = *n;

	memset(n, 0, sizeof(*n));
	n->present = entered.present;
	n->user = entered.user;
	n->transport = c->stations.transport;
	n->door = c->stations.door;
	n->dialect = c->stations.dialect;
	n->out = c->out;
	n->fd = c->fd;
	n->phase = !c->ending ? CONN_OPEN : c->said ? CONN_LINGER : CONN_ENDING;
	n->paused = n->phase == CONN_ENDING;
	n->due_ms = (uint32_t)ch->now_ms +
	    (n->phase == CONN_LINGER ? CHAT_LINGER_MS : CHAT_ENDING_MS);
	conn_number(ch, c->slot, true);
	conn_rest_look(ch, c->slot, false);
	if (!c->ending)
		ch->n_open++;
	ch->n_conns++;
}

/* Ends a dead worker's connection whose records are corrupted: of these only
 * its joins, which others were told of, are used. The leaves come first: a
 * worker that finds the slot in use later tells them again, which changes
 * nothing. */
static void
move_end(struct chat *ch, struct copy *c)
{
	log_warn("connection %016llx cannot be taken over: its records are "
		 "corrupted, closed",
	    (unsigned long long)c->id);
	channel_tell_leaves(ch, c->slot);
	/* its descriptor is closed by who sees that the slot is free */
	if (move_pass(ch->hub, c, SLOT_CLOSING))
		slot_release(ch->hub, &ch->slots, c->slot);
}

/* It stays where it was: with its giver, or in the dead worker's table. */
static void
move_leave(struct chat *ch, struct copy *c)
{
	close(c->fd);
	KILL_POINT();
}

/* Gives up a copy that is not committed. */
static void
move_forget(struct chat *ch, struct copy *c)
{
	if (c->present) {
		user_leave(ch, c->slot);
		channel_drop(ch, c->id, c->subs, true);
		c->subs = 0;
	}
	ch->conn[c->slot].phase = CONN_NONE;
	move_records_drop(ch, c);
	move_leave(ch, c);
}

/* Whether one of the batch is to be gone on with: its records are copied. */
static bool
move_begin(
    struct chat *ch, struct copy *c, int from, bool given, uint32_t *left)
{
	if (c->slot != SHM_NONE)
		c->life = SHM_LOAD(ch->hub->slot[c->slot].life);
	c->state = c->life & 7;
	if (c->fd >= CHAT_FDS || !move_may_take(ch, c, from, given)) {
		close(c->fd);
		return false;
	}
	switch (move_records_copy(ch, c)) {
	case COPY_DONE:
		/* so that it is not copied again, should it come twice */
		ch->conn[c->slot].phase = CONN_MOVING;
		return true;
	case COPY_CORRUPTED:
		if (!given) /* else the giver still has it, with its records */
			move_end(ch, c);
		break;
	case COPY_NO_ROOM:
		++*left;
		break;
	}
	move_leave(ch, c);
	return false;
}

/* Takes up one whose records are copied; false if it stays where it was. */
static bool
move_complete(struct chat *ch, struct copy *c, int from, bool given,
    const struct adopt_fault *fault)
{
	static const struct adopt_fault none;

	if (!move_commit(ch, c, from)) {
		move_forget(ch, c);
		return false;
	}
	move_go_on(ch, c);
	if (c->closed) {
		conn_drop(ch, c->slot, "reset meanwhile");
		return true;
	}
	if (!c->ending)
		deliver_missed(ch, c->slot);
	adopt_settle(ch, c->slot, given ? &none : fault);
	return true;
}

uint32_t
move_take(struct chat *ch, int from, const uint64_t *id, const int *fd,
    uint32_t n, const struct adopt_fault *fault, uint32_t *left)
{
	static struct copy copy[MOVE_MAX];
	struct hub *h = ch->hub;
	uint32_t k, m = 0, taken = 0, stay = 0;
	bool given = fault == NULL;

	/* one of them may have been given away from here */
	if (ch->n_moving > 0)
		give_look(ch);
	/* output that several of them wait for is copied once */
	if (n > 1)
		output_copies_begin(&ch->output);
	for (k = 0; k < n && m < MOVE_MAX; k++) {
		copy[m] = (struct copy){
		    .slot = slot_find(h, id[k]), .id = id[k], .fd = fd[k]};
		m += move_begin(ch, &copy[m], from, given, &stay);
		line_tick(h);
	}
	hub_lock(h);
	for (k = 0; k < m; k++)
		if (copy[k].present)
			move_enter(ch, &copy[k]);
	hub_unlock(h);
	/* from here on publications are for this worker, too: it catches up
	 * with those before on its connections' behalf */
	deliver_all(ch);
	for (k = 0; k < m; k++) {
		taken += move_complete(ch, &copy[k], from, given, fault);
		line_tick(h);
	}
	output_copies_end(&ch->output);
	if (left != NULL)
		*left = stay;
	return taken;
}
