#include "hub/chain.h"

#include <string.h>

#include "page.h"

/* The page behind one; SHM_NONE: the link leads nowhere. */
static uint32_t
chain_next(const struct hub *h, uint32_t page)
{
	uint32_t next = shm_index(SHM_LOAD(h->page[page].next));

	return next < h->n_pages ? next : SHM_NONE;
}

/* The last of n pages; SHM_NONE: the links are corrupted. */
static uint32_t
chain_last(const struct hub *h, uint32_t first, uint32_t n)
{
	uint32_t page = shm_index(first);

	while (page < h->n_pages && --n > 0)
		page = chain_next(h, page);
	return page < h->n_pages ? page : SHM_NONE;
}

/* Takes n pages that follow each other; the first one's link, or 0: there are
 * not so many. */
static uint32_t
chain_take(struct input_pool *pool, uint32_t n)
{
	uint32_t first = 0, k;

	for (uint32_t i = 0; i < n; i++) {
		k = page_take(pool);
		if (k == SHM_NONE) {
			chain_free(pool, first, (size_t)i * CHAIN_PAGE);
			return 0;
		}
		SHM_STORE(pool->h->page[k].next, first);
		first = shm_link(k);
	}
	return first;
}

/* Copies bytes into a chain from a place in one of its pages on; false: the
 * links are corrupted. */
static bool
chain_fill(
    struct hub *h, uint32_t page, size_t at, const char *bytes, size_t len)
{
	size_t n;

	for (;;) {
		if (page >= h->n_pages)
			return false;
		n = CHAIN_PAGE - at < len ? CHAIN_PAGE - at : len;
		memcpy(h->page[page].bytes + at, bytes, n);
		bytes += n;
		len -= n;
		if (len == 0)
			return true;
		page = chain_next(h, page);
		at = 0;
	}
}

int
chain_append(struct input_pool *pool, uint32_t *first, size_t len,
    const void *bytes, size_t more)
{
	struct hub *h = pool->h;
	uint32_t have = chain_pages(len), wanted = chain_pages(len + more);
	uint32_t page = SHM_NONE, new = 0;

	if (have > 0 && (page = chain_last(h, *first, have)) == SHM_NONE)
		return CHAIN_CORRUPTED;
	if (wanted > have && (new = chain_take(pool, wanted - have)) == 0)
		return -1;
	if (have == 0)
		*first = new;
	else if (new != 0)
		SHM_STORE(h->page[page].next, new);
	if (len % CHAIN_PAGE == 0)
		page = shm_index(new);
	if (more > 0 && !chain_fill(h, page, len % CHAIN_PAGE, bytes, more))
		return CHAIN_CORRUPTED;
	return 0;
}

int
chain_read(const struct hub *h, uint32_t first, size_t len, void *out)
{
	uint32_t page = shm_index(first);
	size_t n;

	for (; len > 0; len -= n) {
		if (page >= h->n_pages)
			return -1;
		n = len < CHAIN_PAGE ? len : CHAIN_PAGE;
		memcpy(out, h->page[page].bytes, n);
		out = (char *)out + n;
		page = chain_next(h, page);
	}
	return 0;
}

void
chain_free(struct input_pool *pool, uint32_t first, size_t len)
{
	uint32_t page = shm_index(first), next;

	for (uint32_t n = chain_pages(len); n > 0; n--) {
		if (page >= pool->h->n_pages)
			return;
		next = chain_next(pool->h, page);
		claim_give(&pool->pages, page);
		page = next;
	}
}
