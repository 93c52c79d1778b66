/* order: publications that a worker makes for the master, which takes no lock.
 * An order stays with the master until it is answered, whichever worker dies
 * meanwhile, and goes over to the next program in an upgrade. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/message.h"
#include "hub/journal.h"
#include "net/link.h"
#include "member.h"
#include "order.h"
#include "members.h"
#include "private.h"

/* Of all orders together that cross an upgrade. Larger: the state may be more
 * than the other program reads; smaller: long texts are lost. */
enum { SAVE_BYTES = 256 * 1024 };

struct order {
	TAILQ_ENTRY(order) link;
	struct message_order head;
	int worker;    /* that has it; -1: none yet */
	order_cb done; /* NULL: nobody waits */
	void *arg;
	uint32_t type;
	size_t len;
	uint8_t payload[]; /* head first */
};

/* Hands an order to a worker that lives, if there is one that takes it; not
 * before the chat is served: its channels may not be there yet. */
static void
order_send(struct master *m, struct order *o)
{
	int worker = members_lowest(m);

	if (worker == -1 || m->phase == PHASE_STARTING)
		return;
	memcpy(o->payload, &o->head, sizeof(o->head));
	if (link_send(m->member[worker].child.link, o->type, o->payload, o->len,
		-1) == -1)
		return;
	o->worker = worker;
	o->head.again = 1;
}

/* Makes one with room for a payload. NULL and errno as of order_give(). */
static struct order *
order_new(struct master *m, uint32_t type, size_t len)
{
	struct order *o;

	if (m->n_orders == ORDERS_MAX) {
		errno = EBUSY;
		return NULL;
	}
	if ((o = calloc(1, sizeof(*o) + len)) == NULL)
		return NULL;
	o->type = type;
	o->len = len;
	o->worker = -1;
	TAILQ_INSERT_TAIL(&m->orders, o, link);
	m->n_orders++;
	return o;
}

struct order *
order_give(struct master *m, uint32_t type, const void *payload, size_t len)
{
	struct order *o = order_new(m, type, len);

	if (o == NULL)
		return NULL;
	memcpy(o->payload, payload, len);
	o->head.number = ++m->order_number;
	o->head.since = journal_tail(&m->hub);
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
		if (o->worker != w->place)
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
		if (o->worker == w->place)
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

void
order_save(const struct master *m, FILE *f)
{
	const struct order *o;
	size_t bytes = 0;

	TAILQ_FOREACH (o, &m->orders, link) {
		bytes += o->len;
		if (bytes > SAVE_BYTES) {
			log_error("order %" PRIu64 " and those after it are "
				  "lost: more than %d bytes of orders wait",
			    o->head.number, SAVE_BYTES);
			return;
		}
		fprintf(f, "pending %s %d %" PRIu64 " %" PRIu64 " %" PRIu32 " ",
		    o->type == MSG_KICK ? "kick" : "say", o->worker,
		    o->head.number, o->head.since, o->head.again);
		for (size_t i = 0; i < o->len; i++)
			fprintf(f, "%02x", o->payload[i]);
		fputc('\n', f);
	}
}

/* Whether that is an order as order_give() had it. */
static bool
order_is_valid(const struct master *m, uint32_t type, int worker, size_t digits)
{
	const size_t head = sizeof(struct message_order), len = digits / 2;

	if (digits % 2 != 0 || worker < -1 || worker >= m->n_workers)
		return false;
	if (type == MSG_KICK)
		return len == sizeof(struct message_kick);
	return len > head && len <= head + MESSAGE_TEXT_MAX;
}

bool
order_load(struct master *m, const char *line)
{
	struct message_order head = {0};
	struct order *o;
	uint32_t type;
	unsigned byte;
	char word[8];
	int worker, used = 0;

	if (sscanf(line, "%7s %d %" SCNu64 " %" SCNu64 " %" SCNu32 " %n", word,
		&worker, &head.number, &head.since, &head.again, &used) != 5 ||
	    used == 0 ||
	    (strcmp(word, "kick") != 0 && strcmp(word, "say") != 0))
		return false;
	line += used;
	type = strcmp(word, "kick") == 0 ? MSG_KICK : MSG_SAY;
	if (!order_is_valid(m, type, worker, strlen(line)) ||
	    (o = order_new(m, type, strlen(line) / 2)) == NULL)
		return false;
	o->head = head;
	o->worker = worker;
	for (size_t i = 0; i < o->len; i++) {
		if (sscanf(line + 2 * i, "%2x", &byte) != 1)
			return false;
		o->payload[i] = (uint8_t)byte;
	}
	return true;
}
