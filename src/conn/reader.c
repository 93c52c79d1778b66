/* From a client's bytes to messages. Live reading, going on with input that
 * waited and replaying after a takeover are one function: what is done already
 * is skipped. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conn/conn.h"
#include "conn/head.h"
#include "base/kill_list.h"
#include "hub/stats.h"

/* Fragments, and messages, between two looks at the clock. Larger: one may take
 * longer than its share by so many; smaller: the looks cost more (20 ns each,
 * as much as a fragment). */
enum { FRAGMENTS_LOOK = 16, MESSAGES_LOOK = 4 };

/* Reads of which more may follow than a message costs: see conn_is_spent(). */
enum { READ_LONG = 1024 };

/* Input that is being read: from the stage, or from the part that waited. */
struct reading {
	struct chat *ch;
	uint32_t i;
	uint64_t start; /* input position of bytes[0] */
	const uint8_t *bytes;
	size_t len, at;
	size_t kept; /* payload of the message in hand that is in the part */
	size_t have; /* and what of it is in ch->payload */
	uint32_t events; /* since the last look at the clock */
	bool waited;	 /* all of this is in the part, too */
	bool whole;	 /* and the message in hand is whole there */
	const struct framing *framing;
	struct framing_state state;
};

bool
conn_rate_quiet(struct chat *ch, uint32_t i, unsigned n)
{
	struct slot *s = conn_slot(ch, i);
	const uint64_t full = (uint64_t)ch->live.message_burst * 1000;
	uint64_t tokens;

	if (ch->live.message_rate == 0 || ch->replaying)
		return true; /* replayed input was counted before */
	tokens = s->rate_tokens +
	    (uint64_t)((uint32_t)ch->now_ms - s->rate_ms) *
		ch->live.message_rate;
	if (tokens > full)
		tokens = full;
	s->rate_ms = (uint32_t)ch->now_ms;
	if (tokens < n * UINT64_C(1000))
		return false;
	s->rate_tokens = (uint32_t)(tokens - n * UINT64_C(1000));
	return true;
}

bool
conn_rate(struct chat *ch, uint32_t i)
{
	/* what waited goes on waiting, after a takeover, too */
	if (!ch->hold.again || ch->hold.command != ch->hold.waited)
		conn_slot(ch, i)->message_ms = (uint32_t)ch->now_ms;
	return conn_rate_quiet(ch, i, 1);
}

/* Makes room for a message of len bytes that came in several reads. */
static bool
reading_room(struct chat *ch, size_t len)
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

/* The message in hand in one piece: what was kept of it, then what came now. */
static const char *
reading_join(struct reading *r, size_t *len)
{
	struct chat *ch = r->ch;
	size_t before;

	*len = r->have;
	if (r->kept == 0)
		return (const char *)ch->payload;
	if (r->kept > CONF_MESSAGE_SIZE_MAX ||
	    !reading_room(ch, r->kept + r->have))
		return NULL;
	before = input_gather(ch->hub, r->i, ch->message, r->kept);
	memcpy(ch->message + before, ch->payload, r->have);
	*len = before + r->have;
	return ch->message;
}

/* Whether a takeover found the message done, or all but its end: so at a door
 * where a message is one command, unless that waits for an answer. */
static bool
reading_done_before(struct chat *ch, uint32_t i, uint64_t position)
{
	struct slot *s = conn_slot(ch, i);

	ch->done_commands = KEY_COUNT(SHM_OWN(s->committed));
	if (!ch->door[ch->conn[i].door]->one_command)
		return false;
	if (SHM_OWN(s->answered) < KEY(position, 1))
		return ch->done_commands > 0 &&
		    SHM_LOAD(s->awaits) == AWAITS_NOTHING;
	hold_answered(ch, i);
	return true;
}

/* Whether the connection's rate allows the message in hand. One that has waited
 * was counted before. */
static bool
reading_rate_allows(struct chat *ch, uint32_t i)
{
	return ch->door[ch->conn[i].door]->own_rate || ch->done_commands > 0 ||
	    hold_ended(ch) != HOLD_NOT || conn_rate(ch, i);
}

/* Has the door carry out the message in hand, which is whole, or what is left
 * of it. */
