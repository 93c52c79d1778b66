#include "conn/rest.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/sparse.h"
#include "conn/conn.h"
#include "hub/input.h"
#include "hub/stats.h"

/* The part of input-memory that rests may take: one half. */
enum { REST_PART = 2 };

/* What is known of one connection's; links of `at`. */
struct rest {
	uint32_t bytes; /* 0: it is in no list */
	uint32_t older, newer;
};

struct rests {
	struct rest *at; /* [n_slots + CHAT_SPARE] */
	uint32_t oldest, newest;
	uint64_t bytes, max; /* that all have, and may have */
};

int
rest_init(struct chat *ch)
{
	struct rests *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -1;
	r->at = sparse_new(ch->hub->n_slots + CHAT_SPARE, sizeof(*r->at));
	if (r->at == NULL) {
		free(r);
		return -1;
	}
	ch->rests = r;
	rest_sweep(ch);
	return 0;
}

void
rest_sweep(struct chat *ch)
{
	const struct hub *h = ch->hub;
	const uint32_t n = stats_workers(h);
	struct rests *r = ch->rests;

	r->max =
	    (uint64_t)h->n_pages * INPUT_PAGE / REST_PART / (n > 0 ? n : 1);
	/* one must fit */
	if (r->max < SHM_REST)
		r->max = SHM_REST;
}

/* Takes a connection out of the list. */
static void
rest_unlink(struct rests *r, struct rest *one)
{
	if (one->older != 0)
		r->at[shm_index(one->older)].newer = one->newer;
	else
		r->oldest = one->newer;
	if (one->newer != 0)
		r->at[shm_index(one->newer)].older = one->older;
	else
		r->newest = one->older;
	r->bytes -= one->bytes;
	*one = (struct rest){0};
}

/* Puts it behind all others. */
static void
rest_link(struct rests *r, uint32_t i, uint32_t bytes)
{
	r->at[i] = (struct rest){.bytes = bytes, .older = r->newest};
	if (r->newest != 0)
		r->at[shm_index(r->newest)].newer = shm_link(i);
	else
		r->oldest = shm_link(i);
	r->newest = shm_link(i);
	r->bytes += bytes;
}

void
rest_note(const struct chat *ch, uint32_t i, size_t bytes, bool went_on)
{
	struct rests *r = ch->rests;
	struct rest *one = &r->at[i];

	if (bytes > SHM_REST) /* another process has written it */
		bytes = SHM_REST;
	if (one->bytes != 0 && (went_on || bytes == 0))
		rest_unlink(r, one);
	if (bytes == 0)
		return;
	if (one->bytes == 0) {
		rest_link(r, i, (uint32_t)bytes);
		return;
	}
	r->bytes += bytes - one->bytes;
	one->bytes = (uint32_t)bytes;
}

void
rest_relieve(struct chat *ch)
{
	struct rests *r = ch->rests;
	uint32_t i;

	while (r->bytes > r->max && r->oldest != 0) {
		i = shm_index(r->oldest);
		log_warn("%s: closed: records that are not complete take all "
			 "that they may of input-memory, and this one is the "
			 "oldest (a larger `input-memory` holds more)",
		    conn_name(ch, i));
		rest_unlink(r, &r->at[i]);
		conn_drop(ch, i, NULL);
	}
}
