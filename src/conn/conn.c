#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "room/channel.h"
#include "conn/conn.h"
#include "conn/custody.h"
#include "conn/head.h"
#include "conn/socket.h"
#include "takeover/move.h"
#include "room/user.h"
#include "hub/blob.h"
#include "hub/stats.h"
#include "memory.h"

bool
conn_next(struct chat *ch, uint32_t *i)
{
	uint32_t at = *i == SHM_NONE ? 0 : *i + 1, b;
	uint64_t used;

	for (b = at / SHM_BLOCK; b < ch->slots.n_blocks; b++) {
		used = ch->here[b];
		if (b == at / SHM_BLOCK)
			used &= ~0ull << at % SHM_BLOCK;
		if (used != 0) {
			*i = b * SHM_BLOCK + (uint32_t)__builtin_ctzll(used);
			return true;
		}
	}
	return false;
}

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
	event_del(&c->ev);
	event_assign(&c->ev, ch->base, c->fd, what, conn_event_cb, ch);
	if (what != EV_PERSIST && event_add(&c->ev, NULL) < 0)
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

bool
conn_stations_of(const struct chat *ch, uint32_t i, struct conn_stations *out)
{
	const struct slot *s = &ch->hub->slot[i];

	out->transport = SHM_ONCE(s->transport);
	out->door = SHM_ONCE(s->door);
	out->dialect =
	    dialect_find(&ch->dialects, out->door, SHM_ONCE(s->framing));
	return out->dialect != DIALECT_NONE &&
	    transport_of(out->transport) != NULL;
}

/* Whether all workers together have as many connections as are allowed; may
 * be off by as many as are accepted in the same moment. */
static bool
is_full(const struct chat *ch)
{
	uint64_t n = ch->n_here;
	int k;

	for (k = 0; k < SHM_WORKERS; k++)
		if (k != ch->hub->self)
			n += SHM_OWN(ch->hub->worker[k].connections);
	return ch->max_conns != 0 && n >= ch->max_conns;
}

void
conn_number(struct chat *ch, uint32_t i, bool here)
{
	uint64_t bit = 1ull << i % SHM_BLOCK;

	if (here) {
		ch->here[i / SHM_BLOCK] |= bit;
		ch->n_here++;
	} else {
		ch->here[i / SHM_BLOCK] &= ~bit;
		ch->n_here--;
	}
	atomic_store_explicit(
	    &ch->hub->me->connections, ch->n_here, memory_order_relaxed);
}

/* A connection's number: a slot's, or a spare one, which is refused. */
static uint32_t
number_take(struct chat *ch)
{
	uint32_t i = is_full(ch) ? SHM_NONE : slot_take(ch->hub, &ch->slots);
	int bit;

	/* of one that was given away and has ended at its new worker */
	if (i != SHM_NONE && ch->conn[i].phase == CONN_MOVING)
		move_look(ch);
	/* free, and yet here: somebody scribbled */
	if (i != SHM_NONE && ch->conn[i].phase != CONN_NONE)
		i = SHM_NONE;
	if (i != SHM_NONE)
		conn_number(ch, i, true);
	if (i != SHM_NONE || ch->spare_used == ~0ull)
		return i;
	bit = __builtin_ctzll(~ch->spare_used);
	ch->spare_used |= 1ull << bit;
	return ch->hub->n_slots + (uint32_t)bit;
}

static void
number_give(struct chat *ch, uint32_t i)
{
	if (conn_has_slot(ch, i)) {
		conn_number(ch, i, false);
		slot_release(ch->hub, &ch->slots, i);
	} else
		ch->spare_used &= ~(1ull << (i - ch->hub->n_slots));
}

void
conn_pending(struct chat *ch, int more)
{
	ch->n_pending += (uint32_t)more;
	atomic_store_explicit(
	    &ch->hub->me->pending, ch->n_pending, memory_order_relaxed);
}

uint32_t
conn_accept(struct chat *ch, int fd, const struct sockaddr *peer)
{
	uint32_t i = fd < CHAT_FDS ? number_take(ch) : SHM_NONE;
	struct conn *c;

	if (i == SHM_NONE)
		return SHM_NONE;
	c = &ch->conn[i];
	memset(c, 0, sizeof(*c));
	c->fd = fd;
	ch->by_fd[fd] = i;
	c->transport = TRANSPORT_USUAL;
	c->phase = CONN_REQUEST;
	c->due_ms = (uint32_t)(ch->now_ms + ch->live.handshake_ms);
	if (conn_has_slot(ch, i))
		slot_set_peer(conn_slot(ch, i), peer);
	event_assign(
	    &c->ev, ch->base, fd, EV_READ | EV_PERSIST, conn_event_cb, ch);
	if (event_add(&c->ev, NULL) < 0) {
		number_give(ch, i);
		c->phase = CONN_NONE;
		return SHM_NONE;
	}
	conn_pending(ch, 1);
	ch->n_conns++;
	return i;
}

