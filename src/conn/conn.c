#include "conn/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sparse.h"
#include "conn/head.h"
#include "conn/socket.h"
#include "conn/watch.h"
#include "hub/stats.h"

bool
conn_stations_of(const struct chat *ch, uint32_t i, struct conn_stations *out)
{
	const struct slot *s = &ch->hub->slot[i];
	const struct transport *t;

	out->transport = SHM_ONCE(s->transport);
	t = transport_of(out->transport);
	out->door = SHM_ONCE(s->door);
	out->dialect =
	    dialect_find(&ch->dialects, out->door, SHM_ONCE(s->framing));
	return out->dialect != DIALECT_NONE && t != NULL &&
	    (t->state_bytes == 0 || ch->hub->wire != NULL);
}

_Static_assert((int)SHM_WIRE == (int)TRANSPORT_STATE_MAX &&
	(int)SHM_REST == (int)TRANSPORT_REST,
    "there is room for it");

/* Makes the tables that connections are listed in. */
static int
conn_tables(struct chat *ch, uint32_t n)
{
	ch->conn = sparse_new(n + CHAT_SPARE, sizeof(*ch->conn));
	ch->here = sparse_new(claim_blocks(n), sizeof(*ch->here));
	ch->dirty = sparse_new((size_t)n * 2, sizeof(*ch->dirty));
	ch->dropped = sparse_new((size_t)n * 2, sizeof(*ch->dropped));
	ch->untold = sparse_new(n, sizeof(*ch->untold));
	ch->waiting = sparse_new(n + CHAT_SPARE, sizeof(*ch->waiting));
	if (ch->here != NULL && ch->conn != NULL && ch->dirty != NULL &&
	    ch->dropped != NULL && ch->untold != NULL && ch->waiting != NULL)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* Makes room for bytes on their way in and out. */
static int
conn_buffers(struct chat *ch)
{
	ch->payload = malloc(SHM_STAGE);
	ch->raw = sparse_new(1, SHM_STAGE);
	ch->spare_wire = sparse_new(CHAT_SPARE, SHM_WIRE);
	ch->spare_rest = sparse_new(CHAT_SPARE, SHM_REST);
	ch->sealed = sparse_new(1, CHAT_SEALED);
	if (ch->payload != NULL && ch->raw != NULL && ch->spare_wire != NULL &&
	    ch->spare_rest != NULL && ch->sealed != NULL)
		return 0;
	errno = ENOMEM;
	return -1;
}

int
conn_init(struct chat *ch)
{
	struct hub *h = ch->hub;

	ch->endpoints = &endpoints_usual;
	ch->budget_us = CHAT_BUDGET_US;
	ch->budget_bytes = CHAT_BUDGET_BYTES;
	if (conn_tables(ch, h->n_slots) < 0 || conn_buffers(ch) < 0 ||
	    claim_init(&ch->slots, h->slot_owner, h->n_slots, h->self) < 0 ||
	    output_pool_init(&ch->output, h) < 0 ||
	    input_pool_init(&ch->input, h) < 0 || watch_init(ch) < 0 ||
	    hold_init(ch) < 0 || rest_init(ch) < 0)
		return -1;
	head_sweep(ch);
	number_look(ch);
	return 0;
}

/* The private part of one that is accepted. False: it cannot be watched. */
static bool
conn_begin(struct chat *ch, uint32_t i, uint8_t endpoint, int fd)
{
	struct conn *c = &ch->conn[i];

	memset(c, 0, sizeof(*c));
	c->fd = fd;
	c->endpoint = endpoint;
	c->transport = conn_endpoint(ch, i)->transport;
	c->phase =
	    conn_transport(ch, i)->start != NULL ? CONN_START : CONN_REQUEST;
	/* a worker that died has left its connections' there */
	if (conn_transport(ch, i)->begin == NULL)
		conn_wire_clear(ch, i, c->transport);
	c->due_ms = (uint32_t)(ch->now_ms + ch->live.handshake_ms);
	if (conn_watch(ch, i) < 0) {
		c->phase = CONN_NONE;
		return false;
	}
	conn_pending(ch, 1);
	ch->n_conns++;
	return true;
}

/* What its slot says of it; the last store makes the descriptor the slot's. */
static void
conn_claim(struct chat *ch, uint32_t i, uint8_t endpoint, int fd,
    const struct sockaddr *peer)
{
	struct slot *s = conn_slot(ch, i);

	slot_set_peer(s, peer);
	/* for who cleans up after a death before it opens */
	s->transport = ch->endpoints->at[endpoint].transport;
	slot_socket_set(ch->hub, i, fd);
	slot_set(ch->hub, i, SLOT_ACCEPTED);
}

uint32_t
conn_accept(
    struct chat *ch, uint8_t endpoint, int fd, const struct sockaddr *peer)
{
	uint32_t i = fd < CHAT_FDS ? number_take(ch) : SHM_NONE;

	if (i == SHM_NONE)
		return SHM_NONE;
	if (conn_has_slot(ch, i))
		conn_claim(ch, i, endpoint, fd, peer);
	if (conn_begin(ch, i, endpoint, fd))
		return i;
	number_give(ch, i);
	return SHM_NONE;
}

uint32_t
conn_accept_begun(struct chat *ch, uint8_t endpoint, int fd,
    const struct sockaddr *peer, const void *birth, size_t len)
{
	const struct transport *t =
	    transports[ch->endpoints->at[endpoint].transport];
	uint32_t i = fd < CHAT_FDS ? number_take(ch) : SHM_NONE;
	struct transport_socket s;

	if (i == SHM_NONE) {
		errno = EBUSY;
		return SHM_NONE;
	}
	ch->conn[i].fd = fd;
	ch->conn[i].transport = ch->endpoints->at[endpoint].transport;
	conn_wire_clear(ch, i, ch->conn[i].transport);
	s = conn_socket(ch, i);
	/* all that it is lies there before the slot says that it is one */
	if (t->begin(&s, birth, len) == 0 && counters_came(fd) == 0) {
		KILL_POINT();
		if (conn_has_slot(ch, i))
			conn_claim(ch, i, endpoint, fd, peer);
		if (conn_begin(ch, i, endpoint, fd))
			return i;
	}
	conn_wire_clear(ch, i, ch->conn[i].transport);
	number_give(ch, i);
	return SHM_NONE;
}

bool
conn_accept_again(struct chat *ch, uint32_t i, uint8_t endpoint, int fd)
{
	conn_slot(ch, i)->transport = ch->endpoints->at[endpoint].transport;
	/* the dead worker may have been about to open it */
	SHM_STORE(conn_slot(ch, i)->appended, 0);
	return conn_begin(ch, i, endpoint, fd);
}

int
conn_open(struct chat *ch, uint32_t i, const struct door *door,
    const char *user, size_t user_len, const char *device, size_t device_len,
    const void *answer, size_t answer_len, uint64_t used)
{
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_slot(ch, i);
	const uint8_t framing = conn_endpoint(ch, i)->framing;
	uint8_t dialect = dialect_find(&ch->dialects, door->id, framing);
	uint32_t entry = SHM_NONE;
	struct frame f;

	if (dialect == DIALECT_NONE || output_open(&ch->output, &c->out, i) < 0)
		return -1;
	if (conn_frame(ch, &f, FRAME_OWN,
		&(struct iovec){(void *)answer, answer_len}, 1) < 0) {
		output_close(&ch->output, &c->out, i);
		return -1;
	}
	s->door = c->door = door->id;
	s->transport = c->transport;
	s->framing = framing;
	c->dialect = dialect;
	s->flags |= SLOT_AWAY | SLOT_OWN_AWAY;
	s->device_len = (uint8_t)device_len;
	memcpy(s->device, device, device_len);
	s->connected_ms = ch->now_ms;
	s->heard_ms = s->ping_ms = s->message_ms = s->rate_ms =
	    (uint32_t)ch->now_ms;
	s->rate_tokens = ch->live.message_burst * 1000;
	SHM_STORE(s->committed, KEY(used, 0));
	if (user_len > 0)
		entry = ch->members->enter(ch, i, user, user_len);
	if (user_len > 0 && entry == SHM_NONE) {
		frame_release(&ch->output, &f);
		output_close(&ch->output, &c->out, i);
		return -1;
	}
	conn_request_clear(ch, i);
	c->user.next = c->user.previous = 0;
	c->user.entry = SHM_NONE;
	SHM_STORE(s->last, SHM_OWN(ch->hub->mine->cursor));
	/* Before it is open, so that a worker which takes it over has its
	 * answer. Cannot fail: the first chunk has room. */
	if (output_append(&ch->output, &c->out, i, &f, 0) < 0)
		abort();
	frame_release(&ch->output, &f);
	slot_set(ch->hub, i, SLOT_OPEN);
	c->phase = CONN_OPEN;
	conn_pending(ch, -1);
	ch->n_open++;
	SHM_COUNT(ch->hub->me->accepted, 1);
	conn_dirty(ch, i);
	ch->members->opened(ch, i, entry);
	return 0;
}
