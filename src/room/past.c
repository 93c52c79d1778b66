#include "room/past.h"

#include <string.h>

#include "room/publish.h"

/* What is being put together. */
struct search {
	struct chat *ch;
	const struct past_query *q;
	struct past *out;
	uint64_t first, last; /* offsets of the rows so far, of whatever format;
			       * 0: none */
	bool leads;	      /* reverse: a row is to follow, */
	uint64_t next;	      /* with this offset */
	/* Rows do not lead to where the ring begins: they are missing there; 0:
	 * they do. */
	uint64_t missing;
};

static struct history found; /* in the ring */

int64_t
past_oldest_ms(const struct chat *ch, const struct conf_channel *rule)
{
	return rule->history_age_ms == 0
	    ? INT64_MIN
	    : ch->wall_ms - (int64_t)rule->history_age_ms;
}

/* Looks into the ring, for those after another offset than was asked for, or
 * for that one. */
static void
search_ring(
    const struct search *s, bool has_since, uint64_t since, uint32_t limit)
{
	const struct past_query *q = s->q;
	const struct history_query h = {.channel = q->at->channel,
	    .epoch = q->at->epoch,
	    .since = since,
	    .has_since = has_since,
	    .reverse = q->reverse,
	    .limit = limit,
	    .keep = q->rule->history,
	    .oldest_ms = past_oldest_ms(s->ch, q->rule),
	    .upto = q->at->offset};

	found.n = 0;
	found.before = 0;
	found.gone = found.more = found.none = false;
	/* the channel has gone since it was found: nothing is kept of it */
	if (q->at->offset > 0 && history_find(s->ch->hub, &h, &found) < 0)
		found.gone = has_since && !q->reverse && since < q->at->offset;
}

/* Takes in what the ring has. */
static void
search_take_ring(struct search *s)
{
	struct past *out = s->out;

	for (uint32_t k = 0; k < found.n && out->n < s->q->limit; k++)
		out->at[out->n++] = (struct past_item){found.position[k], 0};
}

/* Whether the archive is to be asked for what the ring has not. */
static bool
search_needs_more(const struct search *s)
{
	const struct past_query *q = s->q;

	if (q->limit == 0 || q->at->offset == 0 ||
	    !archive_has(s->ch, q->at->channel))
		return false;
	/* forward: what `history` leaves out is not there either */
	if (q->has_since && !q->reverse)
		return found.gone && found.before > q->since;
	if (q->has_since && q->since == 1)
		return false; /* nothing has a lower offset */
	return found.before != 0 && (!q->reverse || found.n < q->limit);
}

/* Whether the archive may have older ones than a page that the ring has whole.
 */
static bool
search_may_be_more(const struct search *s)
{
	return s->q->reverse && found.before != 0 &&
	    archive_has(s->ch, s->q->at->channel);
}

/* What the archive is asked. It does not depend on what the ring has by now, so
 * that it is the same question when the command is looked at again. */
static struct archive_query
search_question(const struct search *s)
{
	const struct past_query *q = s->q;

	return (struct archive_query){
	    .ask = {.what = ASK_PAGE,
		.stream = q->at->stream,
		.since = q->has_since && !q->reverse ? q->since : 0,
		.upto = q->has_since && q->reverse && q->since > 0
		    ? q->since - 1
		    : 0,
		.reverse = q->reverse,
		.limit = q->limit,
		.keep = q->rule->history,
		.oldest_ms = q->rule->history_age_ms != 0
		    ? past_oldest_ms(s->ch, q->rule)
		    : 0},
	    .name = q->name,
	    .name_len = q->len,
	    .now = q->now};
}

/* Whether a row follows those before it. */
static bool
search_follows(const struct search *s, const struct publication *p)
{
	if (s->q->reverse)
		return !s->leads || p->offset == s->next;
	if (s->last == 0)
		return !s->q->has_since || p->before == s->q->since;
	return p->before == s->last;
}

/* Whether a row has no place in the answer: the ring has it, or it is newer
 * than where the channel stands for this command. */
static bool
search_passes_over(const struct search *s, const struct publication *p)
{
	return p->offset > s->q->at->offset ||
	    (s->leads && p->offset > s->next);
}

