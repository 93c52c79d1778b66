/* writer_answer: answers to publications that wait for their commit, and
 * deliveries of those that were proposed. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "writer.h"

void *
writer_room(void *items, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return items;
	*room = 2 * *room + 64;
	if ((items = realloc(items, *room * size)) == NULL)
		log_fatal("no memory");
	return items;
}

/* Copies a text behind those that were; returns where it is. */
static const char *
copy_text(char **at, const char *text, size_t len)
{
	char *copy = *at;

	if (len > 0)
		memcpy(copy, text, len);
	*at += len;
	return copy;
}

struct writer_copy *
writer_copy(const struct publication *p)
{
	struct writer_copy *c = malloc(sizeof(*c) + p->user_len + p->info_len +
	    p->sub_info_len + p->tags_len + (size_t)p->data_len);
	char *at;

	if (c == NULL)
		log_fatal("no memory");
	c->p = *p;
	at = c->text;
	c->p.user = copy_text(&at, p->user, p->user_len);
	c->p.info = copy_text(&at, p->info, p->info_len);
	c->p.sub_info = copy_text(&at, p->sub_info, p->sub_info_len);
	c->p.tags = copy_text(&at, p->tags, p->tags_len);
	c->p.data = copy_text(&at, p->data, p->data_len);
	return c;
}

void
writer_owe(struct writer *w, const struct reader_answer *a,
    const struct publication *deliver)
{
	struct writer_owed *o;

	w->owed =
	    writer_room(w->owed, w->n_owed, &w->room_owed, sizeof(*w->owed));
	o = &w->owed[w->n_owed++];
	*o = (struct writer_owed){.answer = *a};
	if (deliver != NULL) {
		o->copy = writer_copy(deliver);
		w->copied += publication_bytes(deliver);
	}
}

/* Gives some, in order. */
static void
answer_step(struct writer *w, const struct writer_owed *owed, size_t n)
{
	enum { STEP = 64 };
	struct reader_answer a[STEP];
	size_t k, from;

	for (from = 0; from < n; from += k) {
		for (k = 0; k < STEP && from + k < n; k++) {
			a[k] = owed[from + k].answer;
			if (owed[from + k].copy != NULL)
				a[k].deliver = &owed[from + k].copy->p;
		}
		reader_child_wake(&w->child, reader_answer(&w->reader, a, k));
		KILL_POINT();
	}
}

void
writer_answer(struct writer *w)
{
	answer_step(w, w->owed, w->n_owed);
	for (size_t k = 0; k < w->n_owed; k++)
		if (w->owed[k].copy != NULL)
			w->answered = w->owed[k].answer.position;
	writer_answer_forget(w);
}

void
writer_answer_forget(struct writer *w)
{
	for (size_t k = 0; k < w->n_owed; k++)
		free(w->owed[k].copy);
	w->n_owed = 0;
	w->copied = 0;
}

/* What a start finds of what was proposed. */
struct proposals {
	struct writer *w;
	struct writer_copy **found; /* by position */
	size_t n, room;
};

/* One that the database has. */
static bool
proposal_row_cb(void *arg, const struct store_row *row)
{
	struct proposals *all = arg;
	struct presence_view v = {.epoch = 0};
	struct hub *h = all->w->hub;
	struct publication p = row->pub;

	hub_lock(h);
	p.channel = presence_find(h, row->name, row->name_len);
	hub_unlock(h);
	(void)presence_read(h, p.channel, &v);
	p.epoch = v.epoch;
	p.flags = PUBLICATION_PROPOSED;
	all->found =
	    writer_room(all->found, all->n, &all->room, sizeof(*all->found));
	all->found[all->n++] = writer_copy(&p);
	return true;
}

/* The one of that position; NULL: there is none. */
static struct writer_copy *
proposal_find(const struct proposals *all, uint64_t position)
{
	for (size_t k = 0; k < all->n; k++)
		if (all->found[k]->p.position == position)
			return all->found[k];
	return NULL;
}

/* One that the process before this one may not have answered. */
static void
proposal_unsettled_cb(void *arg, const struct publication *p, bool delivered)
{
	struct proposals *all = arg;
	struct reader_answer a = reader_answer_to(p, RESULT_OK);
	struct writer_copy *c = NULL;
	struct publication deliver = *p;

	if (p->flags & PUBLICATION_PROPOSED) {
		c = proposal_find(all, p->position);
		if (c == NULL && !delivered)
			a.error = RESULT_TEMPORARY; /* it was refused */
		if (c != NULL)
			a.offset = deliver.offset = c->p.offset;
	}
	writer_owe(all->w, &a, c != NULL && !delivered ? &deliver : NULL);
}

/* Those of which nobody knows the sender any more: delivered, unless they
 * were. */
static void
proposal_orphans(struct proposals *all)
{
	struct writer *w = all->w;
	const size_t known = w->n_owed;
	struct reader_answer a;
	size_t at;

	for (size_t k = 0; k < all->n; k++) {
		for (at = 0; at < known; at++)
			if (w->owed[at].answer.position ==
			    all->found[k]->p.position)
				break;
		if (at < known)
			continue;
		a = reader_answer_to(&all->found[k]->p, RESULT_OK);
		a.offset = all->found[k]->p.offset; /* it is stored with it */
		writer_owe(w, &a, &all->found[k]->p);
	}
}

/* By position. */
static int
owed_compare(const void *a, const void *b)
{
	const uint64_t x = ((const struct writer_owed *)a)->answer.position;
	const uint64_t y = ((const struct writer_owed *)b)->answer.position;

	return x < y ? -1 : x > y;
}

enum store_result
writer_resume(struct writer *w)
{
	const struct store_query q = {
	    .what = STORE_PROPOSALS, .limit = UINT32_MAX};
	struct proposals all = {.w = w};
	enum store_result r = store_find(w->store, &q, proposal_row_cb, &all);

	if (r == STORE_NONE)
		r = STORE_OK;
	if (r == STORE_OK &&
	    reader_unsettled(
		&w->reader, w->buf, w->cap, proposal_unsettled_cb, &all) == -1)
		log_fatal("no memory");
	if (r == STORE_OK)
		proposal_orphans(&all);
	for (size_t k = 0; k < all.n; k++)
		free(all.found[k]);
	free(all.found);
	if (w->n_owed > 0)
		qsort(w->owed, w->n_owed, sizeof(*w->owed), owed_compare);
	if (r == STORE_OK)
		writer_answer(w);
	return r;
}
