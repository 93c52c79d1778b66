/* prune_row: rows that are found are deleted. */
#include "prune.h"
#include "search.h"

enum {
	/* Rows that one statement passes over. Larger: a call takes longer;
	 * smaller: after a clock that was ahead for a while nothing is deleted
	 * until it is then. */
	PRUNE_PASSED = 10000,
	/* Bytes of texts that a call deletes, which are overwritten one by one.
	 * Larger: a commit that a client waits for comes later; smaller: more
	 * commits where messages are long. */
	PRUNE_BYTES = 2 * 1024 * 1024
};

/* What is done with a row that was found: its fifth column. */
enum { PRUNE_STOP, PRUNE_DELETE, PRUNE_PASS };

bool
prune_is_done(const struct pruning *p)
{
	return p->left == 0 || p->bytes >= PRUNE_BYTES;
}

sqlite3_stmt *
prune_statement(struct store *s, const char *sql, int64_t a, int64_t b)
{
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, a);
		if (sqlite3_bind_parameter_count(stmt) > 1)
			sqlite3_bind_int64(stmt, 2, b);
	}
	return stmt;
}

enum store_result
prune_number(struct store *s, sqlite3_stmt *stmt, int64_t *out)
{
	return database_number(s, stmt, "pruning", out);
}

/* Deletes the publication that a statement has found: id, channel, format,
 * data. */
static enum store_result
prune_row(struct pruning *p, sqlite3_stmt *found)
{
	static const char sql[] = "DELETE FROM publication WHERE id = ?1";
	const int64_t id = sqlite3_column_int64(found, 0);
	struct publication pub = {
	    .format = (uint8_t)sqlite3_column_int(found, 2)};
	enum store_result r;
	size_t len;

	pub.data = column_text(found, 3, &len);
	pub.data_len = (uint32_t)len;
	r = search_remove(p->s, id, sqlite3_column_int64(found, 1), &pub);
	if (r == STORE_OK)
		r = database_run(
		    p->s, prune_statement(p->s, sql, id, 0), "pruning");
	p->s->rows_more -= r == STORE_OK;
	p->left -= r == STORE_OK;
	p->bytes += len;
	return r;
}

enum store_result
prune_found(struct pruning *p, sqlite3_stmt *stmt)
{
	enum store_result r = STORE_OK;
	unsigned passed = 0;
	int what;

	while (!prune_is_done(p) && passed < PRUNE_PASSED &&
	    (r = database_row(p->s, stmt, "pruning")) == STORE_OK) {
		what = sqlite3_column_int(stmt, 4);
		if (what == PRUNE_STOP)
			break;
		passed += what == PRUNE_PASS;
		if (what == PRUNE_DELETE &&
		    (r = prune_row(p, stmt)) != STORE_OK)
			return r;
	}
	if (r != STORE_OK && r != STORE_NONE)
		return r;
	if (stmt != NULL)
		sqlite3_reset(stmt);
	p->more |= prune_is_done(p);
	return STORE_OK;
}

enum store_result
prune_channel_silent(struct pruning *p, int64_t channel, uint64_t age_ms)
{
	static const char sql[] =
	    "DELETE FROM channel AS c WHERE id = ?1 AND seen < ?2"
	    " AND id < (SELECT max(id) FROM channel)"
	    " AND NOT EXISTS (SELECT 1 FROM publication WHERE channel = c.id)"
	    " AND NOT EXISTS (SELECT 1 FROM event WHERE channel = c.id)"
	    " AND NOT EXISTS (SELECT 1 FROM hole WHERE channel = c.id)"
	    " AND NOT EXISTS"
	    " (SELECT 1 FROM user WHERE c.name = '#' || user.name"
	    " AND user.name = substr(c.name, 2))";
	const int64_t oldest = p->now_ms - (int64_t)age_ms;
	enum store_result r;

	r = database_run(
	    p->s, prune_statement(p->s, sql, channel, oldest), "pruning");
	if (r == STORE_OK && sqlite3_changes(p->s->db) != 0) {
		p->left--;
		if (p->b->forget != NULL)
			p->b->forget(p->b->arg);
	}
	return r;
}