void
conn_request_clear(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->request.page != 0) {
		head_forget(ch, i);
		return;
	}
	free(c->request.bytes);
	memset(&c->request, 0, sizeof(c->request));
}

int
conn_open(struct chat *ch, uint32_t i, enum slot_door door, const char *user,
    size_t user_len, const char *device, size_t device_len, const void *answer,
    size_t answer_len, uint64_t used)
{
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_slot(ch, i);
	const uint8_t framing = FRAMING_USUAL;
	uint8_t dialect = dialect_find(&ch->dialects, (uint8_t)door, framing);
	uint32_t entry = SHM_NONE;
	struct frame f;

	if (dialect == DIALECT_NONE || output_open(&ch->output, &c->out, i) < 0)
		return -1;
	if (conn_frame(ch, &f, FRAME_OWN,
		&(struct iovec){(void *)answer, answer_len}, 1) < 0) {
		output_close(&ch->output, &c->out, i);
		return -1;
	}
	s->door = c->door = (uint8_t)door;
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
		entry = user_enter(ch, i, user, user_len);
	if (user_len > 0 && entry == SHM_NONE) {
		frame_release(&ch->output, &f);
		output_close(&ch->output, &c->out, i);
		return -1;
	}
	conn_request_clear(ch, i);
	c->user.next = c->user.previous = 0;
	c->user.entry = SHM_NONE;
	if (user_len > 0)
		user_list_add(ch, i, entry);
	SHM_STORE(s->last, SHM_OWN(ch->hub->mine->cursor));
	slot_set(ch->hub, i, SLOT_OPEN);
	c->phase = CONN_OPEN;
	conn_pending(ch, -1);
	ch->n_open++;
	/* cannot fail: the first chunk has room */
	if (output_append(&ch->output, &c->out, i, &f, 0) < 0)
		abort();
	frame_release(&ch->output, &f);
	SHM_COUNT(ch->hub->me->accepted, 1);
	custody_add(ch, i);
	if (door == DOOR_PLAIN)
		channel_tell_lobby_join(ch, i);
	channel_tell_own_join(ch, i); /* of who is known by now */
	return 0;
}

void
conn_forget_request(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_REQUEST) {
		conn_pending(ch, -1);
		conn_request_clear(ch, i);
	} else if (c->phase == CONN_ANSWER) {
		free(c->answer);
		c->answer = NULL;
	}
}

void
conn_linger(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	conn_forget_request(ch, i);
	conn_stop(ch, i);
	KILL_POINT();
	c->phase = CONN_LINGER;
	c->due_ms = (uint32_t)ch->now_ms + CHAT_LINGER_MS;
	c->blocked = false;
	c->paused = false;
	conn_watch(ch, i);
}

/* The output's bound is reached, and the socket takes no more. */
static void
conn_slow(struct chat *ch, uint32_t i)
{
	if (ch->conn[i].fresh) { /* its socket was not offered anything */
		log_warn("%s: closed with 1013: more than `queue`, %u bytes, "
			 "waits for the keeper to have its descriptor",
		    conn_name(ch, i), ch->live.queue_bytes);
		conn_end(ch, i, CLOSE_TRY_LATER, REASON_BUSY);
		return;
	}
	log_info("%s reads too slowly, closed", conn_name(ch, i));
	SHM_COUNT(ch->hub->me->closed_slow, 1);
	conn_end(ch, i, CLOSE_POLICY, REASON_SLOW);
}

/* Whether a frame fits under a connection's bound as it is now. */
static bool
conn_fits(struct chat *ch, uint32_t i, const struct frame *f)
{
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_slot(ch, i);
	uint64_t pending = output_pending(&c->out), room = ch->live.queue_bytes;
	uint64_t references = SHM_OWN(s->appended) - c->out.front;

	/* who is not known to be slow may exceed the bound by one message */
	if (!c->blocked)
		room += f->bytes + f->n * OUTPUT_COST;
	return pending == 0 || /* one message always fits */
	    pending + f->bytes + (references + f->n) * OUTPUT_COST <= room ||
	    c->door == DOOR_ECHO; /* it stops reading instead */
}

