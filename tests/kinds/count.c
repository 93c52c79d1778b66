/* count: a test's kind of child that follows the journal and counts what is
 * published; it can only read shared memory. Its line's cursor is the position
 * up to which it has counted. */
#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "count.h"
#include "hub/journal.h"
#include "settings.h"

enum { PERIOD_MS = 5 };

/* Goes on from where the process before it was, or from now on. */
static uint64_t
count_begin(const struct child_start *start)
{
	uint64_t cursor = SHM_LOAD(start->line->cursor);

	return cursor != 0 ? cursor : journal_tail(start->hub);
}

/* Counts what has come; the store of the cursor is what counts. */
static uint64_t
count_more(const struct child_start *start, uint64_t cursor)
{
	const uint64_t tail = journal_tail(start->hub);
	struct publication p;

	for (; cursor < tail; cursor++) {
		if (journal_peek(start->hub, cursor, &p) == JOURNAL_GONE &&
		    cursor < journal_oldest(start->hub))
			log_warn("publications %llu to %llu are gone",
			    (unsigned long long)cursor,
			    (unsigned long long)journal_oldest(start->hub));
		SHM_STORE(start->line->cursor, cursor + 1);
	}
	return cursor;
}

void
count_main(struct child_start *start)
{
	struct pollfd p = {start->link, POLLIN, 0};
	uint64_t cursor = count_begin(start);
	struct settings settings = {0};

	SHM_STORE(start->line->cursor, cursor);
	child_hello(start);
	while (!child_must_leave(start)) {
		child_tick(start);
		settings_look(&settings, start);
		cursor = count_more(start, cursor);
		log_more();
		KILL_POINT();
		poll(&p, 1, PERIOD_MS);
	}
	_exit(0);
}
