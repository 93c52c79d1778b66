#include "conn/end.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conn/conn.h"
#include "conn/head.h"
#include "conn/socket.h"

void
conn_request_clear(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->waits) {
		hold_request_end(ch, i);
		conn_wait(ch, i, false);
		ch->members->request_ended(ch, i);
	}
	if (c->request.page != 0) {
		head_forget(ch, i);
		return;
	}
	free(c->request.bytes);
	memset(&c->request, 0, sizeof(c->request));
}

void
conn_forget_request(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_REQUEST || c->phase == CONN_START) {
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
	c->phase = CONN_LINGER;
	c->due_ms = (uint32_t)ch->now_ms + CHAT_LINGER_MS;
	c->paused = false;
	conn_linger_more(ch, i);
}

void
conn_linger_more(struct chat *ch, uint32_t i)
{
	ch->conn[i].blocked = conn_stop(ch, i) == TRANSPORT_WRITES;
	KILL_POINT();
	conn_watch(ch, i);
}

/* Decides that an open connection ends: this is stored first, so that a worker
 * that takes the connection over goes on with its end. */
static void
end_decide(
    struct chat *ch, uint32_t i, enum close_code code, enum reason reason)
{
	struct slot *s = conn_slot(ch, i);

	if (slot_state(ch->hub, i) != SLOT_OPEN)
		return;
	s->close_code = code;
	s->close_reason = (uint16_t)reason;
	s->flags |= SLOT_LEAVING;
	slot_set(ch->hub, i, SLOT_ENDING);
}

void
conn_leave(struct chat *ch, uint32_t i)
{
	if (slot_is_leaving(ch->hub, i))
		ch->members->leave(ch, i);
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
	const struct door *door = ch->door[ch->conn[i].door];
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
	/* without memory for the close frame the connection ends without it */
	(void)output_append(&ch->output, &ch->conn[i].out, i, &f, OUTPUT_CLOSE);
	frame_release(&ch->output, &f);
}

void
conn_end(struct chat *ch, uint32_t i, enum close_code code, enum reason reason)
{
	struct conn *c = &ch->conn[i];

	if (c->phase == CONN_REQUEST || c->phase == CONN_START) {
		conn_linger(ch, i);
		return;
	}
	if (c->phase != CONN_OPEN)
		return;
	end_decide(ch, i, code, reason);
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
	int fd;

	if (c->phase == CONN_NONE)
		return;
	if (why != NULL)
		log_debug("%s: %s", conn_name(ch, i), why);
	if (served) {
		end_decide(ch, i, CLOSE_NONE, REASON_NONE);
		if (conn_slot(ch, i)->flags & SLOT_LEAVING)
			ch->members->leave(ch, i);
	}
	if (c->present)
		ch->members->gone(ch, i);
	conn_forget_request(ch, i);
	if (c->phase == CONN_OPEN)
		ch->n_open--;
	c->dirty = false;
	conn_wait(ch, i, false);
	conn_unwatch(ch, i);
	if (served) {
		slot_set(ch->hub, i, SLOT_CLOSING);
		output_close(&ch->output, &c->out, i);
		input_release(&ch->input, i);
	}
	if (conn_transport(ch, i)->seal != NULL)
		(void)conn_stop(ch, i); /* says so in a last record */
	KILL_POINT();
	conn_wire_clear(ch, i, c->transport);
	fd = c->fd;
	c->fd = -1;
	c->phase = CONN_NONE;
	ch->n_conns--;
	/* Its slot first: what a slot claims is open. Nothing is opened in
	 * between, so the number is nobody else's. */
	number_give(ch, i);
	close(fd);
	KILL_POINT();
}
