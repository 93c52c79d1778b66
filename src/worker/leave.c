/*
 * Leaving on purpose. Who retires leaves its connections where they are: the
 * turn is over, so all that was promised stands in shared memory, and the
 * keeper holds the sockets; the next worker takes over as after a death. Who
 * drains stays, and ends its connections one by one.
 */
#include "base/log.h"
#include "chat/conn.h"
#include "chat/custody.h"
#include "private.h"

/* Requests that are half there and answers that are half out are known to
 * this process alone. They may take so long; who connects and says nothing
 * does not keep it. */
enum { HANDSHAKES_MS = 1000 };

enum { CREDIT = 1000 * 1000 }; /* 1000 s in ms: for one connection */

void
leave_retire(struct worker *w)
{
	w->retiring = true;
	w->retire_ms = w->chat.now_ms + HANDSHAKES_MS;
	accept_balance(w);
}

/* Whether a connection is one that a takeover does not know. */
static bool
is_unfinished(const struct chat *ch, uint32_t i)
{
	return ch->conn[i].phase == CONN_REQUEST ||
	    ch->conn[i].phase == CONN_ANSWER;
}

/* Whether there is any. */
static bool
has_unfinished(struct chat *ch)
{
	uint32_t i = SHM_NONE;

	if (ch->n_pending > 0)
		return true;
	while (conn_next(ch, &i))
		if (is_unfinished(ch, i))
			return true;
	return false;
}

void
leave_forget(struct worker *w)
{
	struct chat *ch = &w->chat;
	uint32_t i = SHM_NONE;

	while (conn_next(ch, &i))
		if (is_unfinished(ch, i))
			conn_drop(ch, i, NULL);
	for (i = ch->hub->n_slots; i < ch->hub->n_slots + CHAT_SPARE; i++)
		if (is_unfinished(ch, i))
			conn_drop(ch, i, NULL);
}

bool
leave_may_retire(struct worker *w)
{
	struct chat *ch = &w->chat;

	/* who was given away arrives first */
	return custody_is_complete(ch) && ch->n_moving == 0 &&
	    (ch->now_ms >= w->retire_ms || !has_unfinished(ch));
}

void
leave_drain(struct worker *w, uint32_t rate)
{
	if (w->drain_rate == 0) {
		w->drained_ms = w->chat.now_ms;
		w->drain_credit = 0;
		w->drain_at = SHM_NONE;
	}
	w->drain_rate = rate;
	accept_balance(w);
}

/* The next open connection to end; false: there is none left. */
static bool
drain_next(struct worker *w)
{
	struct chat *ch = &w->chat;
	bool wrapped = w->drain_at == SHM_NONE;

	for (;;) {
		if (!conn_next(ch, &w->drain_at)) {
			w->drain_at = SHM_NONE;
			if (wrapped)
				return false;
			wrapped = true;
		} else if (ch->conn[w->drain_at].phase == CONN_OPEN)
			return true;
	}
}

void
leave_drain_tick(struct worker *w)
{
	if (w->drain_rate == 0)
		return;
	w->drain_credit += (w->chat.now_ms - w->drained_ms) * w->drain_rate;
	w->drained_ms = w->chat.now_ms;
	for (; w->drain_credit >= CREDIT && !chat_is_late(&w->chat);
	     w->drain_credit -= CREDIT)
		if (!drain_next(w)) {
			w->drain_credit = 0;
			break;
		} else
			conn_end(&w->chat, w->drain_at, WS_RESTART,
			    REASON_RESTARTING);
}
