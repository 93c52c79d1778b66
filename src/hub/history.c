#include <stdlib.h>
#include <string.h>

#include "hub/history.h"
#include "hub/presence.h"

/* A walk along the chain; the last HISTORY_MAX seen are kept in a ring. */
struct walk {
	const struct hub *h;
	const struct history_query *q;
	struct history *out;
	uint64_t ring[HISTORY_MAX];
	uint64_t seen;	 /* put into the ring */
	uint32_t kept;	 /* publications passed */
	uint64_t oldest; /* offset of the last one passed; 0: none */
};

/* Whether a publication is one that the query asks for. */
static bool
wanted(const struct history_query *q, uint64_t offset)
{
	if (q->upto != 0 && offset > q->upto)
		return false;
	if (!q->has_since)
		return true;
	return q->reverse ? q->since == 0 || offset < q->since
			  : offset > q->since;
}

/* Passes one publication; false ends the walk. */
static bool
history_pass(struct walk *w, const struct publication *p)
{
	const struct history_query *q = w->q;

	if (p->channel != q->channel || p->epoch != q->epoch ||
	    p->time_ms < q->oldest_ms || w->kept == q->keep)
		return false;
	w->kept++;
	w->oldest = p->offset;
	if (wanted(q, p->offset))
		w->ring[w->seen++ % HISTORY_MAX] = p->position;
	if (q->reverse)
		return w->seen < q->limit;
	return !(q->has_since && p->offset <= q->since + 1);
}

/* Copies what was found into the answer, in the order asked for. */
static void
history_collect(struct walk *w)
{
	const struct history_query *q = w->q;
	uint64_t n = w->seen < HISTORY_MAX ? w->seen : HISTORY_MAX, k;
	uint32_t limit = q->limit < HISTORY_MAX ? q->limit : HISTORY_MAX;

	if (n > limit)
		n = limit;
	for (k = 0; k < n; k++)
		w->out->position[k] = q->reverse
		    ? w->ring[k]
		    : w->ring[(w->seen - 1 - k) % HISTORY_MAX];
	w->out->n = (uint32_t)n;
}

int
history_find(
    const struct hub *h, const struct history_query *q, struct history *out)
{
	struct presence_view v;
	struct publication p;
	struct walk w = {.h = h, .q = q, .out = out};
	uint64_t position, before;

	memset(out, 0, offsetof(struct history, position));
	if (!presence_read(h, q->channel, &v) || v.epoch != q->epoch)
		return -1;
	out->offset = v.offset;
	for (position = v.newest; position != 0; position = p.previous) {
		before = position;
		if (journal_peek(h, position, &p) != JOURNAL_OK ||
		    !history_pass(&w, &p) || p.previous >= before)
			break;
	}
	/* the oldest kept publication must follow `since` directly */
	out->gone = q->has_since && !q->reverse && q->since < v.offset &&
	    (w.oldest == 0 || w.oldest > q->since + 1);
	if (q->limit > 0)
		history_collect(&w);
	return 0;
}
