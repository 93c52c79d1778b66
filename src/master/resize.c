/* Another number of workers, and connections that are spread evenly. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hub/stats.h"
#include "master/balance.h"
#include "conversion.h"
#include "member.h"
#include "move.h"
#include "private.h"
#include "renew.h"
#include "resize.h"
#include "spawn.h"

/* Connections that were told to move must have arrived before a worker leaves:
 * they could be on their way to it. */
enum {
	ARRIVE_MS = 1000,
	REBALANCE_AFTER_MS = 60000 /* of unevenness */
};

/* The workers that can give and take connections, and how many they have. */
static uint64_t
counts(const struct master *m, uint32_t count[CONF_WORKERS_MAX])
{
	uint64_t mask = 0;

	memset(count, 0, sizeof(*count) * CONF_WORKERS_MAX);
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].child.ready && !m->member[i].child.killed &&
		    m->member[i].retire_ms == 0) {
			mask |= 1ull << i;
			count[i] = SHM_LOAD(m->hub.worker[i].connections);
		}
	return mask;
}

/* The places that stay. */
static uint64_t
staying(const struct master *m)
{
	return m->wanted >= CONF_WORKERS_MAX ? ~0ull : (1ull << m->wanted) - 1;
}

/* Has connections moved as planned. Returns how many, or -1 and errno. */
static int
moves_make(struct master *m, const struct balance_move *move, int n)
{
	int moved = 0;

	if (n > 0)
		m->moved_ms = master_clock_ms(m);
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
	uint64_t stay = mask & staying(m);

	return moves_make(m, move, balance_plan(count, mask, stay, true, move));
}

/* Each drains its share of the rate. */
static void
drain_share(struct master *m)
{
	if (m->drain_rate != 0)
		for (int i = 0; i < m->n_workers; i++)
			owed_add(&m->member[i].child, OWED_DRAIN);
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
		if (conversion_holds(m)) /* it would use the old memory */
			m->member[i].child.respawn_ms = master_clock_ms(m);
		else if (m->phase == PHASE_RUNNING)
			spawn_worker(&m->member[i]);
	}
	drain_share(m);
	master_check(m);
}

/* A worker that was told to leave is wanted again: another one follows. */
static void
stay(struct member *w)
{
	if (w->course == COURSE_STAYS)
		return;
	w->course = COURSE_STAYS;
	if (!member_is_there(w))
		w->child.respawn_ms = master_clock_ms(w->master);
	else if (w->retire_ms == 0 && w->renew_wait == NULL)
		w->renew_ms = 0;
}

int
resize_taker(const struct member *leaving)
{
	const struct master *m = leaving->master;
	const struct member *w;
	uint32_t n, least = UINT32_MAX;
	uint64_t busy = leaving->full;
	int taker = -1;

	/* each takes up one at a time */
	for (int i = 0; i < m->n_workers; i++)
		if (m->member[i].cleaner != -1)
			busy |= 1ull << m->member[i].cleaner;
	for (int i = 0; i < m->wanted && i < m->n_workers; i++) {
		w = &m->member[i];
		n = SHM_LOAD(m->hub.worker[i].connections);
		if (w->child.ready && !w->child.killed && w->retire_ms == 0 &&
		    w->child.eof_ms == 0 && (busy >> i & 1) == 0 && n < least &&
		    watchdog_is_lively(&m->watchdog, i)) {
			least = n;
			taker = i;
		}
	}
	return taker;
}

/* Sums a figure of the workers from `from` on, below `to`. */
static uint64_t
sum(const struct master *m, int from, int to, bool room)
{
	const struct shm_worker *line;
	uint64_t n = 0;

	for (int i = from; i < to && i < m->n_workers; i++) {
		line = &m->hub.worker[i];
		n += room ? SHM_LOAD(line->room) : SHM_LOAD(line->connections);
	}
	return n;
}

bool
resize_fits(const struct master *m, int workers, char *error, size_t error_len)
{
	uint64_t leave = sum(m, workers, m->n_workers, false);
	uint64_t room = sum(m, 0, workers, true);

	if (leave <= room)
		return true;
	snprintf(error, error_len,
	    "workers %d: so many have room for %" PRIu64 " more connections, "
	    "and %" PRIu64 " are on the workers that would leave; keep more "
	    "workers, or raise the limit of open files\n",
	    workers, room, leave);
	return false;
}

void
resize_refused(struct member *w)
{
	struct master *m = w->master;

	for (int i = 0; i < m->wanted && i < m->n_workers; i++)
		if (m->member[i].child.ready && (w->full >> i & 1) == 0)
			return; /* that one has not been asked yet */
	log_error("%d workers stay: the others have no room for the "
		  "connections of worker %d",
	    m->n_workers, w->place);
	m->wanted = m->conf->workers = m->n_workers;
	stay(w);
}

/* Has the last worker retire, if another can take its connections. */
static void
retire_last(struct member *w, uint64_t now)
{
	struct master *m = w->master;

	if ((member_is_there(w) && !w->child.ready) || resize_taker(w) == -1 ||
	    now < m->moved_ms + ARRIVE_MS)
		return;
	if (w->child.pid != 0 && family_problem(&w->family) != NULL)
		return;
	w->course = COURSE_LEAVES;
	SHM_STORE(m->hub.line[w->place].state, WORKER_STOPPING);
	if (w->child.pid == 0)
		resize_gone(w);
	else
		renew_worker(w, NULL);
}

void
resize_gone(struct member *w)
{
	SHM_STORE(w->master->hub.line[w->place].state, WORKER_STOPPING);
	w->course = COURSE_GONE;
	w->child.respawn_ms = 0;
	w->renew_ms = 0;
	if (w->renew_wait != NULL)
		renew_refuse(w, "fewer workers are wanted, and it has left");
}

/* Nothing of the last place is left: its family goes, too. */
static void
drop_last(struct member *w)
{
	struct master *m = w->master;

	if (w->mover.pid != 0)
		return; /* in a moment */
	giver_end_all(w);
	family_leave(&w->family);
	SHM_STORE(m->hub.line[w->place].state, WORKER_STOPPED);
	w->course = COURSE_STAYS;
	m->n_workers--;
	drain_share(m);
	if (m->n_workers > m->wanted)
		return;
	log_info("%d workers are left", m->n_workers);
	if (m->drain_rate == 0)
		rebalance(m);
}

void
resize_time(struct master *m, uint64_t now)
{
	struct member *w = &m->member[m->n_workers - 1];

	if (m->phase != PHASE_RUNNING || m->n_workers <= m->wanted ||
	    m->upgrade != NULL || m->renewing)
		return;
	if (w->course == COURSE_STAYS)
		retire_last(w, now);
	else if (w->course == COURSE_GONE && !w->unclean)
		drop_last(w);
}

void
rebalance_time(struct master *m, uint64_t now)
{
	uint32_t count[CONF_WORKERS_MAX];
	uint64_t mask = counts(m, count);
	int n;

	if (m->phase != PHASE_RUNNING || m->drain_rate != 0 ||
	    m->wanted < m->n_workers || !balance_is_skewed(count, mask)) {
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
	if (workers == m->wanted)
		return;
	m->wanted = workers;
	for (int i = 0; i < m->n_workers && i < workers; i++)
		stay(&m->member[i]);
	if (workers > m->n_workers)
		grow(m, workers);
	else if (workers < m->n_workers)
		log_info("%d workers instead of %d: the others leave", workers,
		    m->n_workers);
	m->conf->workers = workers;
}
