/* Connections: each keeps its number and id; its records are made anew for the
 * worker that it has. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "heads.h"
#include "hub/output.h"
#include "hub/slot.h"
#include "hub/subscription.h"

/* A life word, taken apart, in our states. */
struct life {
	uint32_t use;
	int worker;
	enum slot_state state;
};

/* What a life word of theirs becomes with all workers gone: who was taken for a
 * connection that never opened is free, who was on its way is with its giver.
 */
static struct life
slot_life_read(const struct convert *c, uint64_t life)
{
	struct life l = {.use = (uint32_t)(life >> 16),
	    .worker = (int)(life >> 8 & 0xff),
	    .state = (life & 0xff) < 8 ? c->slot_state[life & 7] : SLOT_FREE};

	if (l.state == SLOT_MOVING) {
		l.worker = (int)(life >> 48 & 0xff);
		l.state = SLOT_OPEN;
	}
	if (l.state == SLOT_TAKEN ||
	    (l.state != SLOT_FREE && l.worker >= SHM_WORKERS)) {
		l.state = SLOT_FREE;
		l.use++;
	}
	if (l.state == SLOT_FREE)
		l.worker = 0;
	if (l.use == 0)
		l.use = 1;
	return l;
}

/* Puts a record into the chains of its connection and of its channel. */
static void
record_chain(struct convert *c, uint32_t sub, uint32_t *link, int worker)
{
	struct hub *h = &c->hub;
	struct subscription *s = &h->subscription[sub];
	_Atomic uint32_t *head =
	    &h->chain[(size_t)worker * h->n_entries + s->channel - 1];

	s->slot_next = 0;
	s->previous = 0;
	s->next = *head;
	if (*head != 0)
		h->subscription[*head - 1].previous = sub + 1;
	*head = sub + 1;
	*link = sub + 1;
}

/* Copies one record of a connection; *link is where its number goes, and its
 * own link after it. */
static bool
record_copy(struct convert *c, struct convert_pools *p, const uint8_t *from,
    uint64_t conn, int worker, uint32_t **link)
{
	uint32_t channel =
	    convert_entry(c, convert_get(c, F_SUBSCRIPTION_CHANNEL, from) - 1);
	struct subscription *s;
	uint32_t sub;

	if (channel == SHM_NONE)
		return true;
	sub = convert_pool_take(&p->subscriptions, worker);
	if (sub == SHM_NONE)
		return convert_fail(c,
		    "subscriptions %u: more of them are used",
		    c->hub.n_subscriptions);
	s = &c->hub.subscription[sub];
	if (!convert_record(c, C_SUBSCRIPTION, from, s) ||
	    !convert_blob(c, p, convert_get(c, F_SUBSCRIPTION_INFO, from), conn,
		worker, &s->info))
		return false;
	s->channel = channel + 1;
	record_chain(c, sub, *link, worker);
	*link = &s->slot_next;
	c->result->subscriptions++;
	KILL_POINT();
	return true;
}

/* Copies a connection's records, as many as one can have. */
static bool
records_copy(struct convert *c, struct convert_pools *p, uint64_t conn,
    const uint8_t *from, struct slot *to, int worker)
{
	uint64_t at = convert_get(c, F_SLOT_SUBSCRIPTIONS, from), channel;
	uint32_t *link = &to->subscriptions;
	const uint8_t *r;

	to->subscriptions = 0;
	for (int left = SUBSCRIPTIONS_MAX; at != 0 && left > 0; left--) {
		r = convert_item(c, R_SUBSCRIPTION, C_SUBSCRIPTION, at - 1);
		if (r == NULL)
			return true;
		channel = convert_get(c, F_SUBSCRIPTION_CHANNEL, r);
		if (channel == 0 || channel > convert_entries(c) ||
		    convert_get(c, F_SUBSCRIPTION_SLOT, r) != (uint32_t)conn ||
		    convert_get(c, F_SUBSCRIPTION_USE, r) != conn >> 32)
			return true;
		if (!record_copy(c, p, r, conn, worker, &link))
			return false;
		at = convert_get(c, F_SUBSCRIPTION_NEXT, r);
	}
	return true;
}

