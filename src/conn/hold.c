#include "conn/hold.h"

#include <stdlib.h>

#include "conn/conn.h"
#include "conn/wait.h"
#include "hub/lock.h"

enum {
	/* Lists of those who wait for channels. Larger: more memory; smaller:
	 * when many open at once more are looked at that wait for others. */
	HOLD_LISTS = 1024,
	HOLD_MIN = 64,	 /* room for so many at first */
	HOLD_KEPT = 4096 /* for so many at most it is kept, 48 bytes each */
};

/*
 * A connection that waits. It does so as long as it is held, has not been held
 * again since, and is as far as it was when this began; else it has been looked
 * at again, and this is dropped by the next sweep.
 */
struct hold {
	uint64_t id;   /* of the connection */
	uint64_t done; /* its `committed` */
	uint32_t since_ms;
	enum hold_what what;
	uint32_t entry, epoch; /* OPENED */
	uint32_t older;	       /* link: in the same list */
	uint8_t nth;	       /* the connection's `nth_hold` */
};

struct holds {
	struct hold *at;
	uint32_t n, cap;
	uint32_t newest[HOLD_LISTS]; /* links: of those with OPENED */
	struct hold_request **request;
	uint32_t n_requests, requests_cap;
};

int
hold_init(struct chat *ch)
{
	ch->holds = calloc(1, sizeof(*ch->holds));
	return ch->holds != NULL ? 0 : -1;
}

/* Whether a connection still waits for what it began to wait for. */
static bool
hold_is_live(struct chat *ch, const struct hold *w)
{
	const uint32_t i = (uint32_t)w->id;

	return ch->conn[i].held && ch->conn[i].nth_hold == w->nth &&
	    ch->conn[i].phase == CONN_OPEN && slot_id(ch->hub, i) == w->id &&
	    SHM_OWN(conn_slot(ch, i)->committed) == w->done;
}

/* Makes room for one more of an array that has n of cap; NULL: there is no
 * memory. */
static void *
hold_grow(void *at, uint32_t n, uint32_t *cap, size_t size)
{
	const uint32_t more = n == 0 ? HOLD_MIN : 2 * n;

	if (n < *cap)
		return at;
	at = reallocarray(at, more, size);
	if (at != NULL)
		*cap = more;
	return at;
}

/* Puts one that waits for a channel into the list of that. */
static void
hold_list(struct holds *all, uint32_t k)
{
	uint32_t *newest = &all->newest[all->at[k].entry % HOLD_LISTS];

	if (all->at[k].what != HOLD_OPENED)
		return;
	all->at[k].older = *newest;
	*newest = shm_link(k);
}

/* Since when the command in hand waits that began at that time. Of several
 * waits all count as one, but for that for rows. */
static uint32_t
hold_since_ms(const struct chat *ch, uint32_t began_ms)
{
	const uint32_t latest = began_ms + HOLD_ROWS_MS;

	if (ch->hold.what != HOLD_ROWS || ch->hold.asked_ms == 0)
		return began_ms;
	return (int32_t)(ch->hold.asked_ms - latest) < 0 ? ch->hold.asked_ms
							 : latest;
}

bool
hold_begin(struct chat *ch, uint32_t i)
{
	struct holds *all = ch->holds;
	struct hold *at =
	    hold_grow(all->at, all->n, &all->cap, sizeof(*all->at));

	if (at == NULL)
		return false;
	all->at = at;
	at[all->n] = (struct hold){.id = slot_id(ch->hub, i),
	    .done = SHM_OWN(conn_slot(ch, i)->committed),
	    .since_ms = hold_since_ms(ch, conn_slot(ch, i)->message_ms),
	    .what = ch->hold.what,
	    .entry = ch->hold.entry,
	    .epoch = ch->hold.epoch,
	    .nth = ++ch->conn[i].nth_hold};
	hold_list(all, all->n++);
	conn_hold(ch, i);
	return true;
}

void
hold_deny(struct chat *ch)
{
	ch->hold.waited = ch->hold.command;
	ch->hold.waited_for = ch->hold.what;
	ch->hold.ended = HOLD_LATE;
}

void
hold_again(struct chat *ch, uint32_t i)
{
	struct slot *s = conn_slot(ch, i);
	const uint32_t n = KEY_COUNT(SHM_OWN(s->committed));
	const bool accepted = n > 0 && SHM_LOAD(s->awaits) != AWAITS_NOTHING;

	ch->hold.ended = ch->conn[i].ended;
	ch->hold.waited = accepted ? n - 1 : n;
	ch->hold.waited_for = accepted ? HOLD_RESULT : HOLD_OPENED;
	ch->conn[i].ended = HOLD_NOT;
}

bool
hold_channel(struct chat *ch, uint32_t entry, uint32_t epoch)
{
	if (hold_ended(ch) == HOLD_LATE)
		return false;
	ch->hold.what = HOLD_OPENED;
	ch->hold.entry = entry;
	ch->hold.epoch = epoch;
	return true;
}

