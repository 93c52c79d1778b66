/* From a client's bytes to messages. Live reading and replaying after a
 * takeover are this same function: what is known already is skipped. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "chat/conn.h"
#include "chat/head.h"
#include "hub/kill_list.h"
#include "hub/stats.h"

bool
conn_rate(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);
	uint64_t full = (uint64_t)ch->live.message_burst * 1000;
	uint64_t tokens;

	s->message_ms = (uint32_t)ch->now_ms;
	if (ch->live.message_rate == 0 || ch->replaying)
		return true; /* what is replayed was counted already */
	tokens = s->rate_tokens +
	    (uint64_t)((uint32_t)ch->now_ms - s->rate_ms) *
		ch->live.message_rate;
	if (tokens > full)
		tokens = full;
	s->rate_ms = (uint32_t)ch->now_ms;
	if (tokens < 1000)
		return false;
	s->rate_tokens = (uint32_t)(tokens - 1000);
	return true;
}

/* Makes room for a message of len bytes that came in several reads. */
static bool
message_room(struct chat *ch, size_t len)
{
	char *p;

	if (len <= ch->message_cap)
		return true;
	p = realloc(ch->message, len);
	if (p == NULL)
		return false;
	ch->message = p;
	ch->message_cap = len;
	return true;
}

/* The message in one piece: what was saved before, then this read's part. */
static const char *
message_join(struct chat *ch, uint32_t i, size_t have, size_t *len)
{
	const struct input_part *part = input_part(ch->hub, i);
	uint64_t bytes = part != NULL ? SHM_ONCE(part->bytes) : 0;
	size_t before;

	*len = have;
	if (bytes == 0)
		return (const char *)ch->payload;
	if (bytes > CHAT_ECHO_MAX || !message_room(ch, bytes + have))
		return NULL;
	before = input_gather(ch->hub, i, ch->message, bytes);
	memcpy(ch->message + before, ch->payload, have);
	*len = before + have;
	return ch->message;
}

/* Whether a takeover found the message done, or all but its end: what a plain
 * message does is one command, and its answer, if any, comes last. */
static bool
done_before(struct chat *ch, uint32_t i, uint64_t position)
{
	const struct slot *s = conn_slot(ch, i);

	ch->done_commands = KEY_COUNT(SHM_OWN(s->committed));
	return ch->conn[i].door == DOOR_PLAIN &&
	    (ch->done_commands > 0 || SHM_OWN(s->answered) >= KEY(position, 1));
}

/* A whole message has come. */
static void
message(struct chat *ch, uint32_t i, const struct ws_state *state, size_t have,
    uint64_t position)
{
	const struct door_ops *door = ch->door[ch->conn[i].door];
	const char *data;
	size_t len;

	if (state->opcode == WS_BINARY && !door->binary) {
		conn_end(ch, i, WS_UNSUPPORTED, REASON_TEXT_ONLY);
		return;
	}
	ch->answers = 0;
	if (done_before(ch, i, position))
		return;
	if (!door->own_rate && !conn_rate(ch, i)) {
		conn_end(ch, i, WS_POLICY, REASON_RATE);
		return;
	}
	data = message_join(ch, i, have, &len);
	if (data == NULL) {
		conn_end(ch, i, WS_INTERNAL, REASON_MEMORY);
		return;
	}
	KILL_WORD(data, len, "crash on input");
	door->message(ch, i, state->opcode, data, len, position);
}

/* The input up to a position is done. */
static void
commit(struct chat *ch, uint32_t i, uint64_t position)
{
	struct slot *s = conn_slot(ch, i);

	if (KEY_POSITION(SHM_OWN(s->committed)) < position)
		SHM_STORE(s->committed, KEY(position, 0));
	input_release(&ch->input, i);
}