/* Takes in rows until something is missing. */
static void
search_take_rows(struct search *s)
{
	struct past *out = s->out;
	struct publication p;
	size_t at = 0, row = 0;

	while (archive_row(&out->rows, &at, &p)) {
		if (search_passes_over(s, &p)) {
			row = at;
			continue;
		}
		if (!search_follows(s, &p) || out->n == s->q->limit) {
			out->gap = out->n < s->q->limit;
			out->more = true;
			return;
		}
		if (p.format == FORMAT_TEXT || p.format == FORMAT_JSON)
			out->at[out->n++] = (struct past_item){0, row};
		if (s->last == 0)
			s->first = p.offset;
		s->last = p.offset;
		s->leads = s->q->reverse;
		s->next = p.before;
		row = at;
	}
	out->more = out->rows.more;
}

/* Newest first: what the ring has, then the rows that lead on from there. */
static void
search_back(struct search *s)
{
	const struct past_query *q = s->q;
	const struct past *out = s->out;
	const bool leads = found.n > 0 || (!q->has_since && !found.none);
	/* what was asked for may all be older than what the ring has: then the
	 * first need not be that one, but is if nothing is missing */
	const uint64_t first = leads || !q->has_since || q->since == 0
	    ? found.before
	    : q->since - 1;

	search_take_ring(s);
	s->leads = leads;
	s->next = found.before;
	search_take_rows(s);
	if (s->last == 0 ? out->gap || (out->n < q->limit && !out->rows.more)
			 : s->first != first)
		s->missing = first;
}

/* Oldest first: the rows, then what the ring has behind the last of them. */
static void
search_forth(struct search *s)
{
	const struct past_query *q = s->q;
	struct past *out = s->out;
	uint64_t last;

	search_take_rows(s);
	last = s->last != 0 ? s->last : q->since;
	if (out->more || last >= q->at->offset)
		return;
	if (s->last == 0 && !q->has_since) {
		s->missing = found.before;
		search_take_ring(s); /* there are no rows */
		out->more = found.more;
		return;
	}
	search_ring(s, true, last, HISTORY_MAX);
	out->gap = found.gone;
	if (found.gone)
		s->missing = last + 1;
	out->more = found.gone || found.more || found.n > q->limit - out->n;
	if (!found.gone)
		search_take_ring(s);
}

/* There are no rows: why. */
static enum past_result
search_refused(enum archive_result r)
{
	return r == ARCHIVE_WAITS ? PAST_WAITS
	    : r == ARCHIVE_FAILED ? PAST_FAILED
				  : PAST_LATE;
}

/* Puts both together; what is missing where they meet is asked for again. What
 * the ring has no more is from before its oldest. */
static enum archive_result
search_join(struct search *s, const struct archive_query *ask)
{
	enum archive_result r = archive_ask(s->ch, ask, &s->out->rows);

	if (r != ARCHIVE_ROWS)
		return r;
	if (s->q->reverse)
		search_back(s);
	else
		search_forth(s);
	return s->missing == 0 ? ARCHIVE_ROWS
			       : archive_ask_again(s->ch, ask, s->missing,
				     journal_oldest(s->ch->hub) - 1);
}

enum past_result
past_find(struct chat *ch, const struct past_query *q, struct past *out)
{
	struct search s = {.ch = ch, .q = q, .out = out};
	struct archive_query ask;
	enum archive_result r;

	memset(out, 0, offsetof(struct past, at));
	search_ring(&s, q->has_since, q->since, q->limit);
	if (!search_needs_more(&s)) {
		search_take_ring(&s);
		out->gone = found.gone && q->limit > 0;
		out->more = found.more || search_may_be_more(&s);
		if (out->gone)
			out->n = 0;
		return PAST_OK;
	}
	ask = search_question(&s);
	r = search_join(&s, &ask);
	if (r != ARCHIVE_ROWS)
		return search_refused(r);
	out->gone = q->has_since && !q->reverse && out->gap && out->n == 0;
	return PAST_OK;
}

bool
past_read(
    struct chat *ch, const struct past *past, uint32_t n, struct publication *p)
{
	size_t row = past->at[n].row;

	if (past->at[n].position == 0)
		return archive_row(&past->rows, &row, p);
	/* it may have been erased meanwhile */
	return publication_read(ch, past->at[n].position, p) == JOURNAL_OK &&
	    p->format != FORMAT_ERASED;
}