bool
hold_rows(struct chat *ch, uint32_t asked_ms)
{
	if (hold_ended(ch) == HOLD_LATE)
		return false;
	ch->hold.what = HOLD_ROWS;
	ch->hold.asked_ms = asked_ms;
	return true;
}

/* What an answer's error means. */
static enum hold_outcome
hold_outcome_of(unsigned int error)
{
	return error == RESULT_OK	? HOLD_DONE
	    : error == RESULT_TEMPORARY ? HOLD_TEMPORARY
					: HOLD_UNKNOWN;
}

/* Whether a result was waited for in vain. One that was waited for a channel is
 * in vain no more if the channel has opened just now. */
static bool
hold_result_is_late(const struct chat *ch)
{
	return hold_ended(ch) == HOLD_LATE &&
	    ch->hold.waited_for == HOLD_RESULT;
}

enum hold_outcome
hold_accepted(struct chat *ch, uint32_t conn)
{
	const uint8_t awaits = SHM_LOAD(conn_slot(ch, conn)->awaits);

	if (awaits == AWAITS_NOTHING)
		return HOLD_DONE;
	if (awaits != AWAITS_RESULT)
		return hold_outcome_of(awaits - AWAITS_DONE);
	if (hold_result_is_late(ch))
		return HOLD_UNKNOWN;
	ch->hold.what = HOLD_RESULT;
	return HOLD_WAITS;
}

void
hold_answered(struct chat *ch, uint32_t conn)
{
	struct slot *s = conn_slot(ch, conn);

	if (SHM_LOAD(s->awaits) == AWAITS_NOTHING)
		return;
	/* a result that comes now must not be stored behind this */
	hub_lock(ch->hub);
	SHM_STORE(s->awaits, AWAITS_NOTHING);
	hub_unlock(ch->hub);
}

enum hold_outcome
hold_request(struct chat *ch, uint64_t position, struct hold_answer *out)
{
	if (ch->hold.answer != NULL) {
		*out = *ch->hold.answer;
		return hold_outcome_of(out->error);
	}
	if (hold_result_is_late(ch))
		return HOLD_UNKNOWN;
	ch->hold.what = HOLD_RESULT;
	ch->hold.position = position;
	return HOLD_WAITS;
}

uint64_t
hold_published(const struct chat *ch)
{
	return ch->hold.position;
}

bool
hold_request_begin(struct chat *ch, uint32_t i, struct hold_request *q)
{
	struct holds *all = ch->holds;
	void *at = hold_grow(all->request, all->n_requests, &all->requests_cap,
	    sizeof(struct hold_request *));

	if (at == NULL)
		return false;
	all->request = at;
	all->request[all->n_requests++] = q;
	*q = (struct hold_request){.conn = i,
	    .since_ms = hold_since_ms(ch,
		ch->hold.ended != HOLD_NOT ? ch->hold.since_ms
					   : (uint32_t)ch->now_ms),
	    .what = ch->hold.what,
	    .entry = ch->hold.entry,
	    .epoch = ch->hold.epoch,
	    .position = ch->hold.position};
	conn_hold(ch, i);
	return true;
}

void
hold_request_end(struct chat *ch, uint32_t i)
{
	struct holds *all = ch->holds;
	uint32_t k;

	for (k = 0; k < all->n_requests && all->request[k]->conn != i; k++)
		;
	if (k < all->n_requests)
		all->request[k] = all->request[--all->n_requests];
}

void
hold_request_again(struct chat *ch, const struct hold_request *q)
{
	ch->hold = (struct hold_hand){.ended = ch->conn[q->conn].ended,
	    .waited_for = q->what,
	    .since_ms = q->since_ms,
	    .position = q->what == HOLD_RESULT ? q->position : 0,
	    .answer = q->is_answered ? &q->answer : NULL};
	ch->conn[q->conn].ended = HOLD_NOT;
}

/* A reader has answered what a request waits for. */
static void
hold_result_request(struct chat *ch, const struct hold_answer *a)
{
	struct holds *all = ch->holds;
	struct hold_request *q;
	uint32_t k;

	for (k = 0; k < all->n_requests; k++) {
		q = all->request[k];
		if (q->what != HOLD_RESULT || q->position != a->position)
			continue;
		q->answer = *a;
		q->is_answered = true;
		conn_hold_end(ch, q->conn, HOLD_READY);
	}
}

void
hold_result(struct chat *ch, const struct hold_answer *a)
{
	const uint32_t i = (uint32_t)a->sender;

	if (a->sender == 0)
		hold_result_request(ch, a);
	else if (i < ch->hub->n_slots && slot_id(ch->hub, i) == a->sender)
		/* of one that came too late it finds that it waits on */
		conn_hold_end(ch, i, HOLD_READY);
}

/* Who began to wait first is looked at first. */
static void
hold_reverse(uint32_t *at, uint32_t n)
{
	uint32_t k, first;

	for (k = 0; k < n / 2; k++) {
		first = at[k];
		at[k] = at[n - 1 - k];
		at[n - 1 - k] = first;
	}
}

