/* Workers, and readers of the journal: what `chatctl show workers` says. */
#include <inttypes.h>

#include "hub/journal.h"
#include "hub/line.h"
#include "hub/stats.h"
#include "show/subject.h"

/* The head line. */
static void
workers_head(struct show *s)
{
	show_put(s,
	    "WORKER      PID    GEN STATE       CONNS"
	    "            KEPT  UPTIME/S    DELIVERED      "
	    "RELAYED WRITES         CURSOR     BEHIND ROLE\n");
}

/* How far it has come in the journal, and how far that is from its end: any
 * word may have been written over. */
static void
workers_cursor(const struct show *s, int line, const struct show_worker *w,
    uint64_t *cursor, uint64_t *behind)
{
	const uint64_t tail = journal_tail(s->from.hub);

	*cursor = SHM_LOAD(s->from.hub->line[line].cursor);
	*behind = w->pid != 0 && *cursor < tail ? tail - *cursor : 0;
}

/* A keeper that it has; 0: there is none. */
static int
workers_keeper(const struct show_worker *w)
{
	return w->keepers[0] != 0 ? w->keepers[0] : w->keepers[1];
}

/* Connections that a death would not cost. */
static uint32_t
workers_kept(const struct show *s, int i, const struct show_worker *w)
{
	return workers_keeper(w) != 0 ? s->worker[i] : 0;
}

/* A worker as an object; the key of its number has been "slot" since the first
 * version. */
static void
workers_put_json(struct show *s, int i, const struct show_worker *w)
{
	const struct shm_worker *counts = &s->from.hub->worker[i];
	uint64_t cursor, behind;

	workers_cursor(s, i, w, &cursor, &behind);
	show_put(s,
	    "{\"slot\":%d,\"role\":\"%s\",\"pid\":%d,\"generation\":%" PRIu32
	    ",\"state\":\"%s\",\"connections\":%" PRIu32 ",\"kept\":%" PRIu32
	    ",\"opened\":%" PRIu32 ",\"uptime_s\":%" PRIu64,
	    i, w->role, w->pid, w->generation,
	    worker_state_name(SHM_LOAD(s->from.hub->line[i].state)),
	    s->worker[i], workers_kept(s, i, w), s->worker[i], w->uptime_s);
	show_put(s,
	    ",\"delivered\":%" PRIu64 ",\"relayed\":%" PRIu64
	    ",\"writes\":\"%s\",\"keeper\":%d,\"keepers\":[%d,%d],"
	    "\"turn_max_us\":%" PRIu64 ",\"cursor\":%" PRIu64
	    ",\"behind\":%" PRIu64 "}",
	    SHM_LOAD(counts->delivered), SHM_LOAD(counts->relayed),
	    sends_by_name(SHM_LOAD(counts->sends_by)), workers_keeper(w),
	    w->keepers[0], w->keepers[1], SHM_LOAD(counts->turn_max_us), cursor,
	    behind);
}

/* A worker as a line of a table. */
static void
workers_put_line(struct show *s, int i, const struct show_worker *w)
{
	const struct shm_worker *counts = &s->from.hub->worker[i];
	uint64_t cursor, behind;
	char kept[32];

	workers_cursor(s, i, w, &cursor, &behind);
	snprintf(kept, sizeof(kept), "%u of %u", workers_kept(s, i, w),
	    s->worker[i]);
	show_put(s,
	    "%6d %8d %6" PRIu32 " %-8s %8" PRIu32 " %15s %9" PRIu64
	    " %12" PRIu64 " %12" PRIu64 " %-8s %12" PRIu64 " %10" PRIu64
	    " %s\n",
	    i, w->pid, w->generation,
	    worker_state_name(SHM_LOAD(s->from.hub->line[i].state)),
	    s->worker[i], kept, w->uptime_s, SHM_LOAD(counts->delivered),
	    SHM_LOAD(counts->relayed),
	    sends_by_name(SHM_LOAD(counts->sends_by)), cursor, behind, w->role);
}

/* A reader of the journal, by its line: it has no connections. */
static void
readers_put(struct show *s, int i, const struct show_worker *w)
{
	const char *state =
	    worker_state_name(SHM_LOAD(s->from.hub->line[i].state));
	uint64_t cursor, behind;

	workers_cursor(s, i, w, &cursor, &behind);
	show_comma(s);
	if (s->json)
		show_put(s,
		    "{\"slot\":%d,\"role\":\"%s\",\"pid\":%d,"
		    "\"generation\":%" PRIu32 ",\"state\":\"%s\","
		    "\"uptime_s\":%" PRIu64 ",\"cursor\":%" PRIu64
		    ",\"behind\":%" PRIu64 "}",
		    i, w->role, w->pid, w->generation, state, w->uptime_s,
		    cursor, behind);
	else
		show_put(s,
		    "%6d %8d %6" PRIu32 " %-8s %8s %15s %9" PRIu64
		    " %12s %12s %-8s %12" PRIu64 " %10" PRIu64 " %s\n",
		    i, w->pid, w->generation, state, "-", "-", w->uptime_s, "-",
		    "-", "-", cursor, behind, w->role);
}

/* The next one behind the workers. */
static bool
readers_next(struct show *s)
{
	struct show_worker w = {0};
	int line;

	do {
		line = SHM_WORKERS + (int)s->at++ - s->from.n_workers;
		if (line >= SHM_LINES)
			return false;
	} while (!s->from.reader(&s->from, line, &w));
	readers_put(s, line, &w);
	return true;
}

/* One worker, or reader of the journal. */
static bool
workers_next(struct show *s)
{
	const int i = (int)s->at;
	struct show_worker w = {0};

	if (i >= s->from.n_workers)
		return readers_next(s);
	s->at++;
	s->from.worker(&s->from, i, &w);
	show_comma(s);
	(s->json ? workers_put_json : workers_put_line)(s, i, &w);
	return true;
}

const struct show_subject show_workers = {.name = "workers",
    .begin = show_count,
    .next = workers_next,
    .head = workers_head,
    .open = "[",
    .close = "]\n"};