static void
reading_do(struct reading *r, uint64_t position)
{
	struct chat *ch = r->ch;
	const struct door *door = ch->door[ch->conn[r->i].door];
	const struct framing *f = r->framing;
	enum framing_kind kind =
	    f->kind != NULL ? f->kind(&r->state) : FRAMING_TEXT;
	const char *data;
	size_t len;

	ch->rest_from = 0;
	hold_command(ch, 0);
	ch->hold.what = HOLD_NOTHING;
	ch->hold.conn = r->i;
	if (kind == FRAMING_BINARY && !door->binary) {
		conn_end(ch, r->i, CLOSE_UNSUPPORTED, REASON_TEXT_ONLY);
		return;
	}
	ch->answers = 0;
	if (reading_done_before(ch, r->i, position))
		return;
	if (!reading_rate_allows(ch, r->i)) {
		conn_end(ch, r->i, CLOSE_POLICY, REASON_RATE);
		return;
	}
	data = reading_join(r, &len);
	if (data == NULL) {
		conn_end(ch, r->i, CLOSE_INTERNAL, REASON_MEMORY);
		return;
	}
	KILL_WORD(data, len, "crash on input");
	door->message(ch, r->i, kind, data, len, position);
}

/* All before a position is done. */
static void
reading_commit(struct reading *r, uint64_t position)
{
	struct slot *s = conn_slot(r->ch, r->i);

	if (KEY_POSITION(SHM_OWN(s->committed)) < position)
		SHM_STORE(s->committed, KEY(position, 0));
	/* of a door that does not ask for a result */
	hold_answered(r->ch, r->i);
	/* the waiting part is still in use, and its position tells how far it
	 * is done */
	if (!r->waited)
		input_release(&r->ch->input, r->i);
	r->kept = r->have = 0;
	r->whole = false;
}

/* Keeps in the part the input that is not done: the message in hand, whole or
 * not, and the bytes behind it. -1: there is no room; less: the connection is
 * dropped. */
static int
reading_keep(struct reading *r, bool whole)
{
	struct input_more more = {.state = &r->state,
	    .state_bytes = r->framing->state_bytes,
	    .end = r->start + r->len,
	    .bytes = r->ch->payload,
	    .len = r->have,
	    .raw = r->bytes + r->at,
	    .raw_len = (uint32_t)(r->len - r->at),
	    .whole = whole,
	    .anew = r->waited};
	int kept;

	if (r->waited && (more.bytes = reading_join(r, &more.len)) == NULL)
		return -1;
	do
		kept = input_keep(&r->ch->input, r->i, &more);
	while (kept == -1 &&
	    head_evict(r->ch)); /* who is not known yet goes first */
	if (kept == INPUT_CORRUPTED)
		conn_drop_later(r->ch, r->i, "its records make no sense");
	return kept;
}

/* Input that should wait found no room. It is done now instead, and if that
 * takes too long the connection ends. */
static void
reading_no_room(struct reading *r)
{
	if (r->ch->conn[r->i].phase != CONN_OPEN)
		return;
	if (!r->ch->budget.off) {
		r->ch->budget.off = true;
		r->ch->budget.from_us = clock_us();
		return;
	}
	log_warn("%s: closed with 1013: input-memory is full of messages that "
		 "have not arrived whole, or wait (a larger `input-memory` "
		 "holds more)",
	    conn_name(r->ch, r->i));
	conn_end(r->ch, r->i, CLOSE_TRY_LATER, REASON_BUSY);
}

/* Keeps a message of which `done` commands are done, and stores that; then
 * there is nothing that a takeover would not find. False: there is no room. */
static bool
reading_put_off(struct reading *r, uint32_t done)
{
	struct slot *s = conn_slot(r->ch, r->i);

	r->whole = r->whole || reading_keep(r, true) == 0;
	SHM_STORE(s->committed, KEY(KEY_POSITION(SHM_OWN(s->committed)), done));
	return r->whole;
}

/* The command in hand waits for an answer. False: there is no memory for that:
 * it is looked at once more, and answered without. */
