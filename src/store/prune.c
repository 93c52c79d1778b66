/* prune: what is too old, or too much, is deleted. */
#include <stdio.h>

#include "database.h"
#include "event.h"
#include "find.h"
#include "prune.h"
#include "search.h"

enum {
	/* Channels that one call looks at. Larger: it takes longer where there
	 * is nothing to delete; smaller: a round takes more calls. */
	PRUNE_CHANNELS = 64,
	/* Free pages that stay in the file, for what comes next; and how many
	 * more of them are given back at once, which moves as many. Larger: the
	 * file is larger than it needs to be, a call takes longer; smaller:
	 * pages are given back and taken again, one after another. */
	PRUNE_KEPT_PAGES = 1024,
	PRUNE_PAGES = 256,
	/* And one page at most for so many bytes of what the file may have. */
	PRUNE_KEPT_BYTES = 16 * 4096
};

/* What is older than all may be. A row that is newer ends it; one from the
 * future, as the clock went back, stays and is passed over. */
static enum store_result
prune_old(struct pruning *p)
{
	static const char pubs[] =
	    "SELECT id, channel, format, data, (time < ?1) + 2 * (time > ?2)"
	    " FROM publication WHERE id NOT IN"
	    " (SELECT publication FROM proposal) ORDER BY id";
	static const char events[] =
	    "DELETE FROM event WHERE id IN"
	    " (SELECT id FROM event ORDER BY id LIMIT ?2) AND time < ?1";
	static const char holes[] =
	    "DELETE FROM hole WHERE id IN"
	    " (SELECT id FROM hole ORDER BY id LIMIT ?2) AND time < ?1";
	const int64_t oldest = p->now_ms - (int64_t)p->b->age_ms;
	enum store_result r;

	if (p->b->age_ms == 0 || p->b->age_ms > (uint64_t)p->now_ms)
		return STORE_OK;
	r = database_run(
	    p->s, prune_statement(p->s, events, oldest, p->left), "pruning");
	p->more |=
	    r == STORE_OK && sqlite3_changes64(p->s->db) == (int64_t)p->left;
	if (r == STORE_OK)
		r = database_run(p->s,
		    prune_statement(p->s, holes, oldest, p->left), "pruning");
	if (r == STORE_OK)
		p->s->holes_more -= sqlite3_changes64(p->s->db);
	return r != STORE_OK
	    ? r
	    : prune_found(p, prune_statement(p->s, pubs, oldest, p->now_ms));
}

/* Finds the newest of a channel's messages that are more than it may have; its
 * top is `newest`. Where offsets leapt they do not tell how many there are, and
 * counting takes as long as there are many: not until so many more can be
 * there.
 */
static enum store_result
prune_channel_count(struct pruning *p, int64_t channel, uint32_t rows,
    int64_t newest, uint64_t *last)
{
	static const char sql[] =
	    "SELECT count(*) - (SELECT count(*) FROM publication"
	    " WHERE channel = ?1 AND format = 29)"
	    " FROM publication WHERE channel = ?1";
	struct prune_known *k = &p->s->known[(uint64_t)channel % STORE_KNOWN];
	enum store_result r;
	int64_t n = 0;

	if (k->channel == channel && k->rows == rows && newest < k->until)
		return STORE_NONE;
	r = find_behind(p->s, channel, rows, last);
	if (r != STORE_NONE)
		return r;
	r = prune_number(p->s, prune_statement(p->s, sql, channel, 0), &n);
	if (r != STORE_OK)
		return r;
	*k = (struct prune_known){channel, newest + rows + 1 - n, rows};
	return STORE_NONE;
}

/* A channel has more than so many messages: the oldest. */
static enum store_result
prune_channel_rows(struct pruning *p, int64_t channel, uint32_t rows)
{
	static const char first[] = "SELECT offset FROM publication"
				    " WHERE channel = ?1 ORDER BY offset"
				    " LIMIT 1";
	static const char pubs[] =
	    "SELECT id, channel, format, data, offset <= ?2 FROM publication"
	    " WHERE channel = ?1 ORDER BY offset";
	static const char top[] = "SELECT top FROM channel WHERE id = ?1";
	int64_t oldest = 0, newest = 0;
	uint64_t last = 0;
	enum store_result r;

	r = prune_number(
	    p->s, prune_statement(p->s, first, channel, 0), &oldest);
	if (r == STORE_OK)
		r = prune_number(
		    p->s, prune_statement(p->s, top, channel, 0), &newest);
	/* offsets grow, so there are not more */
	if (r != STORE_OK || newest - oldest < (int64_t)rows)
		return r == STORE_NONE ? STORE_OK : r;
	r = prune_channel_count(p, channel, rows, newest, &last);
	if (r != STORE_OK)
		return r == STORE_NONE ? STORE_OK : r;
	return prune_found(
	    p, prune_statement(p->s, pubs, channel, (int64_t)last));
}

/* A channel's that are older than its own may be. */
static enum store_result
prune_channel_old(struct pruning *p, int64_t channel, uint64_t age_ms)
{
	static const char pubs[] =
	    "SELECT id, channel, format, data, time < ?2 FROM publication"
	    " WHERE channel = ?1 ORDER BY offset";

	return prune_found(p,
	    prune_statement(p->s, pubs, channel, p->now_ms - (int64_t)age_ms));
}

