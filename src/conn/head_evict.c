/* Room in input-memory, which the requests that are not complete make. */
#include "conn/head.h"

#include "base/log.h"
#include "codec/http.h"
#include "conn/conn.h"
#include "hub/blob.h"
#include "hub/chain.h"
#include "hub/stats.h"

bool
head_evict(struct chat *ch)
{
	static const char busy[] = HTTP_BUSY;
	uint32_t i = shm_index(ch->head_oldest);

	if (i == SHM_NONE)
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
	while (r < 0 && r != INPUT_CORRUPTED && head_evict(ch));
	return r;
}

/* Makes room by one; false: what is kept of this connection is the oldest. */
static bool
head_relieve(struct chat *ch, uint32_t i)
{
	return shm_index(ch->head_oldest) != i && head_evict(ch);
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
		if (r == CHAIN_CORRUPTED || !head_relieve(ch, i))
			return false;
	if (c->request.len == 0)
		head_link(ch, i);
	ch->head_pages += more;
	c->request.len += (uint32_t)len;
	return true;
}
