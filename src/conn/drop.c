/* Connections that are to be dropped while functions up the stack may still
 * have their numbers, records and places in lists. */
#include "base/log.h"

#include "conn/conn.h"
#include "conn/socket.h"

void
conn_drop_later(struct chat *ch, uint32_t i, const char *why)
{
	struct conn *c = &ch->conn[i];

	if (c->phase != CONN_OPEN && c->phase != CONN_ENDING)
		return;
	if (why != NULL)
		log_debug("%s: %s", conn_name(ch, i), why);
	if (c->phase == CONN_OPEN) {
		conn_slot(ch, i)->flags |= SLOT_LEAVING;
		ch->n_open--;
	}
	c->dirty = false;
	conn_wait(ch, i, false);
	conn_unwatch(ch, i);
	c->phase = CONN_DROPPED;
	c->blocked = true; /* conn_dirty() ignores it */
	/* before its output goes: a worker that takes it over must not use
	 * that */
	slot_set(ch->hub, i, SLOT_CLOSING);
	output_close(&ch->output, &c->out, i);
	ch->dropped[ch->n_dropped++] = i;
}

void
conn_reset(struct chat *ch, uint32_t i)
{
	const struct transport_socket s = conn_socket(ch, i);

	conn_transport(ch, i)->reset(&s);
	KILL_POINT();
	conn_drop(ch, i, NULL);
}

void
conn_drop_marked(struct chat *ch)
{
	uint32_t k;

	for (k = 0; k < ch->n_dropped; k++)
		if (ch->conn[ch->dropped[k]].phase == CONN_DROPPED)
			conn_reset(ch, ch->dropped[k]);
	ch->n_dropped = 0;
}
