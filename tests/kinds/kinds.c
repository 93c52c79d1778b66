/* Kinds besides those of chatd, that only tests have: one follows the journal
 * and counts, one takes the lock, one counts as a program of its own, one
 * publishes; in place of these four, where a folder for it is named (ledger.h),
 * one reads the journal as a store would; and where a file for it is named, one
 * reads the journal and does nothing with it (pace.c). */
#include <poll.h>
#include <unistd.h>

#include "announce.h"
#include "base/log.h"
#include "count.h"
#include "hub/journal.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "ledger.h"
#include "process/child.h"
#include "settings.h"

enum { LOCK_PERIOD_MS = 2 };

/* Takes the lock again and again, and does under it what is done there. */
static void
lock_main(struct child_start *start)
{
	struct pollfd p = {start->link, POLLIN, 0};
	struct settings settings = {0};

	child_hello(start);
	while (!child_must_leave(start)) {
		child_tick(start);
		settings_look(&settings, start);
		hub_lock(start->hub);
		KILL_POINT();
		if (presence_find(start->hub, "lobby", 5) == SHM_NONE)
			log_fatal("there is no lobby");
		SHM_STORE(
		    start->line->cursor, SHM_OWN(start->line->cursor) + 1);
		hub_unlock(start->hub);
		log_more();
		poll(&p, 1, LOCK_PERIOD_MS);
	}
	_exit(0);
}

const struct child_kind count_kind = {.name = "count",
    .n = 1,
    .gets = CHILD_HUB_LOOK,
    .wanted = ledger_is_absent,
    .main = count_main};

const struct child_kind lock_kind = {.name = "lock",
    .n = 1,
    .gets = CHILD_HUB,
    .wanted = ledger_is_absent,
    .main = lock_main};

/* What it is, apart.c knows. */
const struct child_kind apart_kind = {.name = "apart",
    .n = 1,
    .gets = CHILD_HUB_LOOK,
    .wanted = ledger_is_absent,
    .executable = "apart"};

const struct child_kind announce_kind = {.name = "announce",
    .n = 1,
    .gets = CHILD_HUB,
    .wanted = ledger_is_absent,
    .main = announce_main};

const struct child_kind ledger_kind = {.name = "ledger",
    .n = 1,
    .gets = CHILD_HUB,
    .wanted = ledger_is_wanted,
    .reader = READER_HOOKS + 1,
    .reader_events = true,
    .still_ms = 10000,
    .main = ledger_main};
