/* How many more connections this worker can hold: the others, which give theirs
 * away, and the master look at it before they do. */
#include <sys/resource.h>

#include "hub/stats.h"
#include "private.h"
#include "takeover/table.h"

enum {
	/* Links to the others, one more of each while one is
	 * replaced, and what libraries open for a moment. */
	ROOM_SPARE = 2 * SHM_WORKERS + 32,
	/* Descriptors that a worker which accepts keeps free, besides one link
	 * to each other worker and to each reader of the journal, for messages
	 * of the master: adoptions, the web page. Larger: fewer clients;
	 * smaller: the master's messages lose their descriptors. */
	ROOM_MASTER = 8
};

void
room_init(struct worker *w)
{
	w->own_files = table_own();
	room_tell(w);
}

uint32_t
room_free(const struct worker *w)
{
	uint64_t used = (uint64_t)w->own_files + w->chat.n_conns;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 0;
	if (files.rlim_cur > CHAT_FDS)
		files.rlim_cur = CHAT_FDS;
	/* a small limit is for connections, too */
	used +=
	    files.rlim_cur / 4 < ROOM_SPARE ? files.rlim_cur / 4 : ROOM_SPARE;
	return files.rlim_cur > used ? (uint32_t)(files.rlim_cur - used) : 0;
}

/* What is left, as far as it can be counted. */
static uint32_t
room_clip(uint64_t limit, uint64_t used)
{
	if (limit <= used)
		return 0;
	return limit - used < UINT32_MAX ? (uint32_t)(limit - used)
					 : UINT32_MAX;
}

/* How many connections leave room for what the master hands over, by the
 * descriptors that this process may open. */
static uint32_t
room_most(const struct worker *w)
{
	uint64_t used = (uint64_t)w->own_files + ROOM_MASTER;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		files.rlim_cur = RLIM_INFINITY;
	SHM_TELL(w->chat.hub->me->spare_files, room_clip(files.rlim_cur, used));
	used += stats_workers(w->chat.hub) +
	    (uint64_t)__builtin_popcount(w->chat.hub->readers);
	return room_clip(files.rlim_cur, used);
}

void
room_tell(struct worker *w)
{
	w->most = room_most(w);
	SHM_TELL(w->chat.hub->me->room, room_free(w));
}
