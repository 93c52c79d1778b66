/* writer_take: takes what the journal has into the transaction. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/presence.h"
#include "writer.h"

enum {
	/* Bytes of proposed messages that are kept until they are delivered.
	 * Larger: more memory; smaller: more commits of large ones. */
	TAKE_COPIES = 4 * 1024 * 1024,
	/* How far times may lie ahead of the clock, which may have gone back.
	 * Larger: a hostile worker's rows stay for longer; smaller: a clock
	 * that is set changes times. */
	TAKE_AHEAD_MS = 24 * 3600 * 1000,
	/* Offsets that may be missing in a channel beside its messages, since
	 * they leapt. Larger: a hostile worker uses up more of them; smaller:
	 * those behind a leap are not those that clients were told. */
	TAKE_LEAPS = 1 << 24
};

/* The highest offset of a channel's first row, and of any. */
#define TAKE_FIRST_MAX (1ull << 52)
#define TAKE_OFFSET_MAX (1ull << 62)

void
writer_took(struct writer *w)
{
	if (w->taken++ == 0)
		w->taken_ms = clock_ms();
	if (w->behind_ms == 0)
		w->behind_ms = w->taken_ms;
}

/* Whether the log has not said yet what it says of the entry in hand. */
static bool
take_is_news(struct writer *w)
{
	const bool news = w->reader.position > w->told_bad;

	if (news)
		w->told_bad = w->reader.position;
	return news;
}

/* Whether no process that is sound has given an offset, at that position: a
 * channel has no more messages than the journal. */
static bool
take_is_wild(const struct store_channel *c, uint64_t offset, uint64_t position)
{
	if (c->top == 0)
		return offset > TAKE_FIRST_MAX;
	return offset > c->top && offset - c->top > 2 * position + TAKE_LEAPS;
}

/* Answers a publication that asks, which cannot be stored. */
static void
take_refuse(struct writer *w, const struct publication *p)
{
	const struct reader_answer a = reader_answer_to(p,
	    p->flags & PUBLICATION_PROPOSED ? RESULT_TEMPORARY
					    : RESULT_UNKNOWN);

	if (!reader_is_asked(&w->reader, p))
		return;
	writer_owe(w, &a, NULL);
	w->waits = true;
	writer_took(w);
}

/* Whether what a channel had before a publication was overwritten unread. */
static bool
take_is_lost(const struct writer *w, const struct publication *p)
{
	return p->previous > w->lost_from && p->previous < w->lost_to;
}

/* Sees that what is stored of a channel reaches up to what a publication
 * follows, or says that it does not. */
static enum store_result
take_join(
    struct writer *w, struct store_channel *c, const struct publication *p)
{
	const bool lost = take_is_lost(w, p);

	if (p->before <= c->top)
		return writer_bridge(w, c, p->before);
	/* what was said before the channel was to be stored is no loss */
	if (c->top == 0 && !lost)
		return STORE_OK;
	return writer_hole(w, p->channel, c, p->before, false,
	    lost ? "overwritten" : "unstored");
}

/* A message has an offset that another one is stored with: it was said when
 * nothing was stored of its channel, or others were proposed; or one that makes
 * no sense. It is stored with the next one; the first of several tells that
 * some are missing before it. */
static void
take_renumber(const struct writer_channel *c, struct publication *p)
{
	p->before = c->stored.top + (c->is_other ? 1 : 0);
	p->offset = p->before + 1;
}

/* Stores a message. Of one that is proposed the offset is the store's to say:
 * what the channel had then may be less than what it has now. */
static enum store_result
take_store(struct writer *w, struct store_channel *c,
    const struct publication *p, bool proposed)
{
	struct publication stored = *p;
	enum store_result r = STORE_OK;

	if (proposed) {
		if (stored.before < c->top ||
		    take_is_wild(c, stored.before, p->position))
			stored.before = c->top;
		stored.offset = stored.before + 1;
	} else if (stored.offset <= c->top || stored.before >= stored.offset ||
	    take_is_wild(c, stored.offset, p->position)) {
		take_renumber(&w->channel[p->channel], &stored);
		/* others may have been told it */
		if (p->offset <= c->top &&
		    p->position > w->channel[p->channel].renumbered)
			r = writer_clash(w, p->channel);
	}
	w->channel[p->channel].is_other = false;
	if (r != STORE_OK || (r = take_join(w, c, &stored)) != STORE_OK ||
	    (r = store_take(w->store, c, &stored)) != STORE_OK)
		return r;
	w->rows++;
	writer_took(w);
	if (reader_is_asked(&w->reader, p)) {
		struct reader_answer a = reader_answer_to(p, RESULT_OK);

		if (proposed)
			a.offset = stored.offset;
		writer_owe(w, &a, proposed ? &stored : NULL);
		w->waits = true;
	}
	return STORE_OK;
}

/* One that has killed this process twice. */
static enum store_result
take_poison(struct writer *w, const struct publication *p)
{
	enum store_result r;
	struct store_channel *c =
	    writer_channel_of(w, p->channel, p->epoch, &r);

	if (take_is_news(w))
		log_error("the message at position %llu has crashed the store "
			  "twice: passed over, a hole is written down in its "
			  "place",
		    (unsigned long long)p->position);
	if (c != NULL && !(p->flags & PUBLICATION_PROPOSED) &&
	    !take_is_wild(c, p->offset, p->position))
		r = writer_hole(w, p->channel, c, p->offset, true, "poison");
	take_refuse(w, p);
	writer_took(w);
	return r;
}

