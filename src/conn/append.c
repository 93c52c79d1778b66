#include "conn/append.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "conn/conn.h"
#include "hub/stats.h"

/* The output's bound is reached, and the socket takes no more. */
static void
append_slow(struct chat *ch, uint32_t i)
{
	log_info("%s reads too slowly, closed", conn_name(ch, i));
	SHM_COUNT(ch->hub->me->closed_slow, 1);
	conn_end(ch, i, CLOSE_POLICY, REASON_SLOW);
}

/* Whether a frame fits under a connection's bound as it is now. */
static bool
append_fits(struct chat *ch, uint32_t i, const struct frame *f)
{
	struct conn *c = &ch->conn[i];
	struct slot *s = conn_slot(ch, i);
	uint64_t pending = output_pending(&c->out), room = ch->live.queue_bytes;
	uint32_t references = (uint32_t)SHM_OWN(s->appended) - c->out.front;

	/* a client that is not known to be slow may exceed the bound by one
	 * message */
	if (!c->blocked)
		room += f->bytes + f->n * OUTPUT_COST;
	return pending == 0 || /* one message always fits */
	    pending + f->bytes + ((uint64_t)references + f->n) * OUTPUT_COST <=
	    room ||
	    ch->door[c->door]->holds_back;
}

bool
conn_has_room(struct chat *ch, uint32_t i, const struct frame *f)
{
	struct conn *c = &ch->conn[i];

	if (append_fits(ch, i, f))
		return true;
	/* only what its socket has refused shows that the peer is slow: what
	 * was appended in this turn has not been offered to the socket yet */
	if (!c->dirty)
		return false;
	conn_write(ch);
	return c->phase != CONN_OPEN || append_fits(ch, i, f);
}

/* Makes room and appends again, until that succeeds. False: there is no
 * room. */
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
	if (r == OUTPUT_CORRUPTED)
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
		append_slow(ch, i);
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
	struct iovec all[DOOR_PARTS + 2];
	struct framing_ends ends;
	struct frame f;
	uint64_t key = 0;
	int k, r;

	if (c->phase != CONN_OPEN || n > DOOR_PARTS)
		return;
	if (position != 0)
		key = KEY(position, ++ch->answers);
	/* at a takeover the answer may be in the output already */
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
	/* making room may have ended this very connection */
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