/* Looks at the channel that a statement has found. */
static enum store_result
prune_channel(struct pruning *p, sqlite3_stmt *found)
{
	const int64_t channel = sqlite3_column_int64(found, 0);
	enum store_result r = STORE_OK;
	uint32_t rows = 0;
	uint64_t age_ms = 0;
	const char *name;
	size_t len;

	/* no rule is that of a channel whose name is lost: of what was saved of
	 * it the age and size of all alone delete something */
	name = column_text(found, 1, &len);
	if (p->b->channel != NULL && len > 0)
		p->b->channel(p->b->arg, name, len, &rows, &age_ms);
	if (rows != 0)
		r = prune_channel_rows(p, channel, rows);
	if (r == STORE_OK && age_ms != 0 && age_ms < (uint64_t)p->now_ms)
		r = prune_channel_old(p, channel, age_ms);
	if (r == STORE_OK && p->left > 0 && p->b->channel_age_ms != 0)
		r = prune_channel_silent(p, channel, p->b->channel_age_ms);
	return r;
}

/* The next channels in turn. */
static enum store_result
prune_channels(struct pruning *p)
{
	static const char sql[] = "SELECT id, name FROM channel WHERE id > ?1"
				  " ORDER BY id LIMIT ?2";
	sqlite3_stmt *stmt =
	    prune_statement(p->s, sql, p->s->pruned, PRUNE_CHANNELS);
	enum store_result r = STORE_OK;
	int64_t at = p->s->pruned;
	unsigned n = 0;

	while (!prune_is_done(p) &&
	    (r = database_row(p->s, stmt, "pruning")) == STORE_OK) {
		if ((r = prune_channel(p, stmt)) != STORE_OK)
			return r;
		/* where that was not all it goes on */
		if (!prune_is_done(p))
			at = sqlite3_column_int64(stmt, 0);
		n++;
	}
	if (r != STORE_OK && r != STORE_NONE)
		return r;
	if (stmt != NULL)
		sqlite3_reset(stmt);
	p->more |= prune_is_done(p) || n == PRUNE_CHANNELS;
	p->s->pruned = !prune_is_done(p) && n < PRUNE_CHANNELS ? 0 : at;
	return STORE_OK;
}

/* Names that no token has proved, once a round of all channels. */
static enum store_result
prune_users(struct pruning *p)
{
	const int64_t oldest = p->now_ms - (int64_t)p->b->user_age_ms;
	enum store_result r;
	uint32_t n = 0;

	if (p->b->user_age_ms == 0 || p->s->pruned != 0)
		return STORE_OK;
	r = user_prune(p->s, false, oldest, p->left, &n);
	p->more |= r == STORE_OK && n == p->left;
	return r;
}

/* Takes an index away that was left. */
static enum store_result
prune_shed(struct pruning *p)
{
	uint32_t n;
	const enum store_result r = search_shed(p->s, &n);

	if (r == STORE_OK && n > 0) {
		p->left -= n < p->left ? n : p->left;
		p->more = true;
	}
	return r;
}

/* Takes in what was there before the index. */
static enum store_result
prune_fill(struct pruning *p)
{
	uint32_t n;
	const enum store_result r = search_fill(p->s, p->left, &n);

	if (r == STORE_OK && n > 0) {
		p->left -= n;
		p->more = true;
	}
	return r;
}

/* Gives free pages back, beside those that stay. */
static enum store_result
prune_pages(struct pruning *p)
{
	const int64_t most = (int64_t)(p->b->bytes / PRUNE_KEPT_BYTES);
	const int64_t kept = p->b->bytes != 0 && most < PRUNE_KEPT_PAGES
	    ? most
	    : PRUNE_KEPT_PAGES;
	int64_t unused = 0;
	enum store_result r;
	char sql[64];

	r = prune_number(
	    p->s, database_statement(p->s, "PRAGMA freelist_count"), &unused);
	/* others would fill the disk, and the file could not grow again */
	if (r != STORE_OK || unused <= kept || place_is_tight(p->s->path))
		return r;
	unused -= kept;
	p->more |= unused > PRUNE_PAGES;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)",
	    (int)(unused < PRUNE_PAGES ? unused : PRUNE_PAGES));
	return database_exec(p->s, sql, "giving pages back");
}

/* All that there is to do, and the mark's number of rows, which the next commit
 * writes as well. */
static enum store_result
prune_all(struct pruning *p)
{
	static enum store_result (*const each[])(struct pruning *) = {prune_old,
	    prune_much, prune_channels, prune_users, prune_shed, prune_fill,
	    prune_pages};
	static const char sql[] = "UPDATE mark SET rows = rows + ?1";
	enum store_result r = search_begin(p->s);

	for (size_t k = 0; r == STORE_OK && k < sizeof(each) / sizeof(each[0]);
	     k++)
		if (!prune_is_done(p) || each[k] == prune_pages)
			r = each[k](p);
	if (r == STORE_OK && p->s->rows_more != 0)
		r = database_run(p->s,
		    prune_statement(p->s, sql, p->s->rows_more, 0), "pruning");
	return r;
}

enum store_result
store_prune(struct store *s, const struct store_bounds *b, int64_t now_ms,
    uint32_t rows, bool *more)
{
	struct pruning p = {.s = s, .b = b, .now_ms = now_ms, .left = rows};
	const int64_t pruned = s->pruned;
	enum store_result r;

	*more = true;
	if (s->begun) /* not now: what is taken is to be committed first */
		return STORE_OK;
	if ((r = database_begin(s, false)) == STORE_OK &&
	    (r = prune_all(&p)) == STORE_OK &&
	    (r = database_commit(s)) == STORE_OK) {
		*more = p.more;
		if (!p.more)
			s->much.over = false;
		return search_begin(s);
	}
	s->pruned = pruned;
	return r;
}
