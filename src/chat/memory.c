#include "base/clock.h"
#include "base/log.h"
#include "chat/conn.h"
#include "hub/stats.h"
#include "memory.h"

/*
 * Compacting looks at all output that waits, and may gain next to nothing when
 * many read slowly: it may take this part of the time, else who reads slowest
 * goes without more ado.
 */
enum { COMPACT_PART = 8 };

struct walk {
	struct chat *ch;
	uint32_t at;
};

/* Whether a connection has output records. */
static bool
has_output(struct chat *ch, uint32_t i)
{
	return ch->conn[i].phase == CONN_OPEN ||
	    ch->conn[i].phase == CONN_ENDING;
}

/* Hands all outputs to output_compact. */
static bool
next_output(void *arg, struct output **o, uint32_t *slot)
{
	struct walk *w = arg;

	stats_tick(w->ch->hub);
	while (conn_next(w->ch, &w->at))
		if (has_output(w->ch, w->at)) {
			*o = &w->ch->conn[w->at].out;
			*slot = w->at;
			return true;
		}
	return false;
}

/* Compacts if it is time; false if nothing was gained. */
static bool
compact(struct chat *ch)
{
	static uint64_t then_ms; /* not before */
	struct walk w = {ch, SHM_NONE};
	uint64_t begun = clock_ms(), end;
	bool gained;

	if (begun < then_ms)
		return false;
	gained = output_compact(&ch->output, next_output, &w);
	end = clock_ms();
	then_ms = end + (end - begun) * COMPACT_PART;
	if (gained)
		SHM_COUNT(ch->hub->me->compacted, 1);
	return gained;
}

bool
memory_relieve(struct chat *ch, uint32_t except)
{
	uint32_t i = SHM_NONE, worst = SHM_NONE;
	uint64_t most = 0, n;

	if (compact(ch))
		return true;
	while (conn_next(ch, &i)) {
		n = has_output(ch, i) ? output_pending(&ch->conn[i].out) : 0;
		if (n > most && i != except) {
			most = n;
			worst = i;
		}
	}
	if (worst == SHM_NONE)
		return false;
	log_warn("output memory is full: %s, which reads slowest, is dropped",
	    conn_name(ch, worst));
	SHM_COUNT(ch->hub->me->closed_slow, 1);
	conn_drop(ch, worst, NULL);
	stats_tick(ch->hub);
	return true;
}

bool
conn_frame(struct chat *ch, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n)
{
	while (frame_build(&ch->output, f, end, parts, n) < 0)
		if (!memory_relieve(ch, SHM_NONE))
			return false;
	return true;
}