static bool
reading_hold(struct reading *r)
{
	struct chat *ch = r->ch;
	/* what waits for a result is accepted, and counts as done */
	const uint32_t done =
	    ch->hold.command + (ch->hold.what == HOLD_RESULT ? 1 : 0);

	if (reading_put_off(r, done) && hold_begin(ch, r->i))
		return true;
	hold_deny(ch);
	return false;
}

/* A whole message has come. True: the rest of it waits, and how much is done
 * has been stored. */
static bool
reading_message(struct reading *r, uint64_t position)
{
	struct chat *ch = r->ch;

	do {
		reading_do(r, position);
		line_tick(ch->hub);
		if (ch->conn[r->i].phase != CONN_OPEN)
			return false;
		if (hold_is_wanted(ch)) {
			if (reading_hold(r))
				return true;
		} else if (ch->rest_from == 0) {
			reading_commit(r, position);
			return false;
		} else if (reading_put_off(r, ch->rest_from))
			return true;
		else
			reading_no_room(r);
	} while (ch->conn[r->i].phase == CONN_OPEN);
	return false;
}

/* A control message has come. */
static void
reading_control(struct reading *r, uint64_t position)
{
	struct chat *ch = r->ch;
	struct framing_said said;

	r->framing->said(&r->state, &said);
	switch (said.kind) {
	case FRAMING_PING:
		ch->answers = 0;
		conn_answer(ch, r->i, FRAMING_PONG,
		    &(struct iovec){(void *)said.bytes, said.len}, 1, position);
		break;
	case FRAMING_CLOSE:
		conn_slot(ch, r->i)->flags |= SLOT_CLOSE_HEARD;
		conn_end(ch, r->i, said.code, REASON_NONE);
		break;
	default:
		break; /* a pong: it was heard */
	}
}

/* Keeps what is unfinished at the end of a read, or notes that nothing is. */
static void
reading_settle(struct reading *r)
{
	if (r->framing->idle(&r->state)) {
		r->waited = false; /* all of it is done */
		reading_commit(r, r->start + r->len);
	} else if (reading_keep(r, false) < 0) {
		r->ch->budget.off = true; /* nothing is left to be done */
		reading_no_room(r);
	}
}

/* How to close after a decoding error, in words for the peer. */
static enum reason
reading_reason(uint16_t code)
{
	return code == CLOSE_TOO_BIG ? REASON_TOO_BIG
	    : code == CLOSE_BAD_DATA ? REASON_UTF8
				     : REASON_PROTOCOL;
}

/* Input breaks the protocol. If that was to close, no other one follows. */
static void
reading_fail(struct reading *r)
{
	struct framing_said said;

	r->framing->said(&r->state, &said);
	if (said.kind == FRAMING_CLOSE)
		conn_slot(r->ch, r->i)->flags |= SLOT_CLOSE_HEARD;
	conn_end(r->ch, r->i, said.code, reading_reason(said.code));
}

/* Whether the input behind an event is to wait. */
static bool
reading_is_enough(struct reading *r, enum framing_event event)
{
	const struct conn *c = &r->ch->conn[r->i];
	uint32_t look =
	    event == FRAMING_EVENT_DATA ? FRAGMENTS_LOOK : MESSAGES_LOOK;

	if (r->at == r->len || c->phase != CONN_OPEN)
		return false;
	if (++r->events < look &&
	    c->out.end - r->ch->budget.from_output < r->ch->budget_bytes)
		return false;
	r->events = 0;
	return conn_is_spent(r->ch, r->i);
}

/* Keeps the bytes that are not decoded yet; false: there is no room. */
static bool
reading_wait(struct reading *r)
{
	bool idle = r->framing->idle(&r->state), kept;

	if (idle) {
		reading_commit(r, r->start + r->at);
		r->state = (struct framing_state){{0}};
	}
	/* waiting bytes are in the part already, and its position is stored */
	kept = (idle && r->waited) || reading_keep(r, false) == 0;
	if (!kept)
		reading_no_room(r);
	return kept;
}

