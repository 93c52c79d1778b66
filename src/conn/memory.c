#include "base/clock.h"
#include "base/log.h"
#include "conn/conn.h"
#include "hub/stats.h"

_Static_assert(
    OUTPUT_ESCAPED *CONF_MESSAGE_SIZE_MAX + OUTPUT_AROUND <= OUTPUT_FRAME_MAX,
    "the longest message, escaped, is a frame");

/*
 * Compacting looks at all output that waits, and may gain next to nothing when
 * many clients read slowly: it may take this part of the time, else the
 * connection that reads slowest is dropped at once.
 */
enum { COMPACT_PART = 8 };

/* Steps to make room for others, each time that it is looked at. Larger: others
 * wait less; smaller: fewer connections pay for what compacting had freed. */
enum { RELIEVE_MAX = 8 };

struct walk {
	struct chat *ch;
	uint32_t at;
};

/* Whether a connection has output records. */
static bool
memory_has_output(struct chat *ch, uint32_t i)
{
	return ch->conn[i].phase == CONN_OPEN ||
	    ch->conn[i].phase == CONN_ENDING;
}

/* Hands all outputs to output_compact. */
static bool
memory_next_output(void *arg, struct output **o, uint32_t *slot)
{
	struct walk *w = arg;

	line_tick(w->ch->hub);
	while (conn_next(w->ch, &w->at))
		if (memory_has_output(w->ch, w->at)) {
			*o = &w->ch->conn[w->at].out;
			*slot = w->at;
			return true;
		}
	return false;
}

/* Compacts unless that was done too recently; false if nothing was gained. */
static bool
memory_compact(struct chat *ch)
{
	static uint64_t then_ms; /* not before */
	struct walk w = {ch, SHM_NONE};
	uint64_t begun = clock_ms(), end;
	bool gained;

	if (begun < then_ms)
		return false;
	gained = output_compact(&ch->output, memory_next_output, &w);
	end = clock_ms();
	then_ms = end + (end - begun) * COMPACT_PART;
	if (gained)
		SHM_COUNT(ch->hub->me->compacted, 1);
	return gained;
}

/* The connection that most output waits for: its peer does not read, as all
 * that the other sockets took was written just before. */
static uint32_t
memory_slowest(struct chat *ch)
{
	uint32_t i = SHM_NONE, worst = SHM_NONE;
	uint64_t most = 0, n;

	while (conn_next(ch, &i)) {
		if (!memory_has_output(ch, i))
			continue;
		n = output_pending(&ch->conn[i].out);
		if (n > most) {
			most = n;
			worst = i;
		}
	}
	return worst;
}

bool
memory_relieve(struct chat *ch)
{
	uint32_t worst;

	if (ch->n_dirty > 0) {
		conn_write(ch);
		return true;
	}
	if (memory_compact(ch))
		return true;
	worst = memory_slowest(ch);
	if (worst == SHM_NONE)
		return false;
	log_warn("output memory is full: %s, which reads slowest, is dropped",
	    conn_name(ch, worst));
	SHM_COUNT(ch->hub->me->closed_slow, 1);
	conn_drop_later(ch, worst, NULL);
	line_tick(ch->hub);
	return true;
}

int
conn_frame(struct chat *ch, struct frame *f, enum frame_end end,
    const struct iovec *parts, int n)
{
	int r;

	while ((r = frame_build(&ch->output, f, end, parts, n)) == -1 &&
	    memory_relieve(ch))
		;
	return r;
}

void
conn_relieve(struct chat *ch)
{
	uint32_t n = stats_workers(ch->hub);
	int k;

	if (n != ch->output.segments.workers)
		output_divide(&ch->output, n);
	for (k = 0; k < RELIEVE_MAX && output_is_greedy(&ch->output); k++)
		if (!memory_relieve(ch))
			return;
}
