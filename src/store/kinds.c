#include "store/kinds.h"

#include <string.h>

#include "codec/birth.h"
#include "hub/journal.h"

enum {
	/* A commit waits for the disk. Larger: one that hangs is replaced
	 * later; smaller: one whose disk takes seconds is killed, and so is the
	 * next one. */
	STORE_STILL_MS = 10000,
	/* Larger: after a fault that comes and goes nothing is stored for
	 * longer; smaller: one that dies again and again costs more processor
	 * time. */
	STORE_BACKOFF_MS = 5000
};

#define STORE_PROGRAM "chatd-store"
#define STORE_USER "chatd-store"

/* Whether there is a database. */
static bool
store_is_wanted(const struct conf *c)
{
	return c->store != NULL;
}

/* Where it is. */
static const char *
store_file(const struct conf *c, const char **key)
{
	*key = "store";
	return c->store;
}

/* What a reload does not change. */
static void
store_birth(const struct conf *c, void *out)
{
	struct birth_store *b = out;

	*b = (struct birth_store){
	    .sync_full = c->store_sync == 0, .search = c->store_search != 0};
	strlcpy(b->path, c->store, sizeof(b->path));
	if (c->store_backup != NULL)
		strlcpy(b->backup, c->store_backup, sizeof(b->backup));
}

const struct child_kind store_kind = {.name = "store",
    .n = 1,
    .gets = CHILD_HUB,
    .executable = STORE_PROGRAM,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .file = store_file,
    .reader = READER_STORE + 1,
    .reader_events = true,
    .erases = true,
    .first = true,
    .backoff_max_ms = STORE_BACKOFF_MS,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};

const struct child_kind store_read_kind = {.name = "store-read",
    .n = 1,
    .gets = CHILD_HUB_LOOK,
    .answers = true,
    .executable = STORE_PROGRAM,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .backoff_max_ms = STORE_BACKOFF_MS,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};

const struct child_kind store_task_kind = {.name = "store-task",
    .gets = CHILD_MUTE | CHILD_ERRAND,
    .executable = STORE_PROGRAM,
    .birth_bytes = sizeof(struct birth_store),
    .birth = store_birth,
    .wanted = store_is_wanted,
    .still_ms = STORE_STILL_MS,
    .user = STORE_USER};
