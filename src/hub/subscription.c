#include <string.h>

#include "hub/slot.h"
#include "hub/stats.h"
#include "hub/subscription.h"

/* The head of a worker's chain in a channel. */
static _Atomic uint32_t *
head_of(const struct hub *h, int worker, uint32_t channel)
{
	return &h->chain[(size_t)worker * h->n_entries + channel];
}

/* A link's record, or SHM_NONE. */
static uint32_t
link_at(const struct hub *h, uint32_t link)
{
	uint32_t sub = shm_index(link);

	return sub < h->n_subscriptions ? sub : SHM_NONE;
}

/* Makes a record and puts it into its channel's chain. */
static uint32_t
record_make(struct hub *h, struct claim *pool, const struct subscription *new,
    uint32_t link)
{
	uint32_t i = claim_take(pool), channel = subscription_channel(new);
	uint32_t first;
	_Atomic uint32_t *head;
	struct subscription *s;

	if (i == SHM_NONE)
		return SHM_NONE;
	head = head_of(h, h->self, channel);
	first = SHM_LOAD(*head);
	s = &h->subscription[i];
	memset(s, 0, sizeof(*s));
	s->slot = new->slot;
	s->use = new->use;
	s->offset = SHM_OWN(new->offset);
	s->expires_ms = new->expires_ms;
	s->epoch = new->epoch;
	s->info = new->info;
	s->flags = new->flags;
	s->key = new->key;
	s->next = first;
	s->slot_next = link;
	SHM_STORE(s->channel, shm_link(channel));
	if (link_at(h, first) != SHM_NONE)
		SHM_STORE(
		    h->subscription[shm_index(first)].previous, shm_link(i));
	SHM_STORE(*head, shm_link(i));
	return i;
}

/* Whether the command that made a connection's record is still to be answered,
 * and will be: its input is not done. */
static bool
is_unanswered(const struct hub *h, uint32_t slot, const struct subscription *s)
{
	const struct slot *conn = &h->slot[slot];
	uint64_t key = subscription_key(s);

	return key != 0 && SHM_LOAD(conn->answered) < key &&
	    KEY_POSITION(SHM_LOAD(conn->committed)) < KEY_POSITION(key);
}

uint32_t
subscription_prepare(struct hub *h, struct claim *pool,
    const struct subscription *new, uint32_t link)
{
	struct subscription held = *new;

	if (new->slot >= h->n_slots)
		return SHM_NONE;
	if (is_unanswered(h, new->slot, new))
		SHM_STORE(held.offset, SUBSCRIPTION_HELD);
	return record_make(h, pool, &held, link);
}

uint32_t
subscription_add(
    struct hub *h, struct claim *pool, const struct subscription *new)
{
	uint32_t *link = &h->slot[new->slot].subscriptions;
	struct subscription own = *new;
	uint32_t i;

	own.use = slot_use(h, new->slot);
	i = record_make(h, pool, &own, *link);

	if (i != SHM_NONE)
		*link = shm_link(i);
	return i;
}

/* The slot that a record names if its connection still has it; SHM_NONE. */
static uint32_t
record_slot(const struct hub *h, uint32_t sub)
{
	uint64_t conn = subscription_conn(&h->subscription[sub]);
	uint32_t slot = (uint32_t)conn;

	return slot < h->n_slots && slot_use(h, slot) == conn >> 32 ? slot
								    : SHM_NONE;
}

/* Takes it out of its connection's chain. */
static void
unlink_slot(struct hub *h, uint32_t sub)
{
	struct subscription *s = &h->subscription[sub];
	uint32_t slot = record_slot(h, sub), left = SUBSCRIPTIONS_MAX, *link, i;

	if (slot == SHM_NONE)
		return;
	link = &h->slot[slot].subscriptions;
	while ((i = link_at(h, SHM_ONCE(*link))) != SHM_NONE && left-- > 0) {
		if (i == sub) {
			*link = s->slot_next;
			return;
		}
		if (record_slot(h, i) != slot)
			return;
		link = &h->subscription[i].slot_next;
	}
}

void
subscription_remove(struct hub *h, struct claim *pool, uint32_t sub)
{
	unlink_slot(h, sub);
	subscription_drop(h, pool, sub);
}

void
subscription_drop(struct hub *h, struct claim *pool, uint32_t sub)
{
	struct subscription *s = &h->subscription[sub];
	uint32_t channel = subscription_channel(s), next, previous;

	if (!claim_has(pool, sub))
		return;
	next = SHM_LOAD(s->next);
	previous = SHM_LOAD(s->previous);
	if (link_at(h, next) != SHM_NONE)
		SHM_STORE(h->subscription[shm_index(next)].previous, previous);
	if (link_at(h, previous) != SHM_NONE)
		SHM_STORE(h->subscription[shm_index(previous)].next, next);
	else if (channel < h->n_entries)
		SHM_STORE(*head_of(h, h->self, channel), next);
	SHM_STORE(s->channel, 0);
	claim_give(pool, sub);
}

