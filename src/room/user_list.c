/* user_list: the users who are online: the first names in order out of a large
 * table. */
#include <stdlib.h>
#include <string.h>

#include "room/user.h"
#include "hub/presence.h"

enum { LIST_MAX = 100, LIST_AGE_MS = 100, LIST_LARGE = 1024 };

/* Compares bytes, the shorter first: UTF-8 sorts by code point so. */
static int
user_name_compare(const void *a, const void *b)
{
	const struct user_name *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->text, y->text, n);

	return c != 0 ? c : (int)x->len - (int)y->len;
}

/* Restores the heap (largest on top) from position k down. */
static void
user_heap_sink(struct user_name *heap, size_t n, size_t k)
{
	struct user_name t;
	size_t big;

	for (;; k = big) {
		big = 2 * k + 1;
		if (big >= n)
			return;
		if (big + 1 < n &&
		    user_name_compare(&heap[big + 1], &heap[big]) > 0)
			big++;
		if (user_name_compare(&heap[k], &heap[big]) >= 0)
			return;
		t = heap[k];
		heap[k] = heap[big];
		heap[big] = t;
	}
}

/* Keeps the smallest LIST_MAX names. */
static void
user_heap_offer(struct user_name *heap, size_t *n, const struct user_name *name)
{
	size_t k;

	if (*n < LIST_MAX) {
		heap[(*n)++] = *name;
		if (*n == LIST_MAX)
			for (k = LIST_MAX / 2; k-- > 0;)
				user_heap_sink(heap, LIST_MAX, k);
	} else if (user_name_compare(name, &heap[0]) < 0) {
		heap[0] = *name;
		user_heap_sink(heap, LIST_MAX, 0);
	}
}

/* Collects the first names; returns how many users there are. */
static size_t
user_collect(const struct hub *h, struct user_name *heap, size_t *n)
{
	uint32_t e, end = presence_users_end(h);
	struct presence_view v;
	struct user_name name;
	size_t users = 0;

	*n = 0;
	for (e = 1; e < end; e++) {
		/* mask and name may be of two users, if the entry is reused
		 * meanwhile */
		if (presence_mask(h, e) == 0 || !presence_read(h, e, &v) ||
		    v.mask == 0 || !presence_name_is_user(v.name, v.name_len) ||
		    v.name_len < 2 || v.name_len - 1 > USER_NAME_MAX)
			continue;
		name.len = (uint8_t)(v.name_len - 1);
		memcpy(name.text, v.name + 1, v.name_len); /* and the NUL */
		user_heap_offer(heap, n, &name);
		users++;
	}
	qsort(heap, *n, sizeof(*heap), user_name_compare);
	return users;
}

static struct user_name first[LIST_MAX];

size_t
user_first(struct chat *ch, size_t *n)
{
	static uint64_t made_ms;
	static size_t users, names;

	if (presence_users_end(ch->hub) <= LIST_LARGE ||
	    ch->now_ms - made_ms >= LIST_AGE_MS) {
		made_ms = ch->now_ms;
		users = user_collect(ch->hub, first, &names);
	}
	*n = names;
	return users;
}

const struct user_name *
user_nth(size_t k)
{
	return &first[k];
}
