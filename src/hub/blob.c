#include <string.h>

#include "hub/blob.h"
#include "page.h"

uint32_t
blob_put(struct input_pool *pool, const void *bytes, size_t len)
{
	uint32_t k;

	if (len == 0 || len > BLOB_MAX)
		return 0;
	k = claim_take(&pool->pages);
	if (k == SHM_NONE)
		return 0;
	memcpy(pool->h->page[k].bytes, bytes, len);
	SHM_STORE(pool->h->page[k].next, (uint32_t)len);
	return k + 1;
}

void
blob_drop(struct input_pool *pool, uint32_t blob)
{
	if (blob != 0)
		claim_give(&pool->pages, blob - 1);
}

size_t
blob_get(const struct hub *h, uint32_t blob, char out[BLOB_MAX])
{
	uint32_t len;

	if (blob == 0 || blob > h->n_pages)
		return 0;
	len = SHM_LOAD(h->page[blob - 1].next);
	if (len > BLOB_MAX)
		return 0;
	memcpy(out, h->page[blob - 1].bytes, len);
	return len;
}
