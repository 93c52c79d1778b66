#include "database.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "lock.h"
#include "problem.h"
#include "search.h"
#include "wal.h"

enum {
	BUSY_LOOK_MS = 5, /* between two looks at another process's lock */
	/* Of SQLite's steps between two ticks: some 10 ms. */
	TICK_STEPS = 100000,
	/* Pages of the cache, KiB: the newest part of each channel's index.
	 * Larger: more memory; smaller: pages are read again. */
	CACHE_WRITES_KIB = 16384,
	CACHE_READS_KIB = 4096,
	/* Free pages with which it is worth to go on in a file that must not
	 * grow. Larger: it stops earlier; smaller: more tries in vain. */
	SPARE_PAGES = 8
};

/* Once in a process, before anything is opened. */
static void
database_init(enum store_use use)
{
	static bool done;

	if (done)
		return;
	/* who reads may check the file in a thread of its own (check.h) */
	sqlite3_config(use == STORE_WRITES ? SQLITE_CONFIG_SINGLETHREAD
					   : SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	done = true;
}

/* Another process has it locked: whether to try again. */
static int
database_busy(void *arg, int times)
{
	struct store *s = arg;
	const uint64_t now = clock_ms();
	const uint64_t most = s->options.wait_ms;

	if (times == 0)
		s->busy_ms = now;
	if (now - s->busy_ms >= most)
		return 0;
	if (s->options.tick != NULL)
		s->options.tick(s->options.arg);
	sqlite3_sleep(BUSY_LOOK_MS);
	return 1;
}

void
database_wait(struct store *s, bool waits)
{
	sqlite3_busy_handler(s->db, waits ? database_busy : NULL, s);
}

/* It takes long. */
static int
database_tick(void *arg)
{
	struct store *s = arg;

	s->options.tick(s->options.arg);
	return 0;
}

/* How much the write-ahead log has now. */
static int
database_logged(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	s->wal_pages = (uint32_t)pages;
	if (s->wal_moved > s->wal_pages)
		s->wal_moved = 0; /* it has begun anew */
	return SQLITE_OK;
}

sqlite3_stmt *
database_statement(struct store *s, const char *sql)
{
	struct store_statement *t;
	int rc;

	for (size_t k = 0; k < s->n_statements; k++)
		if (s->statement[k].sql == sql) {
			sqlite3_reset(s->statement[k].stmt);
			sqlite3_clear_bindings(s->statement[k].stmt);
			return s->statement[k].stmt;
		}
	if (s->n_statements == STORE_STATEMENTS) {
		(void)database_fail(s, SQLITE_NOMEM, "preparing a statement");
		return NULL;
	}
	t = &s->statement[s->n_statements];
	errno = 0;
	rc = sqlite3_prepare_v3(
	    s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &t->stmt, NULL);
	if (rc != SQLITE_OK) {
		(void)database_fail(s, rc, "preparing a statement");
		return NULL;
	}
	t->sql = sql;
	s->n_statements++;
	return t->stmt;
}

/* Nothing of a transaction is noted any more. */
static void
database_forget(struct store *s)
{
	s->begun = false;
	s->rows_more = s->holes_more = 0;
	s->n_dirty = 0;
	memset(s->dirty_at, 0, sizeof(s->dirty_at));
}

void
database_undo(struct store *s)
{
	for (size_t k = 0; k < s->n_statements; k++)
		sqlite3_reset(s->statement[k].stmt);
	/* after some errors SQLite has undone it itself */
	if (s->db != NULL && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->index.first = INT64_MAX; /* it is read again */
	database_forget(s);
}

enum store_result
database_fail(struct store *s, int rc, const char *doing)
{
	const int last = errno;
	int system = s->db != NULL ? sqlite3_system_errno(s->db) : 0;

	/* what a commit has met SQLite does not note: there it tells what an
	 * earlier one has */
	if (last != 0 && ((rc & 0xff) == SQLITE_IOERR || system == 0))
		system = last;
	problem_text(s->error, sizeof(s->error), s->path, doing, rc, system);
	s->rc = rc;
	s->failed = problem_result(rc, system);
	database_undo(s);
	if (rc == SQLITE_CORRUPT_VTAB) {
		search_mend(s);
		s->failed = STORE_FAILED;
	}
	return s->failed;
}

enum store_result
database_row(struct store *s, sqlite3_stmt *stmt, const char *doing)
{
	int rc;

	if (stmt == NULL) /* it could not be prepared */
		return s->failed;
	errno = 0;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		return STORE_OK;
	return rc == SQLITE_DONE ? STORE_NONE : database_fail(s, rc, doing);
}

enum store_result
database_run(struct store *s, sqlite3_stmt *stmt, const char *doing)
{
	const enum store_result r = database_row(s, stmt, doing);

	if (r != STORE_OK && r != STORE_NONE)
		return r;
	sqlite3_reset(stmt);
	return STORE_OK;
}

enum store_result
database_number(
    struct store *s, sqlite3_stmt *stmt, const char *doing, int64_t *out)
{
	const enum store_result r = database_row(s, stmt, doing);

	if (r == STORE_OK)
		*out = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return r;
}

enum store_result
database_exec(struct store *s, const char *sql, const char *doing)
{
	int rc;

	errno = 0;
	rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK
	    ? STORE_OK
	    : database_fail(s, sqlite3_extended_errcode(s->db), doing);
}

/* Whether the file may grow from now on, or what is added goes where rows were
 * deleted. */
static enum store_result
database_bound(struct store *s, bool bound)
{
	if (s->bound == bound)
		return STORE_OK;
	s->bound = bound;
	/* it is never less than there are */
	return database_exec(s,
	    bound ? "PRAGMA max_page_count = 1"
		  : "PRAGMA max_page_count = 4294967294",
	    "beginning");
}

/* The file system is nearly full: free pages of the file are used. */
static enum store_result
database_inside(struct store *s)
{
	static const char sql[] = "PRAGMA freelist_count";
	int64_t unused = 0;
	const enum store_result r = database_number(
	    s, database_statement(s, sql), "beginning", &unused);

	if (r != STORE_OK && r != STORE_NONE)
		return r;
	if (unused >= SPARE_PAGES)
		return database_bound(s, true);
	snprintf(s->error, sizeof(s->error),
	    "%s: less than 5 %% of its file system are free: make room there",
	    s->path);
	return s->failed = STORE_FULL;
}

bool
store_is_bound(const struct store *s)
{
	return s->bound;
}

enum store_result
database_begin(struct store *s, bool grows)
{
	static const char sql[] = "BEGIN IMMEDIATE";
	enum store_result r;

	if (s->begun)
		return STORE_OK;
	r = grows && place_is_tight(s->path) ? database_inside(s)
					     : database_bound(s, false);
	if (r != STORE_OK)
		return r;
	r = database_run(s, database_statement(s, sql), "beginning");
	s->begun = r == STORE_OK;
	return r;
}

enum store_result
database_commit(struct store *s)
{
	static const char sql[] = "COMMIT";
	enum store_result r =
	    database_run(s, database_statement(s, sql), "committing");

	if (r != STORE_OK)
		return r;
	s->rows += (uint64_t)s->rows_more;
	s->holes += (uint64_t)s->holes_more;
	database_forget(s);
	return STORE_OK;
}

/* The place in dirty_at where a channel is, or would be. */
static size_t
dirty_place(const struct store *s, int64_t id)
{
	const size_t room = sizeof(s->dirty_at) / sizeof(s->dirty_at[0]);
	size_t at = (uint64_t)id * 0x9e3779b97f4a7c15ull >> 32 & (room - 1);

	while (s->dirty_at[at] != 0 && s->dirty[s->dirty_at[at] - 1].id != id)
		at = (at + 1) & (room - 1);
	return at;
}

const struct store_dirty *
database_dirty_find(struct store *s, int64_t id)
{
	const uint16_t k = s->dirty_at[dirty_place(s, id)];

	return k != 0 ? &s->dirty[k - 1] : NULL;
}

enum store_result
database_dirty(struct store *s, int64_t id, uint64_t top, int64_t seen_ms)
{
	enum store_result r;
	size_t at;

	if (s->n_dirty == STORE_DIRTY && database_dirty_find(s, id) == NULL &&
	    (r = database_flush(s)) != STORE_OK)
		return r;
	at = dirty_place(s, id);
	if (s->dirty_at[at] == 0) {
		s->dirty_at[at] = (uint16_t)++s->n_dirty;
		s->dirty[s->n_dirty - 1].id = id;
	}
	s->dirty[s->dirty_at[at] - 1].top = top;
	s->dirty[s->dirty_at[at] - 1].seen_ms = seen_ms;
	return STORE_OK;
}

enum store_result
database_flush(struct store *s)
{
	static const char sql[] =
	    "UPDATE channel SET top = ?2, seen = ?3 WHERE id = ?1";
	enum store_result r;
	sqlite3_stmt *stmt;

	for (size_t k = 0; k < s->n_dirty; k++) {
		if ((stmt = database_statement(s, sql)) != NULL) {
			sqlite3_bind_int64(stmt, 1, s->dirty[k].id);
			bind_number(stmt, 2, s->dirty[k].top);
			sqlite3_bind_int64(stmt, 3, s->dirty[k].seen_ms);
		}
		r = database_run(s, stmt, "writing a channel's top");
		if (r != STORE_OK)
			return r;
	}
	s->n_dirty = 0;
	memset(s->dirty_at, 0, sizeof(s->dirty_at));
	return STORE_OK;
}

/* How it is used. What is so for a file's whole life is said before there is a
 * table. */
static enum store_result
database_settings(struct store *s)
{
	const bool writes = s->options.use == STORE_WRITES;
	enum store_result r;
	char sql[512];

	snprintf(sql, sizeof(sql),
	    "PRAGMA cache_size = -%d; "
	    "PRAGMA temp_store = MEMORY",
	    writes ? CACHE_WRITES_KIB : CACHE_READS_KIB);
	if (!writes)
		return database_exec(s, sql, "opening");
	snprintf(sql + strlen(sql), sizeof(sql) - strlen(sql),
	    "; PRAGMA synchronous = %s; PRAGMA secure_delete = ON; "
	    "PRAGMA journal_size_limit = 67108864; "
	    "PRAGMA wal_autocheckpoint = 0",
	    s->options.sync_full ? "FULL" : "NORMAL");
	r = database_exec(s, sql, "opening");
	/* that pragma takes the hook away */
	sqlite3_wal_hook(s->db, database_logged, s);
	return r;
}

/* The file's address, for SQLite: as it is there, nothing else is looked at. */
static void
database_frozen(const struct store *s, char out[3 * CONF_PATH_BYTES + 32])
{
	char *to = out + sprintf(out, "file:");

	for (const char *at = s->path; *at != '\0'; at++)
		if (isalnum((unsigned char)*at) || strchr("/._-", *at) != NULL)
			*to++ = *at;
		else
			to += sprintf(to, "%%%02x", (unsigned char)*at);
	strcpy(to, "?immutable=1");
}

/* Opens the file. Messages are private: it is not readable for all. */
static int
database_file(struct store *s)
{
	static char frozen[3 * CONF_PATH_BYTES + 32];
	const char *name = s->path;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, rc;
	mode_t mask;

	if (s->options.use == STORE_WRITES)
		flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	else if (s->way == DATABASE_ALONE)
		flags |= SQLITE_OPEN_READWRITE;
	else
		flags |= SQLITE_OPEN_READONLY;
	if (s->way == DATABASE_FROZEN) {
		flags |= SQLITE_OPEN_URI;
		database_frozen(s, frozen);
		name = frozen;
	}
	mask = umask(027);
	rc = sqlite3_open_v2(name, &s->db, flags,
	    s->options.use == STORE_WRITES ? wal_layer() : NULL);
	umask(mask);
	return rc;
}

/* How it is open. */
static enum store_result
database_config(struct store *s)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	database_wait(s, true);
	if (s->options.tick != NULL)
		sqlite3_progress_handler(s->db, TICK_STEPS, database_tick, s);
	if (s->way != DATABASE_ALONE)
		return STORE_OK;
	/* it changes nothing */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return database_exec(s, "PRAGMA locking_mode = EXCLUSIVE", "opening");
}

enum store_result
database_connect(struct store *s)
{
	enum store_result r;
	int rc;

	database_init(s->options.use);
	if ((rc = database_file(s)) != SQLITE_OK)
		return database_fail(s, rc, "opening");
	r = database_config(s);
	return r == STORE_OK ? database_settings(s) : r;
}

const char *
store_error(const struct store *s)
{
	return s->error;
}
