/* What connections read and write. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "conn/begin.h"
#include "conn/conn.h"
#include "conn/request.h"
#include "conn/socket.h"
#include "hub/stats.h"
#include "net/ready.h"

/* The peer sent its FIN, or the connection broke. */
static void
io_eof(struct chat *ch, uint32_t i, const char *why)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_OPEN && output_pending(&c->out) > 0 &&
	    why == NULL) {
		/* the peer may still read: it gets the pending output */
		conn_end(ch, i, CLOSE_GOING_AWAY, REASON_NONE);
		return;
	}
	conn_drop(ch, i, why);
}

void
conn_read(struct chat *ch, uint32_t i)
{
	struct hub *h = ch->hub;
	struct slot *s = conn_slot(ch, i);
	uint8_t *stage = h->stage + (size_t)h->self * SHM_STAGE;
	const struct input_part *part = input_part(h, i);
	uint64_t start = KEY_POSITION(SHM_OWN(s->committed));
	ssize_t r;

	if (part != NULL && part->end > start)
		start = part->end;
	SHM_STORE(h->me->stage_conn, 0);
	SHM_STORE(h->me->stage_start, start);
	SHM_STORE(h->me->stage_conn, slot_id(h, i));
	r = conn_recv(ch, i, stage, SHM_STAGE);
	KILL_POINT();
	if (r > 0) {
		s->heard_ms = (uint32_t)ch->now_ms;
		conn_input(ch, i, start, stage, (size_t)r);
	} else if (r == 0)
		io_eof(ch, i, NULL);
	else if (errno != EAGAIN && errno != EINTR)
		io_eof(ch, i, strerror(errno));
}

bool
conn_unread(struct chat *ch, uint32_t i)
{
	const struct transport_socket s = conn_socket(ch, i);

	if (ch->conn[i].waits) /* for this worker */
		return true;
	/* a connection that is not read from may have bytes at any time */
	return !ch->conn[i].paused && conn_transport(ch, i)->unread(&s);
}

/* Whether the peer has reset a connection. It may have been told of for input
 * before it was watched for that alone. */
static bool
io_is_broken(const struct chat *ch, uint32_t i)
{
	struct pollfd p = {.fd = ch->conn[i].fd, .events = 0};

	return poll(&p, 1, 0) == 1;
}

/* Something has come of a connection that is not read from, since its input
 * waits. What its peer sent before its end is still to be done, so only a reset
 * ends it now. */
static void
io_waits(struct chat *ch, uint32_t i, unsigned what)
{
	if (!ch->conn[i].held)
		return;
	if (what & READY_BROKEN && io_is_broken(ch, i))
		conn_drop(ch, i, "reset while a command of it waited");
	else if (what & READY_READ)
		conn_watch_held(ch, i);
}

void
conn_ready(struct chat *ch, uint32_t i, unsigned what)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_ANSWER) {
		request_answer_more(ch, i);
		return;
	}
	if (c->phase == CONN_START) {
		conn_start(ch, i);
		return;
	}
	if (c->phase == CONN_LINGER && what & READY_WRITE) {
		conn_linger_more(ch, i);
		return;
	}
	if (what & READY_WRITE) {
		c->blocked = false;
		conn_watch(ch, i);
		conn_dirty(ch, i);
	}
	if (c->waits) {
		io_waits(ch, i, what & (READY_READ | READY_BROKEN));
		return;
	}
	if (!(what & READY_READ))
		return;
	switch (c->phase) {
	case CONN_REQUEST:
		request_input(ch, i);
		break;
	case CONN_OPEN:
		if (!c->paused)
			conn_read(ch, i);
		break;
	case CONN_CLOSING:
	case CONN_LINGER:
		closing_read(ch, i);
		break;
	default:
		break;
	}
}
