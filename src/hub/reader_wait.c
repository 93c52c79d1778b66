#include <linux/futex.h>
#include <sys/syscall.h>

#include <time.h>
#include <unistd.h>

#include "hub/reader.h"
#include "ring.h"

enum { WAIT_LOOKS = 64 };

void
reader_wake(struct hub *h, uint8_t readers)
{
	_Atomic uint32_t *word;

	/* after the commit; pairs with the fence of reader_wait() */
	atomic_thread_fence(memory_order_seq_cst);
	for (readers &= h->readers; readers != 0; readers &= readers - 1) {
		word = &h->heads->sleeps[__builtin_ctz(readers)];
		if (SHM_LOAD(*word) != 1)
			continue;
		SHM_STORE(*word, 0);
		(void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}

/* Whether an entry asks a reader for something. */
static bool
wait_is_asked(const struct reader *r, uint64_t position)
{
	struct publication p;

	if (!(index_readers(SHM_LOAD(index_of(r->h, position)->at)) & r->bit))
		return false;
	if (journal_peek(r->h, position, &p) != JOURNAL_OK)
		return true; /* corrupted, or gone meanwhile */
	return p.format == FORMAT_OPEN || reader_is_asked(r, &p);
}

/* Whether one of those that it has not seen yet does; true also if there are
 * many. */
static bool
wait_has_asked(const struct reader *r)
{
	uint64_t tail = ring_tail(r->h), at = r->end;

	if (at > tail || tail - at > WAIT_LOOKS)
		return true;
	while (at < tail)
		if (wait_is_asked(r, ++at))
			return true;
	return false;
}

void
reader_wait(struct reader *r, int ms)
{
	_Atomic uint32_t *word = &r->h->heads->sleeps[r->number];
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	SHM_STORE(*word, 1);
	/* who publishes from here on sees it; what was published before is
	 * looked at */
	atomic_thread_fence(memory_order_seq_cst);
	if (ms > 0 && r->passed >= r->end && !wait_has_asked(r))
		(void)syscall(SYS_futex, word, FUTEX_WAIT, 1, &t, NULL, 0);
	SHM_STORE(*word, 0);
}
