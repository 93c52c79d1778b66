/* writer_channel: channels as they are stored, and where something of them is
 * missing. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "writer.h"

struct store_channel *
writer_channel_of(
    struct writer *w, uint32_t channel, uint32_t epoch, enum store_result *r)
{
	struct writer_channel *c;
	struct presence_view v;

	*r = STORE_OK;
	if (channel >= w->hub->n_entries)
		return NULL;
	c = &w->channel[channel];
	if (c->epoch == epoch && c->turn == w->turn)
		return &c->stored;
	/* 0 is no stream: that word was overwritten */
	if (!presence_read(w->hub, channel, &v) || v.epoch != epoch ||
	    v.stream == 0)
		return NULL;
	/* what is stored under a name stays that name's, whatever the epoch
	 * that others have seen meanwhile */
	*r = store_channel(w->store, v.name, v.name_len, v.stream, &c->stored);
	if (*r != STORE_OK)
		return NULL;
	/* what was to be joined is forgotten with a transaction */
	if (c->epoch != epoch || c->renumbered == UINT64_MAX)
		c->renumbered = 0;
	c->epoch = epoch;
	c->turn = w->turn;
	c->is_other = c->stored.stream != v.stream;
	if (c->is_other)
		writer_join_soon(w, channel);
	return &c->stored;
}

void
writer_join_soon(struct writer *w, uint32_t channel)
{
	w->channel[channel].renumbered = UINT64_MAX;
	w->other = writer_room(
	    w->other, w->n_other, &w->room_other, sizeof(*w->other));
	w->other[w->n_other++] = channel;
}

enum store_result
writer_clash(struct writer *w, uint32_t channel)
{
	struct store_channel *c = &w->channel[channel].stored;
	struct presence_view v = {.name_len = 0};

	(void)presence_read(w->hub, channel, &v);
	log_warn("channel \"%s\" begins another epoch: some of its messages "
		 "had offsets that others are stored with, since its `store` "
		 "was changed between strict and another word just then",
	    log_text(v.name, v.name_len));
	writer_join_soon(w, channel);
	return store_channel_renew(w->store, c, writer_stream());
}

enum store_result
writer_bridge(struct writer *w, struct store_channel *c, uint64_t before)
{
	const struct publication leap = {.format = FORMAT_LEAP,
	    .flags = PUBLICATION_AGAIN,
	    .offset = c->top,
	    .before = c->newest,
	    .time_ms = clock_wall_coarse_ms(),
	    .data = "",
	    .user = ""};

	/* without rows there is nothing that the next one could follow */
	if (c->newest == 0 || c->top <= c->newest || before != c->top)
		return STORE_OK;
	return store_take(w->store, c, &leap);
}

/* A hole's word in the database, for the log. */
static const char *
hole_text(const char *why)
{
	if (strcmp(why, "overwritten") == 0)
		return "the journal was full before the disk had taken them: "
		       "a larger `journal`, or a faster disk";
	return strcmp(why, "unstored") == 0
	    ? "they were said while nothing was stored of it"
	    : "they crash the store";
}

/* Says that messages are missing, once. */
static void
hole_tell(struct writer *w, uint32_t e, uint64_t from, uint64_t before,
    const char *why)
{
	struct presence_view v = {.name_len = 0};
	struct writer_channel *c = &w->channel[e];

	if (c->hole_epoch == c->epoch && c->hole_from == from)
		return;
	c->hole_epoch = c->epoch;
	c->hole_from = from;
	(void)presence_read(w->hub, e, &v);
	log_warn("a hole in channel \"%s\": its messages from offset %llu up "
		 "to %llu are not stored: %s",
	    log_text(v.name, v.name_len), (unsigned long long)from,
	    (unsigned long long)before, hole_text(why));
}