bool
conn_has_room(struct chat *ch, uint32_t i, const struct frame *f)
{
	struct conn *c = &ch->conn[i];

	if (conn_fits(ch, i, f))
		return true;
	/* only what its socket has refused shows that the peer is slow: what
	 * was appended in this turn has not been offered to the socket yet */
	if (c->dirty == 0)
		return false;
	conn_write(ch);
	return c->phase != CONN_OPEN || conn_fits(ch, i, f);
}

/* Appends what could not be: makes room until it can. False: there is none. */
static bool
append_again(
    struct chat *ch, uint32_t i, const struct frame *f, uint64_t tag, int r)
{
	struct conn *c = &ch->conn[i];

	for (; r == -1; r = output_append(&ch->output, &c->out, i, f, tag)) {
		if (!memory_relieve(ch))
			return false;
		if (c->phase != CONN_OPEN)
			return true; /* it was this one that made room */
	}
	if (r == OUTPUT_SPOILT)
		conn_drop_later(ch, i, "its records make no sense");
	else
		conn_dirty(ch, i);
	return true;
}

bool
conn_append(struct chat *ch, uint32_t i, const struct frame *f, uint64_t tag)
{
	int r;

	if (!conn_has_room(ch, i, f)) {
		conn_slow(ch, i);
		return true;
	}
	if (ch->conn[i].phase != CONN_OPEN)
		return true; /* writing has shown that it is broken */
	r = output_append(&ch->output, &ch->conn[i].out, i, f, tag);
	if (r < 0)
		return append_again(ch, i, f, tag, r);
	conn_dirty(ch, i);
	return true;
}

void
conn_answer(struct chat *ch, uint32_t i, enum framing_kind kind,
    const struct iovec *parts, int n, uint64_t position)
{
	struct conn *c = &ch->conn[i];
	struct iovec all[CHAT_PARTS + 2];
	struct framing_ends ends;
	struct frame f;
	uint64_t key = 0;
	int k, r;

	if (c->phase != CONN_OPEN || n > CHAT_PARTS)
		return;
	if (position != 0)
		key = KEY(position, ++ch->answers);
	/* at a takeover it may stand in the output already */
	if (key != 0 && SHM_OWN(conn_slot(ch, i)->answered) >= key)
		return;
	for (k = 0; k < n; k++)
		all[k + 1] = parts[k];
	n = conn_framing(ch, i)->wrap(&ends, kind, all, n);
	if (n == 0)
		return;
	r = conn_frame(ch, &f, FRAME_OWN, all, n);
	if (r == FRAME_TOO_BIG)
		conn_end(ch, i, CLOSE_TOO_BIG, REASON_TOO_BIG);
	/* making room may have cost this very connection */
	else if (r < 0 ||
	    (c->phase == CONN_OPEN &&
		!conn_append(ch, i, &f, key != 0 ? OUTPUT_ANSWER | key : 0)))
		conn_end(ch, i, CLOSE_TRY_LATER, REASON_BUSY);
	if (r == 0)
		frame_release(&ch->output, &f);
}

void
conn_tell(struct chat *ch, uint32_t i, uint64_t position, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		conn_drop_later(ch, i, "out of memory");
		return;
	}
	conn_answer(
	    ch, i, FRAMING_TEXT, &(struct iovec){text, (size_t)n}, 1, position);
	free(text);
}

/* Decides that an open connection ends: this is stored before anything comes of
 * it, so that whoever takes it over goes on with it. */
static void
decide(struct chat *ch, uint32_t i, enum close_code code, enum reason reason)
{
	struct slot *s = conn_slot(ch, i);

	if (slot_state(ch->hub, i) != SLOT_OPEN)
		return;
	s->close_code = code;
	s->close_reason = (uint16_t)reason;
	s->flags |= SLOT_LEAVING;
	slot_set(ch->hub, i, SLOT_ENDING);
}

/* Takes a connection out of all that it is in. */
static void
leave(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);
	const struct door_ops *door = ch->door[ch->conn[i].door];

	if (door != NULL && door->leave != NULL)
		door->leave(ch, i);
	if (ch->conn[i].door != DOOR_PLAIN || ch->conn[i].present)
		channel_tell_leaves(ch, i);
	channel_unsubscribe_all(ch, i);
	/* first: once it has left, the entry may become another's, and whoever
	 * takes this over is not to leave it again */
	s->user = SHM_NONE;
	KILL_POINT();
	user_leave(ch, i);
	KILL_POINT();
	blob_drop(&ch->input, s->info);
	s->info = 0;
	s->flags &= ~SLOT_LEAVING;
	KILL_POINT();
}

