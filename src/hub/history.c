#include <stdlib.h>
#include <string.h>

#include "hub/history.h"
#include "hub/presence.h"

enum {
	/* Leaps in a walk. A channel has one for each start of the store below
	 * it; more than so many are corrupted memory. Larger: a corrupted chain
	 * takes longer to walk; smaller: what is kept before that many starts
	 * is not found. */
	HISTORY_LEAPS = 64
};

/* A walk along the chain; the last HISTORY_MAX seen are kept in a ring. */
struct walk {
	const struct hub *h;
	const struct history_query *q;
	struct history *out;
	uint64_t ring[HISTORY_MAX];
	uint64_t seen;	/* put into the ring */
	uint64_t named; /* offset of the next one, if it is the one that the
			 * newer one names; ANY: there was no newer one */
	uint32_t kept;	/* publications passed */
	uint32_t leaps;
	bool whole; /* one names `since` as the one before it */
	bool over;  /* older ones are not kept */
};

#define ANY UINT64_MAX

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

/* Whether an entry is the next of its channel: nothing between it and the newer
 * one is missing, and if it is the newest, nothing up to `upto`. */
static bool
history_follows(const struct walk *w, const struct publication *p)
{
	if (p->channel != w->q->channel || p->epoch != w->q->epoch)
		return false;
	return w->named == ANY ? p->offset >= w->q->upto
			       : p->offset == w->named;
}

/* Takes a message in; false: it is not kept. A leap is no message: neither the
 * number nor the age of what is kept has to do with it. */
static bool
history_keep(struct walk *w, const struct publication *p)
{
	const struct history_query *q = w->q;

	if (p->format == FORMAT_LEAP)
		return w->leaps++ < HISTORY_LEAPS;
	if (p->time_ms < q->oldest_ms || w->kept == q->keep) {
		w->over = true;
		return false;
	}
	w->kept++;
	if (p->format == FORMAT_ERASED || !wanted(q, p->offset))
		return true;
	if (!q->reverse || w->seen < q->limit)
		w->ring[w->seen % HISTORY_MAX] = p->position;
	w->seen++;
	return true;
}

/* Passes one entry; false ends the walk. */
static bool
history_pass(struct walk *w, const struct publication *p)
{
	const struct history_query *q = w->q;

	if (!history_follows(w, p) || !history_keep(w, p))
		return false;
	w->named = p->before;
	if (q->reverse)
		return w->seen <= q->limit; /* one more: whether there is one */
	w->whole = q->has_since && p->before == q->since;
	return !q->has_since || p->before > q->since;
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
	w->out->more = w->seen > n;
}

int
history_find(
    const struct hub *h, const struct history_query *q, struct history *out)
{
	struct presence_view v;
	struct publication p;
	struct walk w = {.h = h, .q = q, .out = out, .named = ANY};
	uint64_t position, newer;

	memset(out, 0, offsetof(struct history, position));
	if (!presence_read(h, q->channel, &v) || v.epoch != q->epoch)
		return -1;
	out->offset = v.offset;
	for (position = v.newest; position != 0; position = p.previous) {
		newer = position;
		if (journal_peek(h, position, &p) != JOURNAL_OK ||
		    !history_pass(&w, &p) || p.previous >= newer)
			break;
	}
	out->gone =
	    q->has_since && !q->reverse && q->since < v.offset && !w.whole;
	out->none = w.named == ANY;
	if (!w.over && w.kept < q->keep)
		out->before = w.named == ANY ? v.offset : w.named;
	if (q->limit > 0)
		history_collect(&w);
	return 0;
}
