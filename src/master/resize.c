/* Another number of workers, and connections that are spread evenly. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hub/stats.h"
#include "master/balance.h"
#include "process.h"

/* The workers that can give and take connections, and how many they have. */
static uint64_t
counts(const struct master *m, uint32_t count[CONF_WORKERS_MAX])
{
	uint64_t mask = 0;

	memset(count, 0, sizeof(*count) * CONF_WORKERS_MAX);
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].ready && !m->member[i].killed &&
		    m->member[i].retire_ms == 0) {
			mask |= 1ull << i;
			count[i] = SHM_LOAD(m->hub.worker[i].connections);
		}
	return mask;
}

/* Has connections moved as planned. Returns how many, or -1 and errno. */
static int
moves_make(struct master *m, const struct balance_move *move, int n)
{
	int moved = 0;

	for (int i = 0; i < n; i++) {
		if (move_connections(&m->member[move[i].from],
			&m->member[move[i].to], move[i].n) == -1)
			return moved > 0 ? moved : -1;
		moved += (int)move[i].n;
	}
	return moved;
}

int
rebalance(struct master *m)
{
	uint32_t count[CONF_WORKERS_MAX];
	struct balance_move move[BALANCE_MOVES_MAX];
	uint64_t mask = counts(m, count);

	return moves_make(m, move, balance_plan(count, mask, mask, true, move));
}

/* More workers: they are linked when they say HELLO. */
static void
grow(struct master *m, int workers)
{
	int i = m->n_workers;

	log_info("%d workers instead of %d", workers, i);
	m->n_workers = workers;
	for (; i < workers; i++) {
		member_init(&m->member[i], m, i);
		if (m->phase == PHASE_RUNNING)
			spawn_worker(&m->member[i]);
	}
	if (m->drain_rate != 0)
		for (i = 0; i < workers; i++)
			member_owe(&m->member[i], OWED_DRAIN);
	master_check(m);
}

void
rebalance_time(struct master *m, uint64_t now)
{
	uint32_t count[CONF_WORKERS_MAX];
	uint64_t mask = counts(m, count);
	int n;

	if (m->phase != PHASE_RUNNING || m->drain_rate != 0 ||
	    !balance_is_skewed(count, mask)) {
		m->skewed_ms = 0;
		return;
	}
	if (m->skewed_ms == 0)
		m->skewed_ms = now;
	if (now - m->skewed_ms < REBALANCE_AFTER_MS)
		return;
	m->skewed_ms = 0;
	n = rebalance(m);
	log_info("connections were unevenly spread: %d move", n);
}

void
resize(struct master *m, int workers)
{
	if (m->phase > PHASE_RUNNING)
		return;
	if (workers > m->n_workers)
		grow(m, workers);
	else if (workers < m->n_workers)
		log_warn("%d workers instead of %d needs a restart", workers,
		    m->n_workers);
	else
		return;
	m->conf->workers = m->n_workers;
}
