#include "hub/peek.h"

#include <stdio.h>
#include <string.h>

#include "heads.h"
#include "hub/layout.h"

_Static_assert(sizeof(struct shm_heads) <= HUB_PEEK_MIN, "HUB_PEEK_MIN");

/* What no memory of chatd's exceeds: products of counts below stay far from
 * overflowing. */
#define PEEK_BYTES_MAX (1ull << 46)
enum { PEEK_COUNT_MAX = 1 << 30 };

uint64_t
hub_peek_size(const void *base)
{
	const struct shm_heads *heads = base;

	return SHM_ONCE(heads->magic) == SHM_MAGIC
	    ? SHM_ONCE(heads->sizes.total)
	    : 0;
}

/* Whether sizes are within what can be computed with. */
static bool
peek_sizes_fit(const struct shm_sizes *s)
{
	return s->total <= PEEK_BYTES_MAX && s->journal <= PEEK_BYTES_MAX &&
	    s->spill <= PEEK_BYTES_MAX && s->journal >= HUB_PEEK_MIN &&
	    s->users < PEEK_COUNT_MAX && s->channels < PEEK_COUNT_MAX &&
	    s->slots < PEEK_COUNT_MAX;
}

int
hub_peek(struct hub *h, void *base, size_t size, char *error, size_t error_len)
{
	const struct shm_heads *heads = base;
	struct shm_sizes sizes;
	uint64_t layout;

	if (size < HUB_PEEK_MIN || hub_peek_size(base) == 0) {
		snprintf(error, error_len, "it is not shared memory of chatd");
		return -1;
	}
	layout = SHM_ONCE(heads->layout);
	if (layout != layout_number()) {
		snprintf(error, error_len,
		    "it has layout %016llx, this program knows %016llx: take "
		    "the chatctl of the chatd that made it",
		    (unsigned long long)layout,
		    (unsigned long long)layout_number());
		return -1;
	}
	memcpy(&sizes, &heads->sizes, sizeof(sizes));
	if (sizes.total > size) {
		snprintf(error, error_len,
		    "it is cut off: %zu of %llu bytes are there", size,
		    (unsigned long long)sizes.total);
		return -1;
	}
	if (peek_sizes_fit(&sizes) && hub_plan_as(h, &sizes, base))
		return 0;
	snprintf(error, error_len, "its sizes are corrupted");
	return -1;
}
