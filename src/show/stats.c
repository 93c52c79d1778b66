/* The statistics: what `chatctl show stats` says. */
#include <inttypes.h>

#include "hub/charge.h"
#include "hub/journal.h"
#include "hub/presence.h"
#include "hub/stats.h"
#include "show/subject.h"

/* One line or member. */
static void
stats_put(struct show *s, const char *name, uint64_t value)
{
	if (s->json)
		show_put(
		    s, "%s\"%s\":%" PRIu64, s->some ? "," : "", name, value);
	else
		show_put(s, "%-22s %20" PRIu64 "\n", name, value);
	s->some = true;
}

/* Users that are online. */
static uint64_t
stats_users(const struct show *s)
{
	const struct hub *h = s->from.hub;
	struct presence_view v;
	uint64_t n = 0;

	for (uint32_t i = 1; i < s->n_users; i++)
		if ((presence_mask(h, i) & s->from.alive) != 0 &&
		    presence_read(h, i, &v) &&
		    presence_name_is_user(v.name, v.name_len))
			n++;
	return n;
}

/* How far back the journal reaches, seconds; 0 while it is empty. */
static uint64_t
stats_journal_age_s(const struct show *s)
{
	const struct hub *h = s->from.hub;
	struct publication p;

	if (journal_peek(h, journal_oldest(h), &p) != JOURNAL_OK)
		return 0;
	return show_age_s((uint64_t)s->from.wall_ms, (uint64_t)p.time_ms);
}

/* The longest turn of a worker that is there. */
static uint64_t
stats_turn_max_us(const struct show *s)
{
	uint64_t max = 0, us;

	for (int i = 0; i < s->from.n_workers; i++) {
		us = SHM_LOAD(s->from.hub->worker[i].turn_max_us);
		if (us > max)
			max = us;
	}
	return max;
}

/* What workers have counted, the dead ones too if their master is asked. */
static void
stats_put_counters(struct show *s)
{
	const struct show_master *m = s->from.master;
	uint64_t sum;

	for (int c = 0; c < STATS_COUNTERS; c++) {
		sum = m != NULL ? m->counters[c] : 0;
		for (int i = 0; i < s->from.n_workers; i++)
			sum += SHM_LOAD(
			    *stats_counter(&s->from.hub->worker[i], c));
		stats_put(s, stats_rows[c].name, sum);
	}
}

/* All statistics at once. */
static bool
stats_next(struct show *s)
{
	const struct show_master *m = s->from.master;
	const struct hub *h = s->from.hub;
	uint64_t connections = 0;

	if (s->some)
		return false;
	for (int i = 0; i < s->from.n_workers; i++)
		connections += s->worker[i];
	if (m != NULL)
		stats_put(
		    s, "uptime_s", show_age_s(s->from.now_ms, m->started_ms));
	stats_put(s, "workers", (uint64_t)s->from.n_workers);
	if (m != NULL) {
		stats_put(s, "respawns", m->respawns);
		stats_put(s, "renewals", m->renewals);
		stats_put(s, "certificate_not_after_s",
		    m->certificate_s > 0 ? (uint64_t)m->certificate_s : 0);
	}
	stats_put(s, "users", stats_users(s));
	stats_put(s, "users_limit", h->n_users);
	stats_put(s, "channels", charge_held(h, CHARGE_CHANNELS));
	stats_put(s, "channels_limit", h->n_channels);
	stats_put(s, "connections", connections);
	stats_put(s, "position", journal_tail(h));
	stats_put(s, "journal_age_s", stats_journal_age_s(s));
	stats_put_counters(s);
	stats_put(s, "turn_max_us", stats_turn_max_us(s));
	return true;
}

const struct show_subject show_stats = {.name = "stats",
    .begin = show_count,
    .next = stats_next,
    .open = "{",
    .close = "}\n"};
