/* Deadlines: every connection is looked at at least once a second. */
#include "conn/begin.h"
#include "conn/conn.h"
#include "conn/request.h"
#include "conn/head.h"
#include "conn/rest.h"
#include "hub/stats.h"

enum {
	SWEEP_PARTS = 10, /* of the blocks at each call */
	SWEEP_BLOCKS_MIN =
	    16 /* a worker with few slots is swept whole each time */
};

/* Sends a ping. The ping is appended before its time is stored: a takeover must
 * not wait for a pong to a ping that was never sent. A framing without pings
 * sends none, and no pong is waited for. */
static void
sweep_ping(struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];
	uint64_t end = c->out.end;

	conn_answer(ch, i, FRAMING_PING, NULL, 0, 0);
	if (c->phase == CONN_OPEN && c->out.end != end)
		conn_slot(ch, i)->ping_ms = (uint32_t)ch->now_ms;
}

/* Ping, pong and idle of an open connection. */
static void
sweep_open(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);
	const struct door *door = ch->door[ch->conn[i].door];
	bool waiting = (int32_t)(s->ping_ms - s->heard_ms) > 0;

	/* it missed something while it had no output: nothing else tells it */
	if (s->skipped != 0 && output_pending(&ch->conn[i].out) == 0 &&
	    door->drained != NULL)
		door->drained(ch, i);
	if (ch->conn[i].phase == CONN_OPEN && door->sweep != NULL)
		door->sweep(ch, i);
	if (ch->conn[i].phase != CONN_OPEN || door->own_ping)
		return;
	if (waiting && conn_age_ms(ch, s->ping_ms) >= ch->live.pong_ms &&
	    !conn_unread(ch, i)) {
		conn_end(ch, i, CLOSE_NO_PONG, REASON_NO_PONG);
		return;
	}
	if (ch->live.idle_ms != 0 && door->idles &&
	    conn_age_ms(ch, s->message_ms) >= ch->live.idle_ms &&
	    !conn_unread(ch, i)) {
		conn_end(ch, i, CLOSE_IDLE, REASON_IDLE);
		return;
	}
	if (!waiting && conn_age_ms(ch, s->ping_ms) >= ch->live.ping_ms)
		sweep_ping(ch, i);
}

/* The deadline of a connection that is not open has come. Where it is the
 * client's, what has come in time and was not read yet counts: this worker may
 * not have run for long. */
static void
sweep_late(struct chat *ch, uint32_t i)
{
	switch (ch->conn[i].phase) {
	case CONN_START:
		/* that it has sent something is not enough: a handshake of
		 * which a part is missing could lie unread for ever */
		conn_start(ch, i);
		if (ch->conn[i].phase == CONN_START)
			conn_drop(
			    ch, i, "its transport's handshake took too long");
		break;
	case CONN_REQUEST:
		if (!conn_unread(ch, i))
			request_late(ch, i);
		break;
	case CONN_CLOSING:
		conn_linger(ch, i);
		break;
	case CONN_ANSWER:
	case CONN_ENDING:
		conn_reset(ch, i);
		break;
	case CONN_LINGER:
		conn_drop(ch, i, NULL);
		break;
	default:
		break;
	}
}

/* One connection. */
static void
sweep_one(struct chat *ch, uint32_t i)
{
	if (ch->conn[i].phase == CONN_OPEN)
		sweep_open(ch, i);
	else if ((int32_t)conn_age_ms(ch, ch->conn[i].due_ms) >= 0)
		sweep_late(ch, i);
}

void
conn_sweep(struct chat *ch)
{
	uint32_t n = ch->slots.n_blocks / SWEEP_PARTS + 1, seen = 0, looked, b;
	uint32_t i, end;

	number_look(ch);
	number_tell(ch);
	output_trim(&ch->output); /* before it is judged who has too much */
	conn_relieve(ch);
	hold_sweep(ch);
	head_sweep(ch);
	rest_sweep(ch);
	input_trim(&ch->input, ch->now_ms);
	for (i = 0; i < CHAT_SPARE; i++)
		if (ch->spare_used & 1ull << i)
			sweep_one(ch, ch->hub->n_slots + i);
	for (looked = 0; looked < ch->slots.n_blocks; looked++) {
		if (looked >= n && seen >= SWEEP_BLOCKS_MIN)
			break;
		b = ch->sweep_at++;
		if (ch->sweep_at >= ch->slots.n_blocks)
			ch->sweep_at = 0;
		if (ch->here[b] == 0)
			continue;
		seen++;
		i = b * SHM_BLOCK;
		end = i + SHM_BLOCK;
		i--;
		while (conn_next(ch, &i) && i < end)
			sweep_one(ch, i);
		line_tick(ch->hub);
	}
}
