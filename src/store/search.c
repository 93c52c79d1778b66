#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "find.h"
#include "search_text.h"

enum {
	/* Of search_text() and the tokenizer. An index of another version is
	 * made anew. */
	SEARCH_VERSION = 1,
	/* What is asked. Larger: one question costs more; smaller: long ones
	 * are refused. */
	SEARCH_QUESTION = 8192,
	/* Pages of the index that are written in one piece. Larger: the writer
	 * takes nothing for longer; smaller: it takes longer altogether. */
	SEARCH_PIECE = 500,
	/* Bytes of texts that are taken into it in one piece: as long. */
	SEARCH_FILL = 2 * 1024 * 1024,
	/* Blocks of an index that is left which go at once: as a piece of
	 * index_clear_piece has. */
	SEARCH_SHED = 256,
	/* Questions have one of so many parts of the time of the process that
	 * answers them, and so much at once. Larger, and less: more of them are
	 * refused for now when many come; smaller, and more: pages of history
	 * wait longer for who asks much. One worker has one of
	 * SEARCH_SHARE_OWN, so that a hostile one leaves some to others. */
	SEARCH_SHARE = 2,
	SEARCH_SHARE_OWN = 3,
	SEARCH_SPARE_US = 500 * 1000
};

static const char index_make[] =
    "CREATE VIRTUAL TABLE search USING fts5(text, channel, content = '',"
    " columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');"
    "CREATE TABLE search_state("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " version INTEGER NOT NULL,"
    " first INTEGER NOT NULL) STRICT;"
    "INSERT INTO search_state SELECT 1, 0, coalesce(max(id), 0) + 1"
    " FROM publication;";

static const char index_drop[] = "DROP TABLE IF EXISTS search;"
				 "DROP TABLE IF EXISTS search_state;";

/* A statement's only number; STORE_NONE: there is none. */
static enum store_result
search_number(struct store *s, const char *sql, int64_t *out)
{
	return database_number(
	    s, database_statement(s, sql), "reading the index", out);
}

/* Whether there is an index: *version, 0: none that can be asked; *remains:
 * there are its tables, also of one that is being cleared. */
static enum store_result
search_look(struct store *s, int64_t *version, bool *remains)
{
	enum store_result r = search_number(s,
	    "SELECT count(*) FROM sqlite_schema WHERE name = 'search_state'",
	    version);

	*remains = r == STORE_OK && *version != 0;
	if (*remains)
		r = search_number(
		    s, "SELECT version FROM search_state", version);
	return r;
}

/* As FTS5 leaves its own tables when it forgets all: one that it cannot read it
 * does not drop either. */
static const char index_clear[] =
    "DELETE FROM search_data; DELETE FROM search_idx;"
    "INSERT INTO search_data VALUES(1, x''), (10, x'00000000000000');";

/* A piece of that: what is large. */
static const char index_clear_piece[] =
    "DELETE FROM search_data WHERE id IN"
    " (SELECT id FROM search_data WHERE id NOT IN (1, 10) LIMIT 256);"
    "DELETE FROM search_idx WHERE (segid, term) IN"
    " (SELECT segid, term FROM search_idx LIMIT 1024);";

/* Does that behind FTS5's back, in a transaction. */
static enum store_result
search_clear(struct store *s, const char *sql)
{
	enum store_result r = database_begin(s, false);

	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	if (r == STORE_OK)
		r = database_exec(s, sql, "clearing the index");
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return r;
}

/* Makes the index, in a transaction. */
static enum store_result
search_make(struct store *s)
{
	enum store_result r = database_begin(s, true);
	char sql[64];

	snprintf(sql, sizeof(sql), "UPDATE search_state SET version = %d",
	    SEARCH_VERSION);
	if (r == STORE_OK)
		r = database_exec(s, index_make, "making the index");
	return r == STORE_OK ? database_exec(s, sql, "making the index") : r;
}

