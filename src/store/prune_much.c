/* prune_much: what goes of a file that is too large. */
#include "event.h"
#include "prune.h"
#include "search.h"

enum {
	/* Events may be one part of so many of all
	 * rows: larger, a crowd that comes and goes leaves less of itself;
	 * smaller, it takes more of the room of messages. */
	MUCH_EVENTS = 4,
	/* Channels that one call looks at: as PRUNE_CHANNELS. */
	MUCH_CHANNELS = 256,
	/* A channel without rows, and a name that no token has proved, stay so
	 * long. Larger: strangers may make more of them; smaller: who was away
	 * for a moment begins anew. */
	MUCH_SILENT_MS = 3600 * 1000,
	/* Names that a token has proved go from so many times the age on at
	 * which others always do, down to that age. Larger: more steps;
	 * smaller: who was away for longest does not go first. */
	MUCH_PROVED = 64,
	/* One part of so many of all messages is deleted between two merges of
	 * the index. Larger: the index is written more often; smaller: more
	 * messages are deleted than need be. */
	MUCH_MERGED = 8,
	/* Messages that have less than one part of so many of what the file may
	 * have are kept. Larger: fewer are left where others fill the file;
	 * smaller: the file is larger than it may be. */
	MUCH_PART = 4,
	/* Of a row beside its texts. */
	MUCH_ROW_BYTES = 100
};

/* How many rows are too many for the size that the file may have, by what one
 * takes on the average; 0: none. */
static enum store_result
much_excess(struct pruning *p, uint64_t *rows)
{
	int64_t size = 0, pages = 0, unused = 0;
	struct store *s = p->s;
	enum store_result r;
	uint64_t used;

	*rows = 0;
	r = prune_number(s, database_statement(s, "PRAGMA page_size"), &size);
	if (r == STORE_OK)
		r = prune_number(
		    s, database_statement(s, "PRAGMA page_count"), &pages);
	if (r == STORE_OK)
		r = prune_number(
		    s, database_statement(s, "PRAGMA freelist_count"), &unused);
	used = (uint64_t)((pages - unused) * size);
	if (r != STORE_OK || used <= p->b->bytes)
		return r;
	*rows = (uint64_t)((double)(used - p->b->bytes) / (double)used *
		    (double)(s->rows + (uint64_t)s->rows_more)) +
	    1;
	return STORE_OK;
}

/* Deletes as many of the oldest rows of a table as are more than its part of
 * all rows. */
static enum store_result
much_beside(struct pruning *p, const char *count, const char *delete)
{
	const int64_t rows = (int64_t)p->s->rows + p->s->rows_more;
	int64_t n = 0;
	enum store_result r =
	    prune_number(p->s, database_statement(p->s, count), &n);

	n -= (rows + n) / MUCH_EVENTS;
	if (r != STORE_OK || n <= 0 || p->left == 0)
		return r;
	if (n > (int64_t)p->left)
		n = p->left;
	r = database_run(p->s, prune_statement(p->s, delete, n, 0), "pruning");
	if (r == STORE_OK)
		p->left -= (uint32_t)sqlite3_changes(p->s->db);
	return r;
}

/* Events and holes go before any message while they are more than their part.
 */
static enum store_result
much_events(struct pruning *p)
{
	static const char events[] =
	    "SELECT coalesce(max(id) - min(id) + 1, 0) FROM event";
	static const char no_events[] = "DELETE FROM event WHERE id IN"
					" (SELECT id FROM event ORDER BY id"
					" LIMIT ?1)";
	static const char holes[] =
	    "SELECT coalesce(max(id) - min(id) + 1, 0) FROM hole";
	static const char no_holes[] = "DELETE FROM hole WHERE id IN"
				       " (SELECT id FROM hole ORDER BY id"
				       " LIMIT ?1)";
	enum store_result r = much_beside(p, events, no_events);
	const uint32_t left = p->left;

	if (r == STORE_OK)
		r = much_beside(p, holes, no_holes);
	p->s->holes_more -= left - p->left;
	return r;
}

/* The next channels that no row is of; the last one: users are next. */
static enum store_result
much_channels(struct pruning *p)
{
	static const char sql[] = "SELECT id FROM channel WHERE id > ?1"
				  " ORDER BY id LIMIT ?2";
	struct prune_much *m = &p->s->much;
	sqlite3_stmt *stmt =
	    prune_statement(p->s, sql, m->channel, MUCH_CHANNELS);
	enum store_result r = STORE_OK;
	unsigned n = 0;

	while (p->left > 0 &&
	    (r = database_row(p->s, stmt, "pruning")) == STORE_OK) {
		m->channel = sqlite3_column_int64(stmt, 0);
		r = prune_channel_silent(p, m->channel, MUCH_SILENT_MS);
		if (r != STORE_OK)
			return r;
		n++;
	}
	if (r != STORE_OK && r != STORE_NONE)
		return r;
	if (stmt != NULL)
		sqlite3_reset(stmt);
	if (r == STORE_NONE && n < MUCH_CHANNELS) {
		m->channel = 0;
		m->step = MUCH_OF_USERS;
	}
	return STORE_OK;
}

/* Names that no token has proved, those first that were away for longest; where
 * messages take too little for less of them to help, the others behind them. */
