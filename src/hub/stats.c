#include "hub/stats.h"

const struct stats_row stats_rows[STATS_COUNTERS] = {
#define COUNTER(field, metric, words) {#field, metric, words},
#include "hub/stats.def"
#undef COUNTER
};

_Atomic uint64_t *
stats_counter(struct shm_worker *line, enum stats_counter counter)
{
	static const size_t offset[STATS_COUNTERS] = {
#define COUNTER(field, metric, words) offsetof(struct shm_worker, field),
#include "hub/stats.def"
#undef COUNTER
	};

	return (_Atomic uint64_t *)(void *)((char *)line + offset[counter]);
}

uint32_t
stats_workers(const struct hub *h)
{
	uint32_t n = 0;

	for (int k = 0; k < SHM_WORKERS; k++)
		n += SHM_LOAD(h->line[k].state) != WORKER_STOPPED;
	return n;
}

uint64_t
stats_closing_ms(const struct hub *h)
{
	enum { EACH_US = 100 };
	uint64_t n = 0;
	uint32_t one;

	for (int k = 0; k < SHM_WORKERS; k++) {
		one = SHM_LOAD(h->worker[k].connections);
		n += one < h->n_slots ? one : h->n_slots;
	}
	return (n < h->n_slots ? n : h->n_slots) * EACH_US / 1000;
}

const char *
sends_by_name(uint32_t by)
{
	return by == SENDS_URING  ? "io_uring"
	    : by == SENDS_SENDMSG ? "sendmsg"
				  : "-";
}