void
hold_opened(struct chat *ch, uint32_t entry, uint32_t epoch, uint8_t error)
{
	const enum hold_end end = error == RESULT_OK ? HOLD_READY
	    : error == RESULT_NO_CHANNEL	     ? HOLD_ABSENT
						     : HOLD_LATE;
	struct holds *all = ch->holds;
	const struct hold_request *q;
	const uint32_t first = ch->n_waiting;
	const struct hold *w;
	uint32_t k;

	for (k = shm_index(all->newest[entry % HOLD_LISTS]); k < all->n;
	     k = shm_index(w->older)) {
		w = &all->at[k];
		if (w->entry == entry && w->epoch == epoch &&
		    hold_is_live(ch, w))
			conn_hold_end(ch, (uint32_t)w->id, end);
	}
	hold_reverse(ch->waiting + first, ch->n_waiting - first);
	for (k = 0; k < all->n_requests; k++) {
		q = all->request[k];
		if (q->what == HOLD_OPENED && q->entry == entry &&
		    q->epoch == epoch)
			conn_hold_end(ch, q->conn, end);
	}
}

bool
hold_arrived(struct chat *ch, uint32_t conn)
{
	const bool held = ch->conn[conn].held;

	conn_hold_end(ch, conn, HOLD_READY);
	return held;
}

void
hold_rows_again(struct chat *ch)
{
	struct holds *all = ch->holds;
	uint32_t k;

	for (k = 0; k < all->n; k++)
		if (all->at[k].what == HOLD_ROWS &&
		    hold_is_live(ch, &all->at[k]))
			conn_hold_end(ch, (uint32_t)all->at[k].id, HOLD_READY);
	for (k = 0; k < all->n_requests; k++)
		if (all->request[k]->what == HOLD_ROWS)
			conn_hold_end(ch, all->request[k]->conn, HOLD_READY);
}

void
hold_lost(struct chat *ch)
{
	struct holds *all = ch->holds;
	uint32_t k;

	for (k = 0; k < all->n; k++)
		if (hold_is_live(ch, &all->at[k]))
			conn_hold_end(ch, (uint32_t)all->at[k].id, HOLD_READY);
	for (k = 0; k < all->n_requests; k++)
		conn_hold_end(ch, all->request[k]->conn, HOLD_READY);
}

void
hold_channels(struct chat *ch,
    bool (*ask)(struct chat *ch, uint32_t entry, uint32_t epoch))
{
	const struct holds *all = ch->holds;
	const struct hold_request *q;
	const struct hold *w;

	for (uint32_t k = 0; k < all->n; k++) {
		w = &all->at[k];
		if (w->what == HOLD_OPENED && ask(ch, w->entry, w->epoch) &&
		    hold_is_live(ch, w))
			conn_hold_end(ch, (uint32_t)w->id, HOLD_READY);
	}
	for (uint32_t k = 0; k < all->n_requests; k++) {
		q = all->request[k];
		if (q->what == HOLD_OPENED && ask(ch, q->entry, q->epoch))
			conn_hold_end(ch, q->conn, HOLD_READY);
	}
}

/* The longest that one waits. */
static uint32_t
hold_limit_ms(enum hold_what what)
{
	return what == HOLD_RESULT ? HOLD_RESULT_MS
	    : what == HOLD_OPENED  ? HOLD_OPENED_MS
				   : HOLD_ROWS_MS;
}

/* One that waits for a result or a channel; false: it does not any more. */
static bool
hold_sweep_one(struct chat *ch, const struct hold *w)
{
	const uint32_t i = (uint32_t)w->id;

	if (!hold_is_live(ch, w))
		return false;
	if (w->what == HOLD_RESULT &&
	    SHM_LOAD(conn_slot(ch, i)->awaits) != AWAITS_RESULT)
		conn_hold_end(ch, i, HOLD_READY);
	else if (conn_age_ms(ch, w->since_ms) >= hold_limit_ms(w->what))
		conn_hold_end(ch, i, HOLD_LATE);
	return ch->conn[i].held;
}

/* Nobody waits: much memory is given back. */
static void
hold_shrink(struct holds *all)
{
	if (all->cap <= HOLD_KEPT)
		return;
	free(all->at);
	all->at = NULL;
	all->cap = 0;
}

void
hold_sweep(struct chat *ch)
{
	struct holds *all = ch->holds;
	const uint32_t n = all->n;
	const struct hold_request *q;
	uint32_t k;

	for (k = 0; k < n; k++)
		if (all->at[k].what == HOLD_OPENED)
			all->newest[all->at[k].entry % HOLD_LISTS] = 0;
	all->n = 0;
	for (k = 0; k < n; k++)
		if (hold_sweep_one(ch, &all->at[k])) {
			all->at[all->n] = all->at[k];
			hold_list(all, all->n++);
		}
	if (n == 0)
		hold_shrink(all);
	for (k = 0; k < all->n_requests; k++) {
		q = all->request[k];
		if (conn_age_ms(ch, q->since_ms) >= hold_limit_ms(q->what))
			conn_hold_end(ch, q->conn, HOLD_LATE);
	}
}
