/* journal_erase: a user's publications in the ring, which nobody is to read any
 * more. */
#include "hub/line.h"
#include "hub/lock.h"
#include "ring.h"

enum {
	/* Entries in one hold of the lock. Larger: publishers wait for longer;
	 * smaller: it is taken more often. */
	ERASE_STEP = 64,
	/* Entries that are looked at between two life signs. */
	ERASE_LOOKS = 1024
};

/* Whose publications, and those that were found. */
struct erasing {
	struct hub *h;
	const char *user;
	size_t len;
	uint64_t upto;
	int64_t until_ms;
	uint64_t found[ERASE_STEP];
	unsigned n;
	uint64_t erased;
};

/* Whether an entry is old enough: a reader's repetition, as of what was stored,
 * may have been written since. */
static bool
erase_is_before(const struct erasing *e, const struct entry_head *head)
{
	return head->position <= e->upto ||
	    (entry_flags(head) & PUBLICATION_AGAIN &&
		head->time_ms < e->until_ms);
}

/* The entry at a position if it is the user's; NULL. */
static uint8_t *
erase_find(const struct erasing *e, uint64_t position)
{
	const struct hub *h = e->h;
	const uint64_t at = SHM_LOAD(index_of(h, position)->at);
	uint8_t *entry = entry_at(h, at);
	char user[UINT8_MAX];
	struct entry_head head;

	if (entry == NULL)
		return NULL;
	memcpy(&head, entry, sizeof(head));
	if (head.position != position || entry_format(&head) >= FORMAT_JOIN ||
	    !erase_is_before(e, &head) || head.user_len != e->len ||
	    entry_size(h, at, &head) == 0)
		return NULL;
	memcpy(user, entry + sizeof(head), e->len);
	return memcmp(user, e->user, e->len) == 0 ? entry : NULL;
}

/* Says in an entry that it is erased: the readers that require it stay. */
static void
erase_mark(uint8_t *entry)
{
	_Atomic uint8_t *format =
	    (_Atomic uint8_t *)(entry + offsetof(struct entry_head, format));

	SHM_STORE(*format,
	    (uint8_t)((SHM_LOAD(*format) & ~(FORMATS - 1)) | FORMAT_ERASED));
}

/* Erases those that were found and are there still. */
static void
erase_found(struct erasing *e)
{
	uint64_t oldest;
	uint8_t *entry;

	hub_lock(e->h);
	oldest = ring_oldest(e->h);
	for (unsigned k = 0; k < e->n; k++) {
		if (e->found[k] < oldest ||
		    (entry = erase_find(e, e->found[k])) == NULL)
			continue;
		erase_mark(entry);
		e->erased++;
	}
	hub_unlock(e->h);
	e->n = 0;
}

uint64_t
journal_erase(struct hub *h, const char *user, size_t len, uint64_t upto,
    int64_t until_ms)
{
	struct erasing e = {.h = h,
	    .user = user,
	    .len = len,
	    .upto = upto,
	    .until_ms = until_ms};
	const uint64_t tail = ring_tail(h);
	uint64_t at = ring_oldest(h);

	if (len == 0 || len > UINT8_MAX)
		return 0;
	for (; at <= tail; at++) {
		if (at % ERASE_LOOKS == 0)
			line_tick(h);
		if (erase_find(&e, at) == NULL)
			continue;
		e.found[e.n++] = at;
		if (e.n == ERASE_STEP)
			erase_found(&e);
	}
	if (e.n > 0)
		erase_found(&e);
	return e.erased;
}