/* Drops what is cleared, and makes another one if that is wanted. */
static enum store_result
search_renew(struct store *s)
{
	enum store_result r = search_clear(s, index_clear);

	if (r == STORE_OK)
		r = database_exec(s, index_drop, "dropping the index");
	return r == STORE_OK && s->options.search ? search_make(s) : r;
}

/* One that is not wanted, or of another version, is none from now on. Its
 * tables are cleared by pieces where they are large. */
static enum store_result
search_leave(struct store *s)
{
	enum store_result r = database_begin(s, false);
	int64_t pieces = 0;

	if (r == STORE_OK)
		r = database_exec(s, "UPDATE search_state SET version = 0",
		    "leaving the index");
	if (r == STORE_OK)
		r = search_number(s,
		    "SELECT count(*) FROM"
		    " (SELECT 1 FROM search_data LIMIT 1000)",
		    &pieces);
	if (r == STORE_OK && pieces <= SEARCH_SHED)
		r = search_renew(s);
	return r == STORE_OK ? database_commit(s) : r;
}

enum store_result
search_open(struct store *s)
{
	const int64_t wanted = s->options.search ? SEARCH_VERSION : 0;
	int64_t version = 0;
	bool remains = false;
	enum store_result r = search_look(s, &version, &remains);

	if (r == STORE_OK && remains && (version != wanted || version == 0))
		r = search_leave(s);
	else if (r == STORE_OK && !remains && wanted != 0 &&
	    (r = search_make(s)) == STORE_OK)
		r = database_commit(s);
	return r == STORE_OK ? search_begin(s) : r;
}

void
search_mend(struct store *s)
{
	char error[STORE_ERROR];
	bool left;

	if (s->index.mends || s->options.use != STORE_WRITES)
		return;
	s->index.mends = true;
	s->index.on = false;
	strlcpy(error, s->error, sizeof(error));
	left = search_leave(s) == STORE_OK;
	s->index.mends = !left;
	if (left)
		(void)search_begin(s);
	strlcpy(s->error, error, sizeof(s->error));
	strlcat(s->error,
	    left ? "; the index of texts is made anew"
		 : "; there is no index of texts until the next start",
	    sizeof(s->error));
}

void
search_close(struct store *s)
{
	free(s->index.text);
	s->index.text = NULL;
	s->index.room = 0;
}

enum store_result
search_begin(struct store *s)
{
	int64_t version = 0;
	enum store_result r = STORE_OK;

	/* what was left has been made anew */
	if (!s->index.on &&
	    (r = search_look(s, &version, &s->index.remains)) == STORE_OK)
		s->index.on =
		    s->options.search && version != 0 && !s->index.mends;
	return s->index.on ? search_number(s, "SELECT first FROM search_state",
				 &s->index.first)
			   : r;
}

/* The text of a publication; *len 0: it has none. False: no memory. */
static bool
search_text_of(struct store *s, const struct publication *p, size_t *len)
{
	char *text;

	*len = 0;
	if (p->data_len == 0)
		return true;
	if (p->data_len > s->index.room) {
		text = realloc(s->index.text, p->data_len);
		if (text == NULL)
			return false;
		s->index.text = text;
		s->index.room = p->data_len;
	}
	*len = search_text(p, s->index.text);
	return true;
}

/* Puts a publication into the index, or takes it out, which is said the same
 * way. */
static enum store_result
search_put(struct store *s, const char *sql, int64_t id, int64_t channel,
    const struct publication *p)
{
	sqlite3_stmt *stmt;
	size_t len;

	if (!search_text_of(s, p, &len))
		return database_fail(s, SQLITE_NOMEM, "writing the index");
	if (len == 0)
		return STORE_OK;
	stmt = database_statement(s, sql);
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, id);
		bind_text(stmt, 2, s->index.text, len);
		sqlite3_bind_int64(stmt, 3, channel);
	}
	return database_run(s, stmt, "writing the index");
}

/* How far the index goes back now. */
static enum store_result
search_reach(struct store *s, int64_t first)
{
	sqlite3_stmt *stmt =
	    database_statement(s, "UPDATE search_state SET first = ?1");

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, first);
	return database_run(s, stmt, "writing the index");
}

