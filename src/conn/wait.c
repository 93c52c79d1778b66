/* Connections whose input waits: what the input of one may cost in a turn is
 * bounded, so that a client that sends much at once delays no other. They are
 * served one after another, after all others of the turn. */
#include "base/clock.h"
#include "conn/conn.h"
#include "hub/stats.h"

void
conn_budget_begin(struct chat *ch, uint32_t i, bool is_long)
{
	ch->budget.from_us = is_long ? clock_us() : 0;
	ch->budget.from_output = ch->conn[i].out.end;
	ch->budget.off = false;
}

bool
conn_is_spent(struct chat *ch, uint32_t i)
{
	uint64_t now;

	if (ch->budget.off)
		return clock_us() - ch->budget.from_us >= CHAT_TURN_MS * 1000;
	if (ch->conn[i].out.end - ch->budget.from_output >= ch->budget_bytes)
		return true;
	now = clock_us();
	if (ch->budget.from_us == 0)
		ch->budget.from_us = now;
	return now - ch->budget.from_us >= ch->budget_us;
}

/* Takes the connection at a place of the list out of it. */
static void
wait_remove(struct chat *ch, uint32_t place)
{
	ch->waiting[place] = ch->waiting[--ch->n_waiting];
}

/* The place of a connection in the list; n_waiting: it is not there. */
static uint32_t
wait_place(const struct chat *ch, uint32_t i)
{
	uint32_t k;

	for (k = 0; k < ch->n_waiting && ch->waiting[k] != i; k++)
		;
	return k;
}

void
conn_wait(struct chat *ch, uint32_t i, bool waits)
{
	struct conn *c = &ch->conn[i];
	uint32_t place;

	if (c->waits == waits)
		return;
	c->waits = waits;
	c->drains = false;
	if (waits) {
		c->torn = ch->replaying;
		ch->waiting[ch->n_waiting++] = i;
	} else {
		place = wait_place(ch, i);
		if (place < ch->n_waiting)
			wait_remove(ch, place);
	}
	if (c->phase == CONN_OPEN)
		conn_watch(ch, i);
}

void
conn_wait_again(struct chat *ch, uint32_t i, bool torn)
{
	struct conn *c = &ch->conn[i];

	if (c->phase != CONN_OPEN || c->waits || !input_waits(ch->hub, i))
		return;
	conn_wait(ch, i, true);
	c->torn = torn;
}
