/* The statistics: what `chatctl show stats` says. */
#include <event2/buffer.h>
#include <inttypes.h>

#include "base/clock.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "master/report.h"
#include "private.h"
#include "report_part.h"

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

/* One line or member of the statistics. */
static void
stats_put(
    struct report *r, struct evbuffer *out, const char *name, uint64_t value)
{
	if (r->json)
		report_put(r, out, "%s\"%s\":%" PRIu64, r->some ? "," : "",
		    name, value);
	else
		report_put(r, out, "%-22s %20" PRIu64 "\n", name, value);
	r->some = true;
}

/* Users that are online. */
static uint64_t
users_count(const struct report *r)
{
	const struct hub *h = &r->master->hub;
	struct presence_view v;
	uint64_t n = 0;

	for (uint32_t i = 1; i < presence_users_end(h); i++)
		if ((presence_mask(h, i) & r->alive) != 0 &&
		    presence_read(h, i, &v) &&
		    presence_name_is_user(v.name, v.name_len))
			n++;
	return n;
}

/* How far back the journal reaches, seconds; 0 while it is empty. */
static uint64_t
journal_age_s(const struct hub *h)
{
	struct publication p;
	int64_t age;

	if (journal_peek(h, journal_oldest(h), &p) != JOURNAL_OK)
		return 0;
	age = (clock_wall_ms() - p.time_ms) / 1000;
	return age > 0 ? (uint64_t)age : 0;
}

/* The longest turn of a worker that is there. */
static uint64_t
turn_max_us(const struct master *m)
{
	uint64_t max = 0, us;

	for (int i = 0; i < m->n_workers; i++) {
		us = SHM_LOAD(m->hub.worker[i].turn_max_us);
		if (us > max)
			max = us;
	}
	return max;
}

/* All statistics at once. */
static bool
stats_next(struct report *r, struct evbuffer *out)
{
	const struct master *m = r->master;
	uint64_t connections = 0, sum;

	if (r->some)
		return false;
	for (int i = 0; i < m->n_workers; i++)
		connections += r->worker[i];
	stats_put(r, out, "uptime_s", (clock_ms() - m->started_ms) / 1000);
	stats_put(r, out, "workers", (uint64_t)m->n_workers);
	stats_put(r, out, "respawns", m->respawns);
	stats_put(r, out, "renewals", m->renewals);
	stats_put(r, out, "users", users_count(r));
	stats_put(r, out, "users_limit", m->hub.n_users);
	stats_put(r, out, "channels", charge_held(&m->hub, CHARGE_CHANNELS));
	stats_put(r, out, "channels_limit", m->hub.n_channels);
	stats_put(r, out, "connections", connections);
	stats_put(r, out, "position", journal_tail(&m->hub));
	stats_put(r, out, "journal_age_s", journal_age_s(&m->hub));
	for (int c = 0; c < STATS_COUNTERS; c++) {
		sum = m->buried[c];
		for (int i = 0; i < m->n_workers; i++)
			sum += SHM_LOAD(*stats_counter(&m->hub.worker[i], c));
		stats_put(r, out, stats_rows[c].name, sum);
	}
	stats_put(r, out, "turn_max_us", turn_max_us(m));
	return true;
}

const struct subject report_stats = {.name = "stats",
    .begin = report_count,
    .next = stats_next,
    .open = "{",
    .close = "}\n"};