enum store_result
search_add(
    struct store *s, int64_t id, int64_t channel, const struct publication *p)
{
	enum store_result r = STORE_OK;

	if (!s->index.on)
		return STORE_OK;
	/* ids are given again when the newest rows have gone: none is there
	 * between this one and where the index began */
	if (id < s->index.first && (r = search_begin(s)) == STORE_OK &&
	    id < s->index.first && (r = search_reach(s, id)) == STORE_OK)
		s->index.first = id;
	return r != STORE_OK ? r
			     : search_put(s,
				   "INSERT INTO search(rowid, text, channel)"
				   " VALUES(?1, ?2, 'c' || ?3)",
				   id, channel, p);
}

enum store_result
search_remove(
    struct store *s, int64_t id, int64_t channel, const struct publication *p)
{
	if (!s->index.on || id < s->index.first)
		return STORE_OK;
	return search_put(s,
	    "INSERT INTO search(search, rowid, text, channel)"
	    " VALUES('delete', ?1, ?2, 'c' || ?3)",
	    id, channel, p);
}

/* The publication in a statement's columns from `at` on: format and data. */
static struct publication
search_column(sqlite3_stmt *stmt, int at)
{
	struct publication p = {
	    .format = (uint8_t)sqlite3_column_int(stmt, at)};
	size_t len;

	p.data = column_text(stmt, at + 1, &len);
	p.data_len = (uint32_t)len;
	return p;
}

enum store_result
search_fill(struct store *s, uint32_t rows, uint32_t *n)
{
	sqlite3_stmt *stmt;
	struct publication p;
	enum store_result r;
	int64_t id = 0;
	size_t bytes = 0;

	*n = 0;
	if (!s->index.on || s->index.first <= 1 || rows == 0)
		return STORE_OK;
	stmt = database_statement(s,
	    "SELECT id, channel, format, data FROM publication"
	    " WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, s->index.first);
		sqlite3_bind_int64(stmt, 2, rows);
	}
	while (bytes < SEARCH_FILL &&
	    (r = database_row(s, stmt, "filling the index")) == STORE_OK) {
		id = sqlite3_column_int64(stmt, 0);
		p = search_column(stmt, 2);
		r = search_put(s,
		    "INSERT INTO search(rowid, text, channel)"
		    " VALUES(?1, ?2, 'c' || ?3)",
		    id, sqlite3_column_int64(stmt, 1), &p);
		if (r != STORE_OK)
			return r;
		(*n)++;
		bytes += p.data_len;
	}
	if (r != STORE_NONE && r != STORE_OK)
		return r;
	sqlite3_reset(stmt);
	return search_reach(s, *n < rows && bytes < SEARCH_FILL ? 0 : id);
}

enum store_result
search_shed(struct store *s, uint32_t *n)
{
	const int64_t before = sqlite3_total_changes64(s->db);
	enum store_result r;

	*n = 0;
	if (s->index.on || !s->index.remains)
		return STORE_OK;
	r = search_clear(s, index_clear_piece);
	*n = (uint32_t)(sqlite3_total_changes64(s->db) - before);
	if (r != STORE_OK || *n != 0)
		return r;
	*n = 1;
	return search_renew(s);
}

enum store_result
search_tidy(struct store *s, bool first, bool *more)
{
	const int64_t before = sqlite3_total_changes64(s->db);
	sqlite3_stmt *stmt;
	enum store_result r;

	*more = false;
	if (!s->index.on)
		return STORE_OK;
	stmt = database_statement(
	    s, "INSERT INTO search(search, rank) VALUES('merge', ?1)");
	/* a negative number has all of its parts become one */
	if (stmt != NULL)
		sqlite3_bind_int64(
		    stmt, 1, first ? -SEARCH_PIECE : SEARCH_PIECE);
	r = database_run(s, stmt, "merging the index");
	*more = r == STORE_OK && sqlite3_total_changes64(s->db) - before >= 2;
	return r;
}