/* Handles what is left of the bytes. True: some of it waits. */
static bool
reading_run(struct reading *r)
{
	struct chat *ch = r->ch;
	const struct door *door = ch->door[ch->conn[r->i].door];
	uint64_t limit =
	    door->message_max != 0 ? door->message_max : ch->live.message_size;
	enum framing_event event;
	size_t used, n;

	while (r->at < r->len && ch->conn[r->i].phase == CONN_OPEN) {
		if (ch->conn[r->i].drains && r->framing->idle(&r->state)) {
			conn_end(ch, r->i, CLOSE_RESTART, REASON_RESTARTING);
			break;
		}
		event = r->framing->decode(&r->state, limit, r->bytes + r->at,
		    r->len - r->at, &used, ch->payload + r->have, &n);
		r->at += used;
		r->have += n;
		if (event == FRAMING_EVENT_MESSAGE) {
			ch->hold.ended = HOLD_NOT; /* of the one before */
			ch->hold.again = false;
			if (reading_message(r, r->start + r->at))
				return true;
		} else if (event == FRAMING_EVENT_CONTROL)
			reading_control(r, r->start + r->at);
		else if (event == FRAMING_EVENT_ERROR)
			reading_fail(r);
		if (reading_is_enough(r, event) && reading_wait(r))
			return true;
	}
	if (ch->conn[r->i].phase == CONN_OPEN)
		reading_settle(r);
	else if (ch->conn[r->i].phase == CONN_ENDING)
		closing_look(ch, r->i, r->bytes + r->at, r->len - r->at);
	return false;
}

void
conn_input(struct chat *ch, uint32_t i, uint64_t start, const uint8_t *bytes,
    size_t len)
{
	const struct input_part *part = input_part(ch->hub, i);
	uint64_t known = KEY_POSITION(SHM_OWN(conn_slot(ch, i)->committed));
	struct reading r = {.ch = ch,
	    .i = i,
	    .start = start,
	    .bytes = bytes,
	    .len = len,
	    .framing = conn_framing(ch, i)};

	if (part != NULL) {
		r.state = part->state;
		r.kept = SHM_ONCE(part->bytes);
		if (part->end > known)
			known = part->end;
	}
	if (known > start)
		r.at = known - start < len ? (size_t)(known - start) : len;
	SHM_STORE(ch->hub->mine->hand_arg, slot_id(ch->hub, i));
	SHM_STORE(ch->hub->mine->hand, HAND_INPUT);
	conn_budget_begin(ch, i, len > READ_LONG);
	if (reading_run(&r))
		conn_wait(ch, i, true);
	SHM_STORE(ch->hub->mine->hand, HAND_NOTHING);
}

/* Reads the waiting input from the part; false: it is corrupted. */
static bool
reading_take(struct reading *r)
{
	struct chat *ch = r->ch;
	struct input_part p = *input_part(ch->hub, r->i);
	uint64_t known = KEY_POSITION(SHM_OWN(conn_slot(ch, r->i)->committed));

	if (p.raw > SHM_STAGE || p.raw > p.end || known > p.end ||
	    input_raw(ch->hub, r->i, ch->raw, p.raw) != p.raw)
		return false;
	r->start = p.end - p.raw;
	r->bytes = ch->raw;
	r->len = p.raw;
	/* the input before is done, and perhaps the first of these bytes */
	if (known > r->start || (known == r->start && p.whole != 0)) {
		r->at = known - r->start;
		return true;
	}
	r->state = p.state;
	r->kept = p.bytes;
	r->whole = p.whole != 0;
	return true;
}

bool
conn_input_rest(struct chat *ch, uint32_t i)
{
	struct reading r = {
	    .ch = ch, .i = i, .waited = true, .framing = conn_framing(ch, i)};
	bool more = true;

	if (!input_waits(ch->hub, i))
		return false;
	if (!reading_take(&r)) {
		conn_drop_later(ch, i, "its records make no sense");
		return false;
	}
	SHM_STORE(ch->hub->mine->hand_arg, slot_id(ch->hub, i));
	SHM_STORE(ch->hub->mine->hand, HAND_INPUT);
	conn_budget_begin(ch, i, true);
	ch->replaying = ch->conn[i].torn;
	hold_again(ch, i);
	ch->hold.again = r.whole && ch->replaying;
	if (!r.whole || !reading_message(&r, r.start))
		more = reading_run(&r);
	ch->replaying = false;
	SHM_STORE(ch->hub->mine->hand, HAND_NOTHING);
	return more && ch->conn[i].phase == CONN_OPEN;
}
