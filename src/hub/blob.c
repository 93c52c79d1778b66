#include <string.h>

#include "hub/blob.h"
#include "page.h"

_Static_assert(sizeof(struct blob_head) + BLOB_MAX ==
	sizeof(((struct input_page *)0)->bytes),
    "BLOB_MAX");

uint32_t
blob_put(struct input_pool *pool, uint64_t conn, const void *bytes, size_t len)
{
	const struct blob_head head = {(uint32_t)conn, (uint32_t)len};
	struct input_page *p;
	uint32_t k;

	if (len == 0 || len > BLOB_MAX)
		return 0;
	k = claim_take(&pool->pages);
	if (k == SHM_NONE)
		return 0;
	p = &pool->h->page[k];
	page_disown(p);
	memcpy(p->bytes, &head, sizeof(head));
	memcpy(p->bytes + sizeof(head), bytes, len);
	SHM_STORE(PAGE_SERIAL(p), ++pool->serial);
	SHM_STORE(p->owner, (uint32_t)(conn >> 32));
	return shm_link(k);
}

void
blob_drop(struct input_pool *pool, uint32_t blob)
{
	uint32_t k = shm_index(blob);

	if (k == SHM_NONE || !claim_has(&pool->pages, k))
		return;
	page_disown(&pool->h->page[k]);
	claim_give(&pool->pages, k);
}

size_t
blob_get(const struct hub *h, uint32_t blob, uint64_t conn, char out[BLOB_MAX])
{
	const struct input_page *p;
	uint32_t use = (uint32_t)(conn >> 32), serial, k = shm_index(blob);
	struct blob_head head;

	if (k >= h->n_pages || use == 0)
		return 0;
	p = &h->page[k];
	if (SHM_LOAD(p->owner) != use)
		return 0;
	serial = SHM_LOAD(PAGE_SERIAL(p));
	memcpy(&head, p->bytes, sizeof(head));
	if (head.slot != (uint32_t)conn || head.len > BLOB_MAX)
		return 0;
	memcpy(out, p->bytes + sizeof(head), head.len);
	shm_copied();
	return SHM_LOAD(p->owner) == use && SHM_LOAD(PAGE_SERIAL(p)) == serial
	    ? head.len
	    : 0;
}