struct subscription_walk
subscription_walk_of(uint64_t conn, uint32_t link)
{
	return (struct subscription_walk){conn, link, SUBSCRIPTIONS_MAX};
}

struct subscription_walk
subscription_walk(const struct hub *h, uint32_t slot)
{
	return subscription_walk_of(
	    slot_id(h, slot), SHM_ONCE(h->slot[slot].subscriptions));
}

uint32_t
subscription_walk_next(const struct hub *h, struct subscription_walk *w)
{
	uint32_t i = link_at(h, w->link), channel;

	if (i == SHM_NONE || w->left == 0)
		return SHM_NONE;
	channel = subscription_channel(&h->subscription[i]);
	if (subscription_conn(&h->subscription[i]) != w->conn ||
	    channel >= h->n_entries)
		return SHM_NONE;
	w->link = SHM_ONCE(h->subscription[i].slot_next);
	w->left--;
	return i;
}

uint32_t
subscription_find(const struct hub *h, uint32_t slot, uint32_t channel)
{
	struct subscription_walk w = subscription_walk(h, slot);
	uint32_t i;

	while ((i = subscription_walk_next(h, &w)) != SHM_NONE)
		if (subscription_channel(&h->subscription[i]) == channel)
			return i;
	return SHM_NONE;
}

uint32_t
subscription_count(const struct hub *h, uint32_t slot)
{
	struct subscription_walk w = subscription_walk(h, slot);
	uint32_t n = 0;

	while (subscription_walk_next(h, &w) != SHM_NONE)
		n++;
	return n;
}

uint32_t
subscription_first(const struct hub *h, int worker, uint32_t channel)
{
	return link_at(h, SHM_LOAD(*head_of(h, worker, channel)));
}

uint32_t
subscription_next(const struct hub *h, uint32_t sub)
{
	return link_at(h, SHM_LOAD(h->subscription[sub].next));
}

/* The slot of a record if its connection is the worker's, whose chain it may
 * make anew; SHM_NONE. A record may be left of a connection that has moved to
 * another worker, or be made for one that never came here and is still its
 * giver's. */
static uint32_t
own_slot(const struct hub *h, int worker, uint32_t sub)
{
	uint32_t slot = record_slot(h, sub);

	return slot != SHM_NONE && slot_holder(h, slot) == worker ? slot
								  : SHM_NONE;
}

enum subscription_fault
subscription_check(const struct hub *h, const struct claim *pool, uint32_t sub,
    uint32_t *steps)
{
	uint32_t slot = own_slot(h, h->self, sub), i;
	struct subscription_walk w;

	++*steps;
	if (!claim_has(pool, sub) ||
	    subscription_channel(&h->subscription[sub]) == SHM_NONE)
		return SUBSCRIPTION_SOUND;
	if (slot == SHM_NONE)
		return SUBSCRIPTION_ORPHAN;
	w = subscription_walk(h, slot);
	while ((i = subscription_walk_next(h, &w)) != SHM_NONE) {
		if (i == sub)
			return SUBSCRIPTION_SOUND;
		++*steps;
	}
	return SUBSCRIPTION_UNCHAINED;
}

void
subscription_chain(struct hub *h, uint32_t sub)
{
	uint32_t slot = own_slot(h, h->self, sub);

	if (slot == SHM_NONE)
		return;
	h->subscription[sub].slot_next = h->slot[slot].subscriptions;
	h->slot[slot].subscriptions = shm_link(sub);
}

bool
subscription_members(const struct hub *h, int worker, uint32_t channel,
    uint32_t max, bool (*member)(const struct subscription *, void *),
    void *arg)
{
	uint32_t i = subscription_first(h, worker, channel), n, seen = SHM_NONE;
	struct subscription copy;

	for (n = 0; i != SHM_NONE; n++) {
		/* a circle: one of the records at steps 1, 2, 4, ... comes
		 * again */
		if (n == max || n == h->n_subscriptions || i == seen)
			return false;
		if ((n & (n - 1)) == 0)
			seen = i;
		memcpy(&copy, &h->subscription[i], sizeof(copy));
		shm_copied();
		if (subscription_channel(&copy) != channel ||
		    copy.slot >= h->n_slots ||
		    subscription_channel(&h->subscription[i]) != channel)
			return false;
		if (!member(&copy, arg))
			return true;
		i = link_at(h, copy.next);
	}
	return true;
}

