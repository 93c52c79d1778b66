/* Counters of workers that are dead. */
#include "hub/stats.h"
#include "master/report.h"
#include "private.h"

void
report_bury(struct master *m, int worker)
{
	struct shm_worker *counts = &m->hub.worker[worker];
	struct shm_line *line = &m->hub.line[worker];

	for (int i = 0; i < STATS_COUNTERS; i++) {
		m->buried[i] += SHM_LOAD(*stats_counter(counts, i));
		SHM_STORE(*stats_counter(counts, i), 0);
	}
	SHM_STORE(line->pid, 0);
	SHM_STORE(line->tick, 0);
	SHM_STORE(line->lock_state, LOCK_NONE);
	SHM_STORE(line->hand, HAND_NOTHING);
	SHM_STORE(line->hand_arg, 0);
	SHM_STORE(counts->accepting, 0);
	SHM_STORE(counts->pending, 0);
	SHM_STORE(counts->connections, 0);
	SHM_TELL(counts->sends_by, SENDS_UNKNOWN);
	SHM_STORE(counts->turn_max_us, 0);
}