/* Copies which descriptor is its own: the table goes on. */
static void
slot_socket_copy(struct convert *c, uint32_t i)
{
	const uint64_t at = i * sizeof(*c->hub.socket);

	if (at + sizeof(*c->hub.socket) <= c->region_size[R_SOCKET])
		memcpy(&c->hub.socket[i], c->region[R_SOCKET] + at,
		    sizeof(*c->hub.socket));
}

/* Copies one that is accepted and not open: its socket, and where it came from.
 */
static bool
slot_accepted_copy(struct convert *c, uint32_t i, const uint8_t *from)
{
	struct slot *to = &c->hub.slot[i];

	if (!convert_record(c, C_SLOT, from, to))
		return false;
	to->appended = to->part = to->committed = 0;
	to->chunk = to->subscriptions = to->info = 0;
	to->user = SHM_NONE;
	slot_socket_copy(c, i);
	return true;
}

/* Copies a connection. */
static bool
slot_copy(struct convert *c, struct convert_pools *p, uint32_t i,
    const uint8_t *from, const struct life *l)
{
	struct slot *to = &c->hub.slot[i];
	const uint64_t conn = (uint64_t)l->use << 32 | i;

	if (!convert_record(c, C_SLOT, from, to))
		return false;
	to->user = convert_entry(c, to->user);
	slot_socket_copy(c, i);
	c->result->connections++;
	return convert_output(c, p, i, from, to, l->worker) &&
	    convert_input(c, p, i, from, to, l->worker) &&
	    convert_blob(c, p, convert_get(c, F_SLOT_INFO, from), conn,
		l->worker, &to->info) &&
	    records_copy(c, p, conn, from, to, l->worker);
}

/* Copies a slot, free or not. */
static bool
slot_or_free_copy(struct convert *c, struct convert_pools *p, uint64_t i)
{
	const uint8_t *from = convert_item(c, R_SLOT, C_SLOT, i);
	struct life l;

	if (from == NULL)
		return true;
	l = slot_life_read(c, convert_get(c, F_SLOT_LIFE, from));
	if (i >= c->hub.n_slots)
		return l.state == SLOT_FREE ||
		    convert_fail(c,
			"connections: number %llu is connected, %u fit",
			(unsigned long long)i, c->hub.n_slots);
	if (l.state == SLOT_ACCEPTED ? !slot_accepted_copy(c, (uint32_t)i, from)
				     : l.state != SLOT_FREE &&
		    !slot_copy(c, p, (uint32_t)i, from, &l))
		return false;
	c->hub.slot[i].life =
	    (uint64_t)l.use << 16 | (uint64_t)l.worker << 8 | (uint64_t)l.state;
	KILL_POINT();
	return true;
}

/* Makes the pools. */
static void
slot_pools_init(struct convert *c, struct convert_pools *p)
{
	struct hub *h = &c->hub;

	convert_pool_init(&p->chunks, h->chunk_owner, h->n_chunks, SHM_BLOCK,
	    OUTPUT_CHUNKS_APART);
	convert_pool_init(
	    &p->segments, h->segment_owner, h->n_segments, 1, OUTPUT_APART);
	convert_pool_init(&p->pages, h->page_owner, h->n_pages, SHM_BLOCK, 0);
	convert_pool_init(&p->subscriptions, h->subscription_owner,
	    h->n_subscriptions, SHM_BLOCK, 0);
	p->serial = arc4random();
}

bool
convert_slots(struct convert *c)
{
	static struct convert_pools p;
	uint64_t i, block;
	uint8_t owner;

	c->segment = calloc(c->count[N_SEGMENTS] + 1, sizeof(*c->segment));
	if (c->segment == NULL)
		return convert_fail(c, "no memory");
	slot_pools_init(c, &p);
	for (i = 0; i < c->count[N_SLOTS]; i++) {
		block = i / SHM_BLOCK;
		if (convert_byte(c, R_SLOT_TOUCHED, block) == 0) {
			i |= SHM_BLOCK - 1;
			continue;
		}
		if (i % SHM_BLOCK == 0 && i < c->hub.n_slots) {
			owner = convert_byte(c, R_SLOT_OWNER, block);
			c->hub.slot_touched[block] = 1;
			c->hub.slot_owner[block] =
			    owner <= SHM_WORKERS ? owner : 0;
		}
		if (!slot_or_free_copy(c, &p, i))
			return false;
	}
	return true;
}