static enum store_result
much_users(struct pruning *p)
{
	struct prune_much *m = &p->s->much;
	const bool proved = m->step == MUCH_OF_PROVED;
	const uint64_t least_ms = proved ? p->b->user_age_ms : MUCH_SILENT_MS;
	const uint64_t age_ms =
	    (proved ? MUCH_PROVED * p->b->user_age_ms : p->b->user_age_ms) >>
	    m->halved;
	enum store_result r = STORE_OK;
	uint32_t n = 0;

	if (age_ms != 0 && age_ms >= least_ms)
		r = user_prune(
		    p->s, proved, p->now_ms - (int64_t)age_ms, p->left, &n);
	p->left -= n;
	if (r != STORE_OK || n > 0)
		return r;
	m->halved++;
	if (age_ms == 0 || age_ms < least_ms) {
		m->halved = 0;
		m->step = !proved && m->proved == MUCH_ALSO ? MUCH_OF_PROVED
							    : MUCH_OF_INDEX;
		if (proved)
			m->proved = MUCH_DONE;
	}
	return STORE_OK;
}

/* The index grows by what is taken out of it, until it is merged. */
static enum store_result
much_index(struct pruning *p, uint64_t excess)
{
	struct prune_much *m = &p->s->much;
	const uint64_t rows = p->s->rows / MUCH_MERGED;
	enum store_result r;
	bool more;

	r = search_tidy(p->s, m->step == MUCH_OF_INDEX, &more);
	m->step = more ? MUCH_OF_PIECES : MUCH_OF_ROWS;
	m->left = excess > rows ? excess : rows;
	return r;
}

/* Whether messages take enough for less of them to help: twice what the oldest
 * and the newest have in them, or more. */
static enum store_result
much_is_theirs(struct pruning *p, bool *theirs)
{
#define MUCH_TEXTS                                                       \
	"SELECT length(CAST(data AS BLOB)) +"                            \
	" coalesce(length(CAST(info AS BLOB)), 0) +"                     \
	" coalesce(length(CAST(sub_info AS BLOB)), 0) +"                 \
	" coalesce(length(CAST(tags AS BLOB)), 0) AS n FROM publication" \
	" ORDER BY id "
	static const char sql[] =
	    "SELECT max(coalesce((SELECT avg(n) FROM (" MUCH_TEXTS
	    "LIMIT 100)), 0), coalesce((SELECT avg(n) FROM (" MUCH_TEXTS
	    "DESC LIMIT 100)), 0))";
	int64_t bytes = 0;
	const enum store_result r =
	    prune_number(p->s, database_statement(p->s, sql), &bytes);

	*theirs = 2 * (uint64_t)(bytes + MUCH_ROW_BYTES) * p->s->rows >=
	    p->b->bytes / MUCH_PART;
	return r;
}

/* The oldest, and what has happened before the oldest one that stays. */
static enum store_result
much_rows(struct pruning *p, uint64_t excess)
{
	static const char pubs[] =
	    "SELECT id, channel, format, data, 1 FROM publication"
	    " WHERE id NOT IN (SELECT publication FROM proposal) ORDER BY id";
	static const char events[] =
	    "DELETE FROM event WHERE id IN"
	    " (SELECT id FROM event ORDER BY id LIMIT ?2) AND time <="
	    " coalesce((SELECT time FROM publication ORDER BY id LIMIT 1), ?1)";
	static const char holes[] =
	    "DELETE FROM hole WHERE id IN"
	    " (SELECT id FROM hole ORDER BY id LIMIT ?2) AND time <="
	    " coalesce((SELECT time FROM publication ORDER BY id LIMIT 1), ?1)";
	struct prune_much *m = &p->s->much;
	const uint32_t left = p->left;
	const uint32_t most = excess < left ? (uint32_t)excess : left;
	enum store_result r;
	int64_t gone;

	p->left = most;
	r = prune_found(p, prune_statement(p->s, pubs, 0, 0));
	m->left -= m->left < most - p->left ? m->left : most - p->left;
	p->left += left - most;
	if (r == STORE_OK)
		r = database_run(p->s,
		    prune_statement(p->s, events, INT64_MAX, left), "pruning");
	gone = r == STORE_OK ? sqlite3_changes64(p->s->db) : 0;
	if (r == STORE_OK)
		r = database_run(p->s,
		    prune_statement(p->s, holes, INT64_MAX, left), "pruning");
	if (r == STORE_OK) {
		p->s->holes_more -= sqlite3_changes64(p->s->db);
		gone += sqlite3_changes64(p->s->db);
	}
	/* where nothing is left to delete it stays as large as it is */
	p->more |= r == STORE_OK && (p->left < left || gone > 0);
	if (m->left == 0 || !p->more)
		m->step = MUCH_OF_CHANNELS;
	return r;
}

enum store_result
prune_much(struct pruning *p)
{
	struct prune_much *m = &p->s->much;
	enum store_result r = STORE_OK;
	uint64_t excess = 0;
	bool theirs;

	if (p->b->bytes != 0 && !m->over)
		r = much_excess(p, &excess);
	if (r != STORE_OK || excess == 0)
		return r;
	if ((r = much_events(p)) != STORE_OK || p->left == 0) {
		p->more = true;
		return r;
	}
	if (m->step == MUCH_OF_ROWS) {
		r = much_is_theirs(p, &theirs);
		if (r == STORE_OK && theirs)
			return much_rows(p, excess);
		m->step = MUCH_OF_CHANNELS;
		m->over = m->proved == MUCH_DONE;
		m->proved = m->over ? MUCH_NOT : MUCH_ALSO;
		p->more |= !m->over;
		return r;
	}
	p->more = true;
	if (m->step == MUCH_OF_CHANNELS)
		return much_channels(p);
	return m->step == MUCH_OF_USERS || m->step == MUCH_OF_PROVED
	    ? much_users(p)
	    : much_index(p, excess);
}
