/* What connections read and write. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "conn/begin.h"
#include "conn/conn.h"
#include "conn/request.h"
#include "conn/socket.h"
#include "hub/stage.h"
#include "net/batch.h"
#include "net/ready.h"

_Static_assert((int)STAGE_PARTS <= (int)BATCH_READS, "one call for all parts");

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

/* The stage's next part is to get what comes next of a connection. Returns its
 * position. */
static uint64_t
io_stage(struct chat *ch, uint32_t i)
{
	const struct input_part *part = input_part(ch->hub, i);
	uint64_t start = KEY_POSITION(SHM_OWN(conn_slot(ch, i)->committed));

	if (part != NULL && part->end > start)
		start = part->end;
	stage_name(ch->hub, slot_id(ch->hub, i), start);
	return start;
}

/* Handles what came into a part of the stage: as of recv(2), or -errno. */
static void
io_got(
    struct chat *ch, uint32_t i, uint64_t start, unsigned part, ssize_t result)
{
	if (result > 0) {
		conn_slot(ch, i)->heard_ms = (uint32_t)ch->now_ms;
		conn_input(ch, i, start, stage_at(ch->hub, ch->hub->self, part),
		    (size_t)result);
	} else if (result == 0)
		io_eof(ch, i, NULL);
	else if (result != -EAGAIN && result != -EINTR)
		io_eof(ch, i, strerror((int)-result));
}

/* The place of a connection among those that are read alone; STAGE_PARTS: it is
 * not. */
static uint32_t
io_large(const struct reads *r, uint64_t id)
{
	uint32_t k = 0;

	while (k < STAGE_PARTS && r->large[k] != id)
		k++;
	return k;
}

/* Notes whether a connection had sent more than a part holds. */
static void
io_large_set(struct reads *r, uint64_t id, bool large)
{
	uint32_t k = io_large(r, id);

	if (large == (k < STAGE_PARTS))
		return;
	if (large) {
		k = r->large_at++ % STAGE_PARTS;
		r->n_large += r->large[k] == 0;
	} else
		r->n_large--;
	r->large[k] = large ? id : 0;
}

/* Counts what a connection's last read has passed over in its rate. */
static void
io_quiet(struct chat *ch, uint64_t id, unsigned n)
{
	const uint32_t i = (uint32_t)id;

	if (n > 0 && slot_id(ch->hub, i) == id &&
	    ch->conn[i].phase == CONN_OPEN && !conn_rate_quiet(ch, i, n))
		conn_end(ch, i, CLOSE_POLICY, REASON_RATE);
}

void
conn_read(struct chat *ch, uint32_t i)
{
	const struct transport *t = conn_transport(ch, i);
	struct hub *h = ch->hub;
	const uint64_t id = slot_id(h, i);
	unsigned quiet;
	uint64_t start;
	ssize_t r;

	stage_clear(h);
	start = io_stage(ch, i);
	r = conn_recv(ch, i, stage_at(h, h->self, 0), SHM_STAGE);
	KILL_POINT();
	r = r < 0 ? -errno : r;
	quiet = t->quiet != NULL ? t->quiet() : 0;
	if (ch->reads.n_large > 0)
		io_large_set(&ch->reads, id, r >= STAGE_PART);
	io_got(ch, i, start, 0, r);
	io_quiet(ch, id, quiet);
}

/* Reads a connection, or puts that off so that others are read with it. */
static void
io_read(struct chat *ch, uint32_t i)
{
	struct reads *r = &ch->reads;
	const uint64_t id = slot_id(ch->hub, i);

	if (!batch_receives(ch->batch) || !conn_transport(ch, i)->bare ||
	    (r->n_large > 0 && io_large(r, id) < STAGE_PARTS)) {
		conn_read(ch, i);
		return;
	}
	r->id[r->n++] = id;
	if (r->n == STAGE_PARTS)
		conn_read_all(ch);
}

/* Whether a connection is still there, and read from. */
static bool
io_is_read(const struct chat *ch, uint64_t id)
{
	const struct conn *c = &ch->conn[(uint32_t)id];

	return slot_id(ch->hub, (uint32_t)id) == id && c->phase == CONN_OPEN &&
	    !c->paused && !c->waits;
}

/* Whether there is something to be done with the result of a connection's read:
 * input of another one may have ended it meanwhile. */
static bool
io_is_here(const struct chat *ch, uint64_t id, ssize_t result)
{
	const struct conn *c = &ch->conn[(uint32_t)id];

	return slot_id(ch->hub, (uint32_t)id) == id &&
	    (c->phase == CONN_OPEN || (c->phase == CONN_ENDING && result > 0));
}

/* Reads several, each into a part of the stage, and handles what came. */
static void
io_read_parts(struct chat *ch, const uint64_t *id, uint32_t n)
{
	struct hub *h = ch->hub;
	struct batch_read read[STAGE_PARTS];
	uint64_t start[STAGE_PARTS];
	uint32_t k;

	stage_clear(h);
	for (k = 0; k < n; k++) {
		start[k] = io_stage(ch, (uint32_t)id[k]);
		read[k].fd = ch->conn[(uint32_t)id[k]].fd;
		read[k].to =
		    (struct iovec){stage_at(h, h->self, k), STAGE_PART};
	}
	batch_receive(ch->batch, read, n);
	KILL_POINT();
	for (k = 0; k < n; k++) {
		if (read[k].result == STAGE_PART)
			io_large_set(&ch->reads, id[k], true);
		if (io_is_here(ch, id[k], read[k].result))
			io_got(
			    ch, (uint32_t)id[k], start[k], k, read[k].result);
	}
}

void
conn_read_all(struct chat *ch)
{
	struct reads *r = &ch->reads;
	uint64_t id[STAGE_PARTS];
	uint32_t k, n = 0;

	/* what has happened since may have ended one */
	for (k = 0; k < r->n; k++)
		if (io_is_read(ch, r->id[k]))
			id[n++] = r->id[k];
	r->n = 0;
	if (n == 1)
		conn_read(ch, (uint32_t)id[0]);
	else if (n > 1)
		io_read_parts(ch, id, n);
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
			io_read(ch, i);
		break;
	case CONN_CLOSING:
	case CONN_LINGER:
		closing_read(ch, i);
		break;
	default:
		break;
	}
}
