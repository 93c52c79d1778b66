#include "conn/head.h"

#include <string.h>

#include "base/log.h"
#include "conn/conn.h"
#include "hub/blob.h"
#include "hub/chain.h"
#include "hub/stats.h"

/* Of input-memory, what requests may hold. */
enum { HEAD_PART = 2 };

void
head_sweep(struct chat *ch)
{
	const struct hub *h = ch->hub;
	uint32_t n = 0, least = chain_pages(ch->live.request_size);

	for (int k = 0; k < SHM_WORKERS; k++)
		n += SHM_OWN(h->line[k].state) != WORKER_STOPPED;
	ch->head_pages_max = h->n_pages / HEAD_PART / (n > 0 ? n : 1);
	/* one must fit, else no long one is ever complete */
	if (ch->head_pages_max < least)
		ch->head_pages_max = least;
}

uint64_t
head_bytes_max(const struct chat *ch)
{
	return (uint64_t)ch->head_pages_max * INPUT_PAGE;
}

/* Puts it behind all others. */
static void
head_link(struct chat *ch, uint32_t i)
{
	struct conn *c = &ch->conn[i];

	c->request.older = ch->head_newest;
	c->request.newer = 0;
	if (ch->head_newest != 0)
		ch->conn[ch->head_newest - 1].request.newer = i + 1;
	else
		ch->head_oldest = i + 1;
	ch->head_newest = i + 1;
}

/* Takes it out of the list. */
static void
head_unlink(struct chat *ch, uint32_t i)
{
	const struct conn *c = &ch->conn[i];

	if (c->request.older != 0)
		ch->conn[c->request.older - 1].request.newer = c->request.newer;
	else
		ch->head_oldest = c->request.newer;
	if (c->request.newer != 0)
		ch->conn[c->request.newer - 1].request.older = c->request.older;
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
head_evict(struct chat *ch)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
				   "Content-Length: 0\r\n"
				   "Retry-After: 5\r\n"
				   "Connection: close\r\n\r\n";
	uint32_t i = ch->head_oldest - 1;

	if (ch->head_oldest == 0)
		return false;
	log_warn("%s: refused: 503 input-memory is full, and of the requests "
		 "that are not complete this was the oldest (a larger "
		 "`input-memory` holds more, a shorter `handshake-timeout` "
		 "holds them less long)",
	    conn_peer(ch, i));
	SHM_COUNT(ch->hub->me->requests_evicted, 1);
	head_forget(ch, i);
	conn_refuse(ch, i, busy, sizeof(busy) - 1);
	return true;
}

uint32_t
head_blob(struct chat *ch, uint64_t conn_id, const void *bytes, size_t len)
{
	uint32_t blob;

	do
		blob = blob_put(&ch->input, conn_id, bytes, len);
	while (blob == 0 && len > 0 && len <= BLOB_MAX && head_evict(ch));
	return blob;
}

int
head_input_copy(struct chat *ch, uint32_t slot, uint64_t *part)
{
	int r;

	do
		r = input_copy(&ch->input, slot, part);
	while (r < 0 && r != INPUT_SPOILT && head_evict(ch));
	return r;
}

/* Makes room by one; false: what is kept of this connection is the oldest. */
static bool
head_relieve(struct chat *ch, uint32_t i)
{
	return ch->head_oldest != i + 1 && head_evict(ch);
}

bool
head_keep(struct chat *ch, uint32_t i, const char *bytes, size_t len)
{
	struct conn *c = &ch->conn[i];
	uint32_t more;
	int r;

	more = chain_pages(c->request.len + len) - chain_pages(c->request.len);
	while (ch->head_pages + more > ch->head_pages_max)
		if (!head_relieve(ch, i))
			return false;
	while ((r = chain_append(&ch->input, &c->request.page, c->request.len,
		    bytes, len)) != 0)
		if (r == CHAIN_SPOILT || !head_relieve(ch, i))
			return false;
	if (c->request.len == 0)
		head_link(ch, i);
	ch->head_pages += more;
	c->request.len += (uint32_t)len;
	return true;
}

bool
head_read(const struct chat *ch, uint32_t i, char *out)
{
	const struct conn *c = &ch->conn[i];

	return chain_read(ch->hub, c->request.page, c->request.len, out) == 0;
}