/* Frees one record of a worker and forgets its channel's chain. */
static uint32_t
forget(struct hub *h, int worker, uint32_t sub)
{
	uint32_t c = subscription_channel(&h->subscription[sub]);

	if (c >= h->n_entries)
		return SHM_NONE;
	SHM_STORE(*head_of(h, worker, c), 0);
	return c;
}

/* Calls f for each record in the blocks of a worker. */
static void
each_of(struct hub *h, int worker,
    void (*f)(struct hub *h, int worker, uint32_t sub, void *arg), void *arg)
{
	uint32_t i;

	for (i = 0; i < h->n_subscriptions; i++) {
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) !=
		    worker + 1)
			i |= SHM_BLOCK - 1;
		else
			f(h, worker, i, arg);
		if (i % SHM_BLOCK == SHM_BLOCK - 1)
			line_tick(h);
	}
}

struct adoption {
	struct claim *pool;
	bool (*lives)(void *arg, uint32_t slot);
	void (*kept)(void *arg, uint32_t sub);
	void *arg;
};

/* First all chains of this worker go, and those of its connections. */
static void
adopt_forget(struct hub *h, int worker, uint32_t sub, void *arg)
{
	uint32_t slot = own_slot(h, worker, sub);

	if (forget(h, worker, sub) != SHM_NONE && slot != SHM_NONE)
		h->slot[slot].subscriptions = 0;
}

/* Then each record is chained anew, or freed. */
static void
adopt_one(struct hub *h, int worker, uint32_t sub, void *arg)
{
	struct adoption *a = arg;
	struct subscription *s = &h->subscription[sub];
	uint32_t c = subscription_channel(s), slot = own_slot(h, worker, sub);
	uint32_t first;

	if (c == SHM_NONE)
		return;
	if (c >= h->n_entries || slot == SHM_NONE || !a->lives(a->arg, slot) ||
	    !claim_mark(a->pool, sub)) {
		SHM_STORE(s->channel, 0);
		return;
	}
	first = SHM_LOAD(*head_of(h, worker, c));
	s->next = first;
	s->previous = 0;
	s->slot_next = h->slot[slot].subscriptions;
	h->slot[slot].subscriptions = shm_link(sub);
	if (link_at(h, first) != SHM_NONE)
		SHM_STORE(
		    h->subscription[shm_index(first)].previous, shm_link(sub));
	SHM_STORE(*head_of(h, worker, c), shm_link(sub));
	if (is_unanswered(h, slot, s))
		SHM_STORE(s->offset, SUBSCRIPTION_HELD);
	a->kept(a->arg, sub);
}

void
subscription_adopt(struct hub *h, struct claim *pool,
    bool (*lives)(void *arg, uint32_t slot),
    void (*kept)(void *arg, uint32_t sub), void *arg)
{
	struct adoption a = {pool, lives, kept, arg};

	each_of(h, h->self, adopt_forget, &a);
	each_of(h, h->self, adopt_one, &a);
	claim_marked(pool);
}

/* The slot whose chain a record belongs into, if that is the worker's;
 * SHM_NONE. */
static uint32_t
rechain_slot(const struct hub *h, int worker, uint32_t sub)
{
	uint32_t c = subscription_channel(&h->subscription[sub]);

	return c < h->n_entries ? own_slot(h, worker, sub) : SHM_NONE;
}

static void
rechain_forget(struct hub *h, int worker, uint32_t sub, void *arg)
{
	uint32_t slot = rechain_slot(h, worker, sub);

	if (slot != SHM_NONE)
		h->slot[slot].subscriptions = 0;
}

static void
rechain_one(struct hub *h, int worker, uint32_t sub, void *arg)
{
	uint32_t slot = rechain_slot(h, worker, sub);

	if (slot == SHM_NONE)
		return;
	h->subscription[sub].slot_next = h->slot[slot].subscriptions;
	h->slot[slot].subscriptions = shm_link(sub);
}

void
subscription_rechain(struct hub *h, int worker)
{
	each_of(h, worker, rechain_forget, NULL);
	each_of(h, worker, rechain_one, NULL);
}

/* Frees one record. */
static void
clear_one(struct hub *h, int worker, uint32_t sub, void *arg)
{
	forget(h, worker, sub);
	SHM_STORE(h->subscription[sub].channel, 0);
}

void
subscription_clear(struct hub *h, int worker)
{
	each_of(h, worker, clear_one, NULL);
	claim_clear(h->subscription_owner, h->n_subscriptions, worker);
}