/* The bound is one of rowids, which the index goes by: what lies above it is
 * not looked at. */
#define SEARCH_ROWS                                                    \
	"SELECT" FIND_COLUMNS                                          \
	" FROM search CROSS JOIN publication p ON p.id = search.rowid" \
	" JOIN channel c ON c.id = p.channel"                          \
	" WHERE search MATCH ?1 AND search.rowid <= ?2"                \
	" AND c.name NOT NULL ORDER BY search.rowid DESC LIMIT ?3"

/* A question, and who gets its rows. */
struct asked {
	const struct store_query *q;
	bool (*row)(void *arg, const struct store_row *r);
	void *arg;
};

/* Hands on one row; it ends at one that is too old, as those behind it are. */
static bool
search_row(void *arg, const struct store_row *r)
{
	const struct asked *a = arg;

	return r->pub.time_ms >= a->q->oldest_ms && a->row(a->arg, r);
}

/* Finds the rows of a question in FTS5's words, the newest first. */
static enum store_result
search_rows(
    struct store *s, struct asked *a, const char *question, int64_t last)
{
	static const char sql[] = SEARCH_ROWS;
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, question, -1, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 2, last);
		sqlite3_bind_int64(stmt, 3, find_limit(a->q));
	}
	return find_rows(s, stmt, false, search_row, a);
}

/* The id of a channel's newest row up to an offset; STORE_NONE: it has none. */
static enum store_result
search_last(struct store *s, int64_t channel, uint64_t upto, int64_t *last)
{
	static const char sql[] =
	    "SELECT id FROM publication WHERE channel = ?1 AND offset <= ?2"
	    " ORDER BY offset DESC LIMIT 1";
	sqlite3_stmt *stmt = database_statement(s, sql);

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, channel);
		bind_bound(stmt, 2, upto);
	}
	return database_number(s, stmt, "looking for a row", last);
}

/* Finds what is asked for where there is an index. */
static enum store_result
search_answer(struct store *s, struct asked *a)
{
	const struct store_query *q = a->q;
	struct store_channel c = {.id = 0};
	char question[SEARCH_QUESTION];
	enum store_result r = STORE_OK;
	int64_t last = INT64_MAX;

	if (q->name_len > 0)
		r = store_channel(s, q->name, q->name_len, 0, &c);
	if (r == STORE_OK && q->upto != 0)
		r = search_last(s, c.id, q->upto, &last);
	/* nothing was said there, or nothing is asked for */
	if (r == STORE_NONE ||
	    !search_words(
		q->text, q->text_len, c.id, question, sizeof(question)))
		return STORE_OK;
	return r == STORE_OK ? search_rows(s, a, question, last) : r;
}

/* What of one part of so many is left by now. */
static bool
share_is_left(struct store_share *x, uint64_t now, int part)
{
	x->spare_us += (int64_t)((now - x->spare_at) / (unsigned)part);
	if (x->spare_at == 0 || x->spare_us > SEARCH_SPARE_US)
		x->spare_us = SEARCH_SPARE_US;
	x->spare_at = now;
	return x->spare_us > 0;
}

bool
search_may_begin(struct store *s, struct store_share *own)
{
	const uint64_t now = clock_us();
	const bool all = share_is_left(&s->index.share, now, SEARCH_SHARE);

	return share_is_left(own, now, SEARCH_SHARE_OWN) && all;
}

void
search_ended(struct store *s, struct store_share *own)
{
	const int64_t took = (int64_t)(clock_us() - own->spare_at);

	s->index.share.spare_us -= took;
	own->spare_us -= took;
}

enum store_result
search_find(struct store *s, const struct store_query *q,
    bool (*row)(void *arg, const struct store_row *r), void *arg)
{
	struct asked a = {q, row, arg};
	int64_t version = 0;
	bool remains;
	enum store_result r = search_look(s, &version, &remains);

	if (r != STORE_OK)
		return r;
	if (version != SEARCH_VERSION)
		return STORE_NONE;
	return search_answer(s, &a);
}
