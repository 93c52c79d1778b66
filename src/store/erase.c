/* erase: what a user published is no more than that it was there. */
#include <string.h>

#include "database.h"
#include "search.h"

enum {
	/* Ids that one piece looks through, of which few may be the user's.
	 * Larger: a piece takes longer; smaller: there are more of them. */
	ERASE_SPAN = 16384,
	/* Bytes of texts that one piece erases, which are overwritten. Larger:
	 * a commit that a client waits for comes later; smaller: more of them.
	 */
	ERASE_BYTES = 2 * 1024 * 1024
};

/* The steps, in their order. */
enum erase_step {
	ERASE_BEGINS,
	ERASE_ROWS,
	ERASE_EVENTS,
	ERASE_USER,
	ERASE_INDEX,  /* is written anew: the first piece, */
	ERASE_PIECES, /* and those behind it */
	ERASE_LOG,
	ERASE_DONE
};

/* Binds a span of ids, the user and a limit. */
static sqlite3_stmt *
erase_statement(
    struct store *s, const char *sql, const struct store_erasure *e, uint32_t n)
{
	sqlite3_stmt *stmt = database_statement(s, sql);
	const int64_t to = e->at + ERASE_SPAN;

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, e->at);
		sqlite3_bind_int64(stmt, 2, to < e->last ? to : e->last);
		bind_text(stmt, 3, e->user, e->len);
		sqlite3_bind_int64(stmt, 4, n);
	}
	return stmt;
}

/* The next step begins, at the table's start. */
static void
erase_next(struct store_erasure *e)
{
	e->step++;
	e->at = 0;
}

/* A span is done, or as many of it as one piece may be. */
static void
erase_span(struct store_erasure *e, uint32_t n, uint32_t rows, int64_t last)
{
	e->at = n == rows ? last : e->at + ERASE_SPAN;
	if (e->at >= e->last)
		erase_next(e);
}

/* Up to where rows are the user's from before now. */
static enum store_result
erase_begin(struct store *s, struct store_erasure *e)
{
	static const char sql[] =
	    "SELECT max(coalesce((SELECT max(id) FROM publication), 0),"
	    " coalesce((SELECT max(id) FROM event), 0))";
	const enum store_result r =
	    database_number(s, database_statement(s, sql), "erasing", &e->last);

	if (r == STORE_OK)
		erase_next(e);
	return r;
}

/* Erases the publication that a statement has found; *bytes: of its text. */
static enum store_result
erase_row(struct store *s, sqlite3_stmt *found, size_t *bytes)
{
	static const char sql[] =
	    "UPDATE publication SET sender = NULL, user = NULL, data = NULL,"
	    " info = NULL, sub_info = NULL, tags = NULL, format = ?2,"
	    " erased = 1"
	    " WHERE id = ?1";
	const int64_t id = sqlite3_column_int64(found, 0);
	struct publication p = {
	    .format = (uint8_t)sqlite3_column_int(found, 2)};
	enum store_result r;
	sqlite3_stmt *stmt;
	size_t len;

	p.data = column_text(found, 3, &len);
	p.data_len = (uint32_t)len;
	*bytes += len;
	r = search_remove(s, id, sqlite3_column_int64(found, 1), &p);
	if (r != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		sqlite3_bind_int64(stmt, 1, id);
		sqlite3_bind_int(stmt, 2, FORMAT_ERASED);
	}
	return database_run(s, stmt, "erasing");
}

/* A span of publications. */
static enum store_result
erase_rows(struct store *s, struct store_erasure *e, uint32_t rows)
{
	static const char sql[] =
	    "SELECT id, channel, format, data FROM publication"
	    " WHERE id > ?1 AND id <= ?2 AND user = ?3 ORDER BY id LIMIT ?4";
	sqlite3_stmt *stmt = erase_statement(s, sql, e, rows);
	enum store_result r;
	int64_t last = 0;
	uint32_t n = 0;
	size_t bytes = 0;

	while (bytes < ERASE_BYTES &&
	    (r = database_row(s, stmt, "erasing")) == STORE_OK) {
		last = sqlite3_column_int64(stmt, 0);
		if ((r = erase_row(s, stmt, &bytes)) != STORE_OK)
			return r;
		n++;
	}
	if (r != STORE_NONE && r != STORE_OK)
		return r;
	sqlite3_reset(stmt);
	e->rows += n;
	erase_span(e, n, bytes < ERASE_BYTES ? rows : n, last);
	return STORE_OK;
}

/* A span of events. */
static enum store_result
erase_events(struct store *s, struct store_erasure *e)
{
	static const char sql[] = "DELETE FROM event WHERE id > ?1 AND"
				  " id <= ?2 AND user = ?3 AND ?4 > 0";
	const enum store_result r =
	    database_run(s, erase_statement(s, sql, e, 1), "erasing");

	if (r != STORE_OK)
		return r;
	e->events += (uint64_t)sqlite3_changes64(s->db);
	erase_span(e, 0, 1, 0);
	return STORE_OK;
}

/* The user's row. */
static enum store_result
erase_user(struct store *s, struct store_erasure *e)
{
	static const char sql[] =
	    "DELETE FROM user WHERE name = ?3 AND ?1 + ?2 + ?4 IS NOT NULL";
	const enum store_result r =
	    database_run(s, erase_statement(s, sql, e, 1), "erasing");

	if (r == STORE_OK)
		erase_next(e);
	return r;
}

/* A piece of the index. */
static enum store_result
erase_index(struct store *s, struct store_erasure *e)
{
	bool more = false;
	const enum store_result r =
	    search_tidy(s, e->step == ERASE_INDEX, &more);

	if (r == STORE_OK)
		e->step = more ? ERASE_PIECES : ERASE_LOG;
	return r;
}

/* One step's piece, in a transaction. */
static enum store_result
erase_piece(struct store *s, struct store_erasure *e, uint32_t rows)
{
	switch (e->step) {
	case ERASE_BEGINS:
		return erase_begin(s, e);
	case ERASE_ROWS:
		return erase_rows(s, e, rows);
	case ERASE_EVENTS:
		return erase_events(s, e);
	case ERASE_USER:
		return erase_user(s, e);
	default:
		return erase_index(s, e);
	}
}

/* Empties the write-ahead log. */
static enum store_result
erase_log(struct store *s, struct store_erasure *e)
{
	struct store_figures f;
	const enum store_result r = store_checkpoint(s, true);

	if (r != STORE_OK)
		return r;
	store_figures(s, &f);
	e->logged = f.wal_bytes > 0;
	e->step = ERASE_DONE;
	return STORE_OK;
}

enum store_result
store_erase(struct store *s, struct store_erasure *e, uint32_t rows, bool *more)
{
	struct store_erasure now = *e;
	enum store_result r;

	*more = true;
	if (s->begun) /* not now: what is taken is to be committed first */
		return STORE_OK;
	if (e->step >= ERASE_LOG) {
		*more = false;
		return e->step == ERASE_LOG ? erase_log(s, e) : STORE_OK;
	}
	if ((r = database_begin(s, false)) != STORE_OK ||
	    (r = search_begin(s)) != STORE_OK ||
	    (r = erase_piece(s, &now, rows)) != STORE_OK ||
	    (r = database_commit(s)) != STORE_OK)
		return r;
	*e = now;
	return STORE_OK;
}