enum store_result
writer_hole(struct writer *w, uint32_t e, struct store_channel *c,
    uint64_t before, bool trailing, const char *why)
{
	const int64_t now = clock_wall_coarse_ms();
	/* it names none that there is */
	const struct publication end = {.format = FORMAT_LEAP,
	    .flags = PUBLICATION_AGAIN,
	    .offset = before,
	    .before = before,
	    .time_ms = now,
	    .data = "",
	    .user = ""};
	enum store_result r;

	if (before <= c->top)
		return STORE_OK;
	hole_tell(w, e, c->top + 1, before, why);
	w->holes++;
	r = store_hole(w->store, c, c->top, before, now, why);
	if (r == STORE_OK && trailing)
		r = store_take(w->store, c, &end);
	return r;
}

/* The channels in which more was told than is stored. */
struct behind {
	struct writer *w;
	uint32_t *entry;
	size_t n, room;
	uint64_t limit_ms;
	bool late;
};

/* Compares one with what the chat knows of it. */
static bool
behind_row_cb(void *arg, const struct store_row *row)
{
	struct behind *b = arg;
	struct hub *h = b->w->hub;
	struct presence_view v;
	uint32_t e;

	hub_lock(h);
	e = presence_find(h, row->name, row->name_len);
	hub_unlock(h);
	if (presence_read(h, e, &v) && v.stream == row->channel.stream &&
	    v.offset > row->channel.top) {
		b->entry =
		    writer_room(b->entry, b->n, &b->room, sizeof(*b->entry));
		b->entry[b->n++] = e;
	}
	child_tick(b->w->start);
	b->late = clock_ms() >= b->limit_ms;
	return !b->late;
}

enum store_result
writer_catch_up(struct writer *w, uint64_t limit_ms)
{
	const struct store_query q = {
	    .what = STORE_CHANNELS, .limit = UINT32_MAX};
	struct behind b = {.w = w, .limit_ms = limit_ms};
	enum store_result r = store_find(w->store, &q, behind_row_cb, &b);
	struct store_channel *c;
	struct presence_view v;

	if (r == STORE_NONE)
		r = STORE_OK;
	for (size_t k = 0; k < b.n && r == STORE_OK; k++) {
		if (!presence_read(w->hub, b.entry[k], &v))
			continue;
		c = writer_channel_of(w, b.entry[k], v.epoch, &r);
		if (c != NULL)
			r = writer_hole(
			    w, b.entry[k], c, v.offset, true, "unstored");
	}
	free(b.entry);
	return r == STORE_OK && b.late ? STORE_NONE : r;
}

void
writer_forget(struct writer *w)
{
	/* 0 is that of entries that were never looked at */
	if (++w->turn == 0)
		w->turn = 1;
	w->n_other = 0;
}

void
writer_renew(struct writer *w)
{
	struct hub *h = w->hub;
	uint32_t e, epoch, n = 0;
	uint64_t mask;

	for (e = presence_next(h, 0); e < h->n_entries;
	     e = presence_next(h, e + 1)) {
		epoch = SHM_LOAD(h->entry[e].epoch);
		if (epoch == 0)
			continue;
		mask = reader_renew(&w->reader, e, epoch, writer_stream(), 0);
		reader_child_wake(&w->child, mask);
		n += mask != 0;
		child_tick(w->start);
	}
	if (n > 0)
		log_warn("%u channels that are open begin anew: who has them "
			 "is told that messages are missing",
		    n);
}

void
writer_join(struct writer *w)
{
	struct writer_channel *c;
	uint64_t above;

	for (size_t k = 0; k < w->n_other; k++) {
		c = &w->channel[w->other[k]];
		if (c->turn != w->turn)
			continue;
		/* what is not taken yet may get two offsets each */
		above = c->stored.top +
		    2 * (journal_tail(w->hub) - w->reader.passed);
		reader_child_wake(&w->child,
		    reader_renew(&w->reader, w->other[k], c->epoch,
			c->stored.stream, above));
		c->renumbered = journal_tail(w->hub);
	}
	w->n_other = 0;
}

uint64_t
writer_stream(void)
{
	uint64_t stream;

	do
		arc4random_buf(&stream, sizeof(stream));
	while (stream == 0);
	return stream;
}
