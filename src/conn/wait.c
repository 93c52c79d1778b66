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

	if (ch->wait_at < ch->n_waiting && ch->waiting[ch->wait_at] == i)
		return ch->wait_at; /* it is being served */
	for (k = 0; k < ch->n_waiting && ch->waiting[k] != i; k++)
		;
	return k;
}

/* Takes a connection out of the list. */
static void
wait_unlist(struct chat *ch, uint32_t i)
{
	const uint32_t place = wait_place(ch, i);

	if (place < ch->n_waiting)
		wait_remove(ch, place);
}

void
conn_wait(struct chat *ch, uint32_t i, bool waits)
{
	struct conn *c = &ch->conn[i];

	if (c->waits == waits)
		return;
	c->waits = waits;
	c->drains = false;
	if (waits) {
		c->torn = ch->replaying;
		ch->waiting[ch->n_waiting++] = i;
	} else if (!c->held)
		wait_unlist(ch, i);
	c->held = false;
	c->ended = HOLD_NOT;
	if (c->phase == CONN_OPEN)
		conn_watch(ch, i);
}

void
conn_hold(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->held)
		return;
	if (c->waits)
		wait_unlist(ch, i);
	else {
		c->waits = true;
		c->drains = false;
		c->torn = ch->replaying;
	}
	c->held = true;
	conn_watch(ch, i);
}

void
conn_hold_end(struct chat *ch, uint32_t i, enum hold_end end)
{
	struct conn *c = &ch->conn[i];

	if (!c->held)
		return;
	c->held = false;
	c->ended = (uint8_t)end & 3;
	ch->waiting[ch->n_waiting++] = i;
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