void
conn_leave(struct chat *ch, uint32_t i)
{
	if (slot_is_leaving(ch->hub, i))
		leave(ch, i);
}

void
conn_append_close(struct chat *ch, uint32_t i)
{
	static const char *const texts[REASONS] = {[REASON_NONE] = "",
	    [REASON_GOING_AWAY] = "going away",
	    [REASON_RESTARTING] = "restarting",
	    [REASON_KICKED] = "kicked",
	    [REASON_IDLE] = "idle",
	    [REASON_NO_PONG] = "no pong",
	    [REASON_SLOW] = "slow",
	    [REASON_RATE] = "message rate",
	    [REASON_TEXT_ONLY] = "text only",
	    [REASON_TOO_BIG] = "message too big",
	    [REASON_UTF8] = "invalid UTF-8",
	    [REASON_PROTOCOL] = "protocol error",
	    [REASON_BUSY] = "server is busy",
	    [REASON_MEMORY] = "out of memory",
	    [REASON_INTERNAL] = "internal error"};
	const struct slot *s = conn_slot(ch, i);
	const struct door_ops *door = ch->door[ch->conn[i].door];
	uint16_t kept = SHM_ONCE(s->close_reason);
	enum reason reason = kept < REASONS ? kept : REASON_NONE;
	const char *text = texts[reason];
	uint16_t code = (uint16_t)s->close_code;
	uint8_t bytes[FRAMING_CLOSE_MAX];
	struct frame f;
	size_t n;

	if (door != NULL && door->close_code != NULL)
		code = door->close_code(code, reason, &text);
	n = conn_framing(ch, i)->close(bytes, code, text);
	if (n == 0 ||
	    frame_build(
		&ch->output, &f, FRAME_OWN, &(struct iovec){bytes, n}, 1) < 0)
		return;
	/* short of memory the code is not told; the end comes anyway */
	(void)output_append(&ch->output, &ch->conn[i].out, i, &f, OUTPUT_CLOSE);
	frame_release(&ch->output, &f);
}

void
conn_end(struct chat *ch, uint32_t i, enum close_code code, enum reason reason)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_REQUEST) {
		conn_linger(ch, i);
		return;
	}
	if (c->phase != CONN_OPEN)
		return;
	decide(ch, i, code, reason);
	conn_leave(ch, i);
	c->phase = CONN_ENDING;
	c->due_ms = (uint32_t)ch->now_ms + CHAT_ENDING_MS;
	ch->n_open--;
	conn_wait(ch, i, false);
	input_release(&ch->input, i);
	conn_append_close(ch, i);
	conn_pause(ch, i, true); /* until our close frame is sent */
	conn_dirty(ch, i);
}

void
conn_drop(struct chat *ch, uint32_t i, const char *why)
{
	struct conn *c = &ch->conn[i];
	bool served = conn_has_slot(ch, i) && slot_in_use(ch->hub, i);

	if (c->phase == CONN_NONE)
		return;
	if (why != NULL)
		log_debug("%s: %s", conn_name(ch, i), why);
	if (served) {
		decide(ch, i, CLOSE_NONE, REASON_NONE);
		if (conn_slot(ch, i)->flags & SLOT_LEAVING)
			leave(ch, i);
	}
	conn_forget_request(ch, i);
	if (c->phase == CONN_OPEN)
		ch->n_open--;
	if (c->dirty != 0)
		ch->dirty[c->dirty - 1] = SHM_NONE;
	conn_wait(ch, i, false);
	event_del(&c->ev);
	if (served) {
		slot_set(ch->hub, i, SLOT_CLOSING);
		output_close(&ch->output, &c->out, i);
		input_release(&ch->input, i);
		/* the keeper's duplicate lives on for a moment: only this
		 * tells the peer */
		conn_stop(ch, i);
		KILL_POINT();
		custody_give_up(ch, slot_id(ch->hub, i));
	}
	close(c->fd);
	KILL_POINT();
	c->fd = -1;
	c->fresh = false;
	c->phase = CONN_NONE;
	ch->n_conns--;
	number_give(ch, i);
}
