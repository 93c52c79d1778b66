/* Connections that this worker gives to others. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn/conn.h"
#include "conn/socket.h"
#include "hub/blob.h"
#include "hub/stats.h"
#include "room/channel.h"
#include "room/publish.h"
#include "takeover/give.h"

/* A connection that was given to another worker and is frozen here. */
struct moving {
	uint64_t id;
	uint64_t part;
	uint32_t info, subscriptions;
	int to;
};

/* Notes the records of a connection that this worker gives away. */
static bool
give_note(struct chat *ch, uint32_t i, int to)
{
	struct slot *s = conn_slot(ch, i);
	struct moving *m;

	if (ch->n_moving % MOVE_MAX == 0) {
		m = reallocarray(
		    ch->moving, ch->n_moving + MOVE_MAX, sizeof(*m));
		if (m == NULL)
			return false;
		ch->moving = m;
	}
	ch->moving[ch->n_moving++] = (struct moving){.id = slot_id(ch->hub, i),
	    .part = SHM_OWN(s->part),
	    .info = s->info,
	    .subscriptions = s->subscriptions,
	    .to = to};
	return true;
}

uint32_t
give_freeze(struct chat *ch, int to)
{
	struct hub *h = ch->hub;
	uint64_t cursor = SHM_OWN(h->mine->cursor);
	uint32_t i = SHM_NONE;
	struct conn *c;

	while (conn_next(ch, &i))
		if (ch->conn[i].phase == CONN_OPEN)
			break;
	if (i == SHM_NONE || ch->conn[i].phase != CONN_OPEN ||
	    !give_note(ch, i, to))
		return SHM_NONE;
	c = &ch->conn[i];
	c->dirty = false;
	/* one that comes back is looked at as by the worker it goes to: what
	 * has waited is not counted again */
	c->torn |= c->held || c->ended != HOLD_NOT;
	conn_wait(ch, i, false);
	conn_unwatch(ch, i);
	conn_rest_forget(ch, i, c->transport);
	/* all up to the cursor is in its output, and nothing after it, wherever
	 * it goes on */
	if (SHM_OWN(conn_slot(ch, i)->last) < cursor)
		SHM_STORE(conn_slot(ch, i)->last, cursor);
	conn_slot(ch, i)->flags |= SLOT_MOVED;
	c->phase = CONN_MOVING;
	ch->n_open--;
	slot_pass(h, i, h->self, SLOT_OPEN, to, SLOT_MOVING);
	return i;
}

/* The connection is another worker's now: frees its records here. */
static void
give_drop(struct chat *ch, const struct moving *m)
{
	uint32_t i = (uint32_t)m->id;
	struct conn *c = &ch->conn[i];

	user_leave(ch, i);
	channel_drop(ch, m->id, m->subscriptions, true);
	output_uncopy(&ch->output, &c->out);
	input_uncopy(&ch->input, m->part);
	blob_drop(&ch->input, m->info);
	close(c->fd);
	KILL_POINT();
	memset(c, 0, sizeof(*c));
	conn_number(ch, i, false);
	claim_give(&ch->slots, i);
	ch->n_conns--;
}

/* Ends a note: a connection that has not been taken goes on here. */
static void
give_end(struct chat *ch, uint32_t k)
{
	struct hub *h = ch->hub;
	struct moving m = ch->moving[k];
	uint32_t i = slot_find(h, m.id);

	ch->moving[k] = ch->moving[--ch->n_moving];
	if (i == SHM_NONE || slot_giver(h, i) != h->self ||
	    !slot_pass(h, i, m.to, SLOT_MOVING, h->self, SLOT_OPEN)) {
		give_drop(ch, &m);
		return;
	}
	ch->conn[i].phase = CONN_OPEN;
	conn_rest_look(ch, i, false);
	ch->n_open++;
	conn_watch(ch, i);
	conn_wait_again(ch, i, ch->conn[i].torn);
	deliver_missed(ch, i);
	conn_dirty(ch, i);
}

void
give_done(struct chat *ch, int to, uint64_t id)
{
	uint32_t k;

	for (k = 0; k < ch->n_moving; k++)
		if (ch->moving[k].id == id && ch->moving[k].to == to) {
			give_end(ch, k);
			return;
		}
}

void
give_back(struct chat *ch, int to)
{
	uint32_t k = 0;

	while (k < ch->n_moving) {
		if (ch->moving[k].to == to)
			give_end(ch, k);
		else
			k++;
		line_tick(ch->hub);
	}
}

void
give_look(struct chat *ch)
{
	struct hub *h = ch->hub;
	uint32_t k = 0, i;

	while (k < ch->n_moving) {
		i = slot_find(h, ch->moving[k].id);
		if (i == SHM_NONE || slot_state(h, i) != SLOT_MOVING ||
		    slot_giver(h, i) != h->self)
			give_end(ch, k);
		else
			k++;
		line_tick(h);
	}
}