/* One that is corrupted. */
static enum store_result
take_bad(struct writer *w)
{
	const uint64_t at = w->reader.position;

	if (take_is_news(w))
		log_error("the journal's entry at position %llu is corrupted: "
			  "not stored",
		    (unsigned long long)at);
	w->holes++;
	writer_took(w);
	return store_hole(
	    w->store, NULL, at - 1, at, clock_wall_coarse_ms(), "corrupted");
}

/* Whether a message's channel is still that one, and has no stream. */
static bool
take_is_corrupted(const struct writer *w, const struct publication *p)
{
	struct presence_view v;

	return presence_read(w->hub, p->channel, &v) && v.epoch == p->epoch &&
	    v.stream == 0;
}

/* A message. */
static enum store_result
take_message(struct writer *w, const struct publication *p)
{
	const bool proposed = (p->flags & PUBLICATION_PROPOSED) != 0;
	struct store_channel *c;
	enum store_result r;

	if (proposed && !reader_is_asked(&w->reader, p))
		return STORE_OK; /* it comes again when others have agreed */
	c = writer_channel_of(w, p->channel, p->epoch, &r);
	if (r != STORE_OK)
		return r;
	if (c != NULL && c->top < TAKE_OFFSET_MAX)
		return take_store(w, c, p, proposed);
	/* its entry is another channel's: nobody knows the name any more, or is
	 * corrupted */
	take_refuse(w, p);
	return take_is_corrupted(w, p) && !proposed ? take_bad(w) : STORE_OK;
}

#ifdef CHATD_KILL_POINTS
/* For tests: a text that crashes. */
static void
take_crash(const struct publication *p)
{
	static const char crash[] = "crash on storing";

	if (p->data_len >= sizeof(crash) - 1 &&
	    memmem(p->data, p->data_len, crash, sizeof(crash) - 1) != NULL)
		abort();
}
#else
static void
take_crash(const struct publication *p)
{
}
#endif

/* What was found. */
static enum store_result
take_found(struct writer *w, const struct publication *p)
{
	enum store_result r = STORE_OK;

	if (p->format == FORMAT_OPEN) {
		writer_ask(w, p->channel, p->epoch);
		w->asked[w->n_asked - 1].ask = (enum open_ask)p->asks;
		return STORE_OK;
	}
	if (p->format == FORMAT_LEAP)
		return STORE_OK;
	if (writer_is_poison(w, p))
		return take_poison(w, p);
	writer_in_hand(w, p);
	take_crash(p);
	if (publication_is_event(p)) {
		if ((r = writer_event(w, p)) == STORE_OK)
			writer_took(w);
	} else if (p->format == FORMAT_TEXT || p->format == FORMAT_JSON ||
	    p->format == FORMAT_ERASED) {
		r = take_message(w, p);
	} else {
		r = take_bad(w);
	}
	return r;
}

/* What a loss is noted with. */
struct take_loss {
	struct writer *w;
	enum store_result r;
};

/* A channel's newest publication was overwritten unread. */
static void
take_lost_cb(void *arg, uint32_t channel, uint32_t epoch, uint64_t offset)
{
	struct take_loss *l = arg;
	struct store_channel *c;

	if (l->r != STORE_OK)
		return;
	c = writer_channel_of(l->w, channel, epoch, &l->r);
	if (c == NULL)
		return;
	/* at most all that was overwritten */
	if (take_is_wild(c, offset, l->w->reader.to))
		offset = c->top + l->w->reader.to - l->w->reader.from;
	l->r = writer_hole(l->w, channel, c, offset, true, "overwritten");
	writer_took(l->w);
}

/* Some were overwritten unread. */
static enum store_result
take_lost(struct writer *w)
{
	struct take_loss l = {w, STORE_OK};
	const struct reader *r = &w->reader;

	if (w->lost_to == 0)
		w->lost_from = r->from;
	w->lost_to = r->to;
	reader_lost_each(&w->reader, r->from, r->to, take_lost_cb, &l);
	if (l.r == STORE_OK)
		reader_opening(&w->reader, writer_ask, w);
	return l.r;
}

/* How long ago a message was accepted, by the wall clock: it lies for so long
 * that the process may have slept, at most. */
static uint64_t
take_age(const struct publication *p)
{
	const int64_t age_ms = clock_wall_coarse_ms() - p->time_ms;

	if (age_ms < 0)
		return 0;
	return age_ms < READER_CHILD_WAIT_MS ? (uint64_t)age_ms
					     : READER_CHILD_WAIT_MS;
}

/* A time that makes no sense would be deleted too early, or never. */
static void
take_time(struct publication *p)
{
	const int64_t now = clock_wall_coarse_ms();

	if (p->time_ms < 0 || p->time_ms > now + TAKE_AHEAD_MS)
		p->time_ms = now;
}

enum store_result
writer_take(struct writer *w, bool *more)
{
	enum store_result r = STORE_OK;
	bool first;
	struct publication p;

	*more = true;
	w->stopped = false;
	for (int n = 0; n < WRITER_BATCH && *more && r == STORE_OK &&
	     w->copied < TAKE_COPIES && w->taken < w->batch;
	     n++)
		switch (reader_next(&w->reader, w->buf, w->cap, &p)) {
		case READER_FOUND:
			take_time(&p);
			first = w->taken == 0;
			r = take_found(w, &p);
			if (first && w->taken > 0)
				w->taken_ms -= take_age(&p);
			break;
		case READER_LOST:
			r = take_lost(w);
			break;
		case READER_BAD:
			r = take_bad(w);
			break;
		case READER_STOPPED:
			w->stopped = true;
			*more = false;
			break;
		case READER_END:
			*more = false;
			break;
		}
	writer_hand_free(w);
	return r;
}
