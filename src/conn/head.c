#include "conn/head.h"

#include <string.h>

#include "hub/chain.h"
#include "hub/stats.h"

/* The part of input-memory that requests may hold: one half. */
enum { HEAD_PART = 2 };

void
head_sweep(struct chat *ch)
{
	const struct hub *h = ch->hub;
	uint32_t n = stats_workers(h);
	uint32_t least = chain_pages(ch->live.request_size);

	ch->head_pages_max = h->n_pages / HEAD_PART / (n > 0 ? n : 1);
	/* one request of the largest size must fit */
	if (ch->head_pages_max < least)
		ch->head_pages_max = least;
}

void
head_link(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	c->request.older = ch->head_newest;
	c->request.newer = 0;
	if (ch->head_newest != 0)
		ch->conn[shm_index(ch->head_newest)].request.newer =
		    shm_link(i);
	else
		ch->head_oldest = shm_link(i);
	ch->head_newest = shm_link(i);
}

/* Takes it out of the list. */
static void
head_unlink(struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];

	if (c->request.older != 0)
		ch->conn[shm_index(c->request.older)].request.newer =
		    c->request.newer;
	else
		ch->head_oldest = c->request.newer;
	if (c->request.newer != 0)
		ch->conn[shm_index(c->request.newer)].request.older =
		    c->request.older;
	else
		ch->head_newest = c->request.older;
}

void
head_forget(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	if (c->request.page == 0)
		return;
	head_unlink(ch, i);
	ch->head_pages -= chain_pages(c->request.len);
	chain_free(&ch->input, c->request.page, c->request.len);
	memset(&c->request, 0, sizeof(c->request));
}

bool
head_read(const struct chat *ch, uint32_t i, char *out)
{
	const struct conn *c = &ch->conn[i];

	return chain_read(ch->hub, c->request.page, c->request.len, out) == 0;
}
