/* What comes after our own close frame: the client's, then our FIN (RFC 6455
 * 7.1.1), or browsers call the end unclean. */
#include <errno.h>
#include <sys/socket.h>

#include "conn/conn.h"

enum {
	CLOSE_HEAD = 6 /* bytes of a client's close frame before its payload */
};

/*
 * Whether bytes end with a client's close frame, after which it sends nothing.
 * What comes before that need not be decoded, and after a protocol error it
 * cannot be. Data that looks like one, or a frame that comes in two pieces,
 * only makes our FIN come sooner, or at the end of CHAT_CLOSE_MS.
 */
static bool
closing_is_answer(const uint8_t *bytes, size_t len)
{
	const uint8_t *head;
	size_t n;

	for (n = 0; n <= WS_CONTROL_MAX && CLOSE_HEAD + n <= len; n++) {
		head = bytes + len - n - CLOSE_HEAD;
		if (head[0] == (0x80 | WS_CLOSE) && head[1] == (0x80 | n))
			return true;
	}
	return false;
}

void
closing_look(struct chat *ch, uint32_t i, const uint8_t *bytes, size_t len)
{
	if (closing_is_answer(bytes, len))
		conn_slot(ch, i)->flags |= SLOT_CLOSE_HEARD;
}

void
closing_begin(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (conn_slot(ch, i)->flags & SLOT_CLOSE_HEARD) {
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
	ssize_t r = recv(ch->conn[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	KILL_POINT();
	if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
		conn_drop(ch, i, NULL);
	else if (r > 0 && ch->conn[i].phase == CONN_CLOSING &&
	    closing_is_answer(bytes, (size_t)r))
		conn_linger(ch, i);
}
