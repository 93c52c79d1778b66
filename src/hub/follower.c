#include "hub/follower.h"

#include <string.h>

#include "base/clock.h"

void
follower_init(
    struct follower *f, struct hub *h, _Atomic uint64_t *cursor, uint64_t bits)
{
	memset(f, 0, sizeof(*f));
	f->h = h;
	f->cursor = cursor;
	f->bits = bits;
}

bool
follower_check(struct follower *f)
{
	uint64_t tail;

	f->sound = journal_is_sound(f->h);
	f->stopped = !f->sound;
	/* another process may have mended it since it was read */
	tail = journal_tail(f->h);
	if (f->sound && tail < f->end)
		f->end = tail;
	return f->sound;
}

/*
 * Whether to wait before the next publication. One that crashes each process
 * that delivers it shall cost two processes, not all: while it is suspected,
 * only the successor of the first that died retries it. The others wait for the
 * outcome, as they must not deliver later publications first.
 */
static bool
follower_is_held(struct follower *f, uint64_t position, unsigned deaths)
{
	if ((deaths == 1 && position == f->trial) || clock_ms() < f->not_ms)
		return false;
	if (f->held != position) {
		f->held = position;
		f->looks = 0;
	}
	if (f->looks++ < FOLLOWER_LOOKS)
		return true;
	journal_acquit(f->h, position);
	f->not_ms = clock_ms() + FOLLOWER_NOT_MS;
	return false;
}

/* The next position is for this follower. */
static enum follower_result
follower_find(struct follower *f, uint64_t mask)
{
	unsigned deaths = journal_suspected(f->h, f->at + 1);

	/* a follower of all delivers nothing: it may read a suspected
	 * publication */
	if (deaths != 0 && f->bits != FOLLOWER_ALL &&
	    follower_is_held(f, f->at + 1, deaths))
		return FOLLOWER_HELD;
	f->position = f->at + 1;
	f->mask = mask;
	return FOLLOWER_FOUND;
}

/* The ring has overwritten publications that were not read yet. */
static enum follower_result
follower_skip(struct follower *f, uint64_t oldest)
{
	f->from = f->at;
	f->to = oldest;
	f->at = oldest - 1;
	return FOLLOWER_OVERRUN;
}

/* The next publication is for no worker, or gone, or the end has moved back.
 * True: *what is the result; else the publication is passed over or looked at
 * again. */
static bool
follower_empty(struct follower *f, enum follower_result *what)
{
	uint64_t oldest = journal_oldest(f->h);

	if (f->at >= journal_tail(f->h)) {
		f->sound = false;
		return false;
	}
	if (f->at + 1 < oldest) {
		*what = follower_skip(f, oldest);
		return true;
	}
	if (f->bits == FOLLOWER_ALL) {
		*what = follower_find(f, 0);
		return true;
	}
	f->at++;
	return false;
}

enum follower_result
follower_look(struct follower *f)
{
	enum follower_result what;
	uint64_t mask;

	while (f->at < f->end && !f->stopped) {
		mask = journal_mask(f->h, f->at + 1);
		if (mask & f->bits)
			return follower_find(f, mask);
		/* the end is checked before anything is passed over: it may be
		 * corrupted */
		if (!f->sound)
			follower_check(f);
		else if (mask != 0)
			f->at++;
		else if (follower_empty(f, &what))
			return what;
	}
	return f->stopped ? FOLLOWER_STOPPED : FOLLOWER_END;
}
