/* journal_lock: the lock, with room in the journal. */
#include "hub/journal.h"
#include "hub/lock.h"

void
journal_lock(struct hub *h, size_t bytes)
{
	hub_lock(h);
	/* what readers need of what is overwritten is copied in steps, and
	 * others may publish in between; so often at most, as they take the
	 * room, too */
	for (size_t n = 0;
	     n < bytes / (JOURNAL_STEP / 4) && !journal_room(h, bytes); n++) {
		hub_unlock(h);
		hub_lock(h);
	}
}
