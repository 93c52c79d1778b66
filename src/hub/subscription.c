#include <string.h>

#include "hub/slot.h"
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
	return link >= 1 && link <= h->n_subscriptions ? link - 1 : SHM_NONE;
}

uint32_t
subscription_add(struct hub *h, struct claim *pool, uint32_t slot,
    uint32_t channel, uint64_t offset, uint32_t epoch)
{
	uint32_t i = claim_take(pool), first;
	_Atomic uint32_t *head;
	struct subscription *s;

	if (i == SHM_NONE)
		return SHM_NONE;
	head = head_of(h, h->self, channel);
	first = SHM_LOAD(*head);
	s = &h->subscription[i];
	memset(s, 0, sizeof(*s));
	s->slot = slot;
	s->offset = offset;
	s->epoch = epoch;
	s->next = first;
	s->slot_next = h->slot[slot].subscriptions;
	SHM_STORE(s->channel, channel + 1);
	h->slot[slot].subscriptions = i + 1;
	if (link_at(h, first) != SHM_NONE)
		SHM_STORE(h->subscription[first - 1].previous, i + 1);
	SHM_STORE(*head, i + 1);
	return i;
}

/* Takes it out of its connection's chain. */
static void
unlink_slot(struct hub *h, uint32_t sub)
{
	struct subscription *s = &h->subscription[sub];
	uint32_t *link = &h->slot[s->slot].subscriptions, i;

	while ((i = link_at(h, *link)) != SHM_NONE) {
		if (i == sub) {
			*link = s->slot_next;
			return;
		}
		link = &h->subscription[i].slot_next;
	}
}

void
subscription_remove(struct hub *h, struct claim *pool, uint32_t sub)
{
	struct subscription *s = &h->subscription[sub];
	uint32_t channel = SHM_LOAD(s->channel) - 1, next, previous;

	unlink_slot(h, sub);
	next = SHM_LOAD(s->next);
	previous = SHM_LOAD(s->previous);
	if (link_at(h, next) != SHM_NONE)
		SHM_STORE(h->subscription[next - 1].previous, previous);
	if (link_at(h, previous) != SHM_NONE)
		SHM_STORE(h->subscription[previous - 1].next, next);
	else
		SHM_STORE(*head_of(h, h->self, channel), next);
	SHM_STORE(s->channel, 0);
	claim_give(pool, sub);
}

uint32_t
subscription_of_slot(const struct hub *h, uint32_t slot)
{
	return link_at(h, h->slot[slot].subscriptions);
}

uint32_t
subscription_slot_next(const struct hub *h, uint32_t sub)
{
	return link_at(h, h->subscription[sub].slot_next);
}

uint32_t
subscription_find(const struct hub *h, uint32_t slot, uint32_t channel)
{
	uint32_t i = subscription_of_slot(h, slot);

	while (i != SHM_NONE &&
	    SHM_LOAD(h->subscription[i].channel) != channel + 1)
		i = subscription_slot_next(h, i);
	return i;
}

uint32_t
subscription_count(const struct hub *h, uint32_t slot)
{
	uint32_t i = subscription_of_slot(h, slot), n = 0;

	for (; i != SHM_NONE; i = subscription_slot_next(h, i))
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

bool
subscription_members(const struct hub *h, int worker, uint32_t channel,
    uint32_t max, void (*member)(const struct subscription *, void *),
    void *arg)
{
	uint32_t i = subscription_first(h, worker, channel), n;
	struct subscription copy;

	for (n = 0; i != SHM_NONE; n++) {
		if (n == max)
			return false;
		memcpy(&copy, &h->subscription[i], sizeof(copy));
		atomic_thread_fence(memory_order_acquire);
		if (copy.channel != channel + 1 || copy.slot >= h->n_slots ||
		    SHM_LOAD(h->subscription[i].channel) != channel + 1)
			return false;
		member(&copy, arg);
		i = link_at(h, copy.next);
	}
	return true;
}

void
subscription_clear(struct hub *h, int worker)
{
	uint32_t i, e;

	for (i = 0; i < h->n_subscriptions; i += SHM_BLOCK) {
		if (SHM_LOAD(h->subscription_owner[i / SHM_BLOCK]) !=
		    worker + 1)
			continue;
		for (e = i; e < i + SHM_BLOCK && e < h->n_subscriptions; e++) {
			uint32_t c = SHM_LOAD(h->subscription[e].channel);

			if (c >= 1 && c <= h->n_entries)
				SHM_STORE(*head_of(h, worker, c - 1), 0);
			SHM_STORE(h->subscription[e].channel, 0);
		}
	}
	claim_clear(h->subscription_owner, h->n_subscriptions, worker);
}
