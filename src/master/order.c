/* What a worker publishes in the master's place, which takes no mutex. An order
 * stays with the master until it is answered, whoever dies meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/message.h"
#include "hub/journal.h"
#include "net/link.h"
#include "process.h"

struct order {
	TAILQ_ENTRY(order) link;
	struct message_order head;
	int worker;    /* that has it; -1: nobody yet */
	order_cb done; /* NULL: nobody waits */
	void *arg;
	uint32_t type;
	size_t len;
	uint8_t payload[]; /* head first */
};

/* Hands an order to a worker that lives, if there is one that takes it. */
static void
order_send(struct master *m, struct order *o)
{
	int worker = master_lowest(m);

	if (worker == -1)
		return;
	memcpy(o->payload, &o->head, sizeof(o->head));
	if (link_send(
		m->member[worker].link, o->type, o->payload, o->len, -1) == -1)
		return;
	o->worker = worker;
	o->head.again = 1;
}

struct order *
order_give(struct master *m, uint32_t type, const void *payload, size_t len)
{
	struct order *o;

	if (m->n_orders == ORDERS_MAX) {
		errno = EBUSY;
		return NULL;
	}
	if ((o = calloc(1, sizeof(*o) + len)) == NULL)
		return NULL;
	memcpy(o->payload, payload, len);
	o->type = type;
	o->len = len;
	o->worker = -1;
	o->head.number = ++m->order_number;
	o->head.since = journal_tail(&m->hub);
	TAILQ_INSERT_TAIL(&m->orders, o, link);
	m->n_orders++;
	order_send(m, o);
	return o;
}

void
order_await(struct order *o, order_cb done, void *arg)
{
	o->done = done;
	o->arg = arg;
}

/* Lets an order go. */
static void
order_free(struct master *m, struct order *o)
{
	TAILQ_REMOVE(&m->orders, o, link);
	m->n_orders--;
	free(o);
}

bool
order_done(struct member *w, const struct message_done *done)
{
	struct master *m = w->master;
	struct order *o;

	TAILQ_FOREACH (o, &m->orders, link) {
		if (o->head.number != done->number)
			continue;
		if (o->worker != w->slot)
			return false;
		if (o->done != NULL)
			o->done(o->arg, (enum message_result)done->result);
		order_free(m, o);
		return true;
	}
	return false;
}

void
order_lost(struct member *w)
{
	struct order *o;

	TAILQ_FOREACH (o, &w->master->orders, link)
		if (o->worker == w->slot)
			o->worker = -1;
}

void
order_time(struct master *m)
{
	struct order *o;

	TAILQ_FOREACH (o, &m->orders, link)
		if (o->worker == -1)
			order_send(m, o);
}

void
order_drop(struct master *m)
{
	struct order *o;

	while ((o = TAILQ_FIRST(&m->orders)) != NULL)
		order_free(m, o);
}
