/* closing: after our close frame comes the client's, then our FIN (RFC 6455
 * 7.1.1). In another order browsers call the end unclean. */
#include <errno.h>

#include "conn/conn.h"
#include "conn/socket.h"

/* Whether bytes end with the client's answer to our close. */
static bool
closing_is_answer(
    const struct chat *ch, uint32_t i, const uint8_t *bytes, size_t len)
{
	const struct framing *f = conn_framing(ch, i);

	return f->closed != NULL && f->closed(bytes, len);
}

void
closing_look(struct chat *ch, uint32_t i, const uint8_t *bytes, size_t len)
{
	if (closing_is_answer(ch, i, bytes, len))
		conn_slot(ch, i)->flags |= SLOT_CLOSE_HEARD;
}

void
closing_begin(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (conn_slot(ch, i)->flags & SLOT_CLOSE_HEARD ||
	    conn_framing(ch, i)->closed == NULL) {
		conn_linger(ch, i);
		return;
	}
	c->phase = CONN_CLOSING;
	c->due_ms = (uint32_t)ch->now_ms + CHAT_CLOSE_MS;
	c->blocked = false;
	c->paused = false;
	conn_watch(ch, i);
}

void
closing_read(struct chat *ch, uint32_t i)
{
	uint8_t bytes[16384];
	ssize_t r = conn_recv(ch, i, bytes, sizeof(bytes));

	KILL_POINT();
	if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
		conn_drop(ch, i, NULL);
	else if (r > 0 && ch->conn[i].phase == CONN_CLOSING &&
	    closing_is_answer(ch, i, bytes, (size_t)r))
		conn_linger(ch, i);
}