/* A control frame has come. */
static void
control(struct chat *ch, uint32_t i, const struct ws_state *state,
    uint64_t position)
{
	uint16_t code = WS_NONE;

	switch (state->frame) {
	case WS_PING:
		ch->answers = 0;
		conn_answer(ch, i, WS_PONG,
		    &(struct iovec){(void *)state->control, state->control_len},
		    1, position);
		break;
	case WS_CLOSE:
		if (state->control_len >= 2)
			code = (uint16_t)(state->control[0] << 8 |
			    state->control[1]);
		conn_slot(ch, i)->flags |= SLOT_CLOSE_HEARD;
		conn_end(ch, i, code, REASON_NONE);
		break;
	default:
		break; /* a pong: it was heard */
	}
}

/* Keeps what is unfinished at the end of a read, or notes that nothing is. */
static void
settle(struct chat *ch, uint32_t i, const struct ws_state *state, uint64_t end,
    size_t have)
{
	if (ws_idle(state)) {
		commit(ch, i, end);
		return;
	}
	while (input_save(&ch->input, i, state, end, ch->payload, have) < 0) {
		if (head_evict(ch)) /* who is not known yet goes first */
			continue;
		log_warn("%s: closed with 1013: input-memory is full of "
			 "messages that have not arrived whole (a larger "
			 "`input-memory` holds more)",
		    conn_name(ch, i));
		conn_end(ch, i, WS_TRY_LATER, REASON_BUSY);
		return;
	}
}

/* How to close after a decoding error, in words for the peer. */
static enum reason
error_reason(uint16_t code)
{
	return code == WS_TOO_BIG ? REASON_TOO_BIG
	    : code == WS_BAD_DATA ? REASON_UTF8
				  : REASON_PROTOCOL;
}

/* A frame breaks the protocol. If that was to close, no other one follows. */
static void
input_fail(struct chat *ch, uint32_t i, const struct ws_state *state)
{
	if (state->frame == WS_CLOSE)
		conn_slot(ch, i)->flags |= SLOT_CLOSE_HEARD;
	conn_end(ch, i, state->error, error_reason(state->error));
}

void
conn_input(struct chat *ch, uint32_t i, uint64_t start, const uint8_t *bytes,
    size_t len)
{
	const struct input_part *part = input_part(ch->hub, i);
	struct slot *s = conn_slot(ch, i);
	uint64_t limit = ch->conn[i].door == DOOR_ECHO ? CHAT_ECHO_MAX
						       : ch->live.message_size;
	uint64_t known = KEY_POSITION(SHM_OWN(s->committed));
	struct ws_state state = {0};
	size_t at = 0, have = 0, used, n;
	enum ws_event event;

	if (part != NULL) {
		state = part->state;
		if (part->end > known)
			known = part->end;
	}
	if (known > start)
		at = known - start < len ? (size_t)(known - start) : len;
	SHM_STORE(ch->hub->me->hand_arg, slot_id(ch->hub, i));
	SHM_STORE(ch->hub->me->hand, HAND_INPUT);
	while (at < len && ch->conn[i].phase == CONN_OPEN) {
		event = ws_decode(&state, limit, bytes + at, len - at, &used,
		    ch->payload + have, &n);
		at += used;
		have += n;
		if (event == WS_EVENT_MESSAGE) {
			message(ch, i, &state, have, start + at);
			stats_tick(ch->hub);
			have = 0;
			if (ch->conn[i].phase == CONN_OPEN)
				commit(ch, i, start + at);
		} else if (event == WS_EVENT_CONTROL)
			control(ch, i, &state, start + at);
		else if (event == WS_EVENT_ERROR)
			input_fail(ch, i, &state);
	}
	if (ch->conn[i].phase == CONN_OPEN)
		settle(ch, i, &state, start + len, have);
	else if (ch->conn[i].phase == CONN_ENDING)
		closing_look(ch, i, bytes + at, len - at);
	SHM_STORE(ch->hub->me->hand, HAND_NOTHING);
}
