#include "conn/watch.h"

#include <event2/event_struct.h>
#include <event2/event.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"

void
conn_watch(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];
	short what = EV_PERSIST;

	if (c->phase == CONN_DROPPED)
		return;
	if (!c->paused && !c->waits)
		what |= EV_READ;
	if (c->blocked)
		what |= EV_WRITE;
	event_del(&ch->event[i]);
	event_assign(&ch->event[i], ch->base, c->fd, what, ch->on_event, ch);
	if (what != EV_PERSIST && event_add(&ch->event[i], NULL) < 0)
		log_error("event_add: %s", strerror(errno));
}

void
conn_pause(struct chat *ch, uint32_t i, bool paused)
{
	if (ch->conn[i].paused == paused)
		return;
	ch->conn[i].paused = paused;
	conn_watch(ch, i);
}

void
conn_dirty(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->dirty != 0 || c->blocked || c->fresh)
		return;
	c->dirty = shm_link(ch->n_dirty);
	ch->dirty[ch->n_dirty++] = i;
}
