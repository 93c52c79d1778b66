/* page: a page of the input pool. Private to the hub layer. */
#ifndef CHATD_SRC_HUB_PAGE_H
#define CHATD_SRC_HUB_PAGE_H

#include "hub/input.h"

/* Of unfinished input: the first of a part begins with two states, of which
 * the slot says which is valid. Of a blob: see blob.c. */
struct input_page {
	OTHER_ONLY(uint64_t other[2]);
	_Atomic uint32_t next;	/* link; 0: last. Of a blob: PAGE_SERIAL */
	_Atomic uint32_t owner; /* of a blob: use count of its connection's
				 * slot; 0: it is no blob */
	uint8_t bytes[INPUT_PAGE - OTHER_EITHER(8, 24)];
};
_Static_assert(sizeof(struct input_page) == INPUT_PAGE, "INPUT_PAGE");

/* A blob is one page: its serial stands where others have their link. */
#define PAGE_SERIAL(page) ((page)->next)

/* How the bytes of a page that is a blob begin. A reader trusts them only if
 * the page's `owner` is the connection's use count, and its serial did not
 * change: the connection may have put another blob there in between. */
struct blob_head {
	uint32_t slot;
	uint32_t len;
};

/* No blob any more: first of all, before its bytes become something else; who
 * is copying them out sees that. */
static inline void
page_disown(struct input_page *p)
{
	atomic_store_explicit(&p->owner, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

/* Takes a page that is the last of its chain; SHM_NONE: there is none. */
static inline uint32_t
page_take(struct input_pool *pool)
{
	uint32_t k = claim_take(&pool->pages);

	if (k == SHM_NONE)
		return k;
	page_disown(&pool->h->page[k]);
	SHM_STORE(pool->h->page[k].next, 0);
	return k;
}

#endif
