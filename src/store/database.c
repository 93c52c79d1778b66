#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "lock.h"
#include "mark.h"
#include "migrate.h"
#include "problem.h"
#include "schema.h"
#include "search.h"

enum {
	/* For another process's lock. Larger: who waits for a commit waits for
	 * longer before the answer is that there is none; smaller: a program
	 * that writes there for a moment stops the store. */
	BUSY_WRITES_MS = 5000,
	BUSY_READS_MS = 1500,
	BUSY_LOOK_MS = 5,
	LOCK_WAIT_MS = 3000,
	/* Of SQLite's steps between two ticks: some 10 ms. */
	TICK_STEPS = 100000,
	/* Pages of the cache, KiB: the newest part of each channel's index.
	 * Larger: more memory; smaller: pages are read again. */
	CACHE_WRITES_KIB = 16384,
	CACHE_READS_KIB = 4096
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
	database_forget(s);
}

enum store_result
database_fail(struct store *s, int rc, const char *doing)
{
	const int system = s->db != NULL ? sqlite3_system_errno(s->db) : 0;

	problem_text(s->error, sizeof(s->error), s->path, doing, rc, system);
	s->rc = rc;
	s->failed = problem_result(rc, system);
	database_undo(s);
	return s->failed;
}

enum store_result
database_row(struct store *s, sqlite3_stmt *stmt, const char *doing)
{
	int rc;

	if (stmt == NULL) /* it could not be prepared */
		return s->failed;
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
database_exec(struct store *s, const char *sql, const char *doing)
{
	const int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK
	    ? STORE_OK
	    : database_fail(s, sqlite3_extended_errcode(s->db), doing);
}

enum store_result
database_begin(struct store *s, bool grows)
{
	static const char sql[] = "BEGIN IMMEDIATE";
	enum store_result r;

	if (s->begun)
		return STORE_OK;
	if (grows && place_is_tight(s->path)) {
		snprintf(s->error, sizeof(s->error),
		    "%s: less than 5 %% of its file system are free: make room "
		    "there",
		    s->path);
		return STORE_FULL;
	}
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

/* A new file. */
static enum store_result
database_make(struct store *s)
{
	enum store_result r = database_exec(s,
	    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; "
	    "PRAGMA journal_mode = WAL",
	    "making it");

	if (r == STORE_OK)
		r = schema_make(s);
	/* the file itself says what it is */
	return r == STORE_OK ? store_checkpoint(s, true) : r;
}

/* Brings it to this version; who reads waits until it is. */
static enum store_result
database_update(struct store *s, enum schema_state state, int version)
{
	if (s->options.use != STORE_WRITES) {
		snprintf(s->error, sizeof(s->error),
		    "%s: the database is not made yet", s->path);
		return STORE_FAILED;
	}
	if (state == SCHEMA_NEW)
		return database_make(s);
	return migrate(s, version, STORE_VERSION, migrate_steps);
}

/* Looks what it is, and makes it what it is to be. */
static enum store_result
database_prepare(struct store *s, struct store_mark *mark)
{
	enum store_result r = database_settings(s);
	enum schema_state state;
	int version = 0;

	if (r != STORE_OK)
		return r;
	switch (state = schema_look(s, &version)) {
	case SCHEMA_NEW:
	case SCHEMA_OLD:
		if ((r = database_update(s, state, version)) != STORE_OK)
			return r;
		break;
	case SCHEMA_OK:
		break;
	case SCHEMA_REFUSED:
		return STORE_FAILED;
	case SCHEMA_FAILED:
		return s->failed;
	}
	if (s->options.use == STORE_WRITES && (r = search_open(s)) != STORE_OK)
		return r;
	return mark_read(s, mark);
}

/* Opens the file. Messages are private: it is not readable for all. */
static enum store_result
database_file(struct store *s)
{
	const bool writes = s->options.use == STORE_WRITES;
	const mode_t mask = umask(027);
	const int rc = sqlite3_open_v2(s->path, &s->db,
	    (writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
		    : SQLITE_OPEN_READONLY) |
		SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
	    NULL);

	umask(mask);
	if (rc != SQLITE_OK)
		return database_fail(s, rc, "opening");
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	database_wait(s, true);
	if (s->options.tick != NULL)
		sqlite3_progress_handler(s->db, TICK_STEPS, database_tick, s);
	return STORE_OK;
}

/* Its place, if it is to be written there. */
static int
database_place(struct store *s)
{
	if (s->options.use != STORE_WRITES)
		return 0;
	if (place_check(s->path, s->error, sizeof(s->error)) == -1)
		return -1;
	s->lock = lock_take(s->path, LOCK_WAIT_MS, s->error, sizeof(s->error));
	return s->lock == -1 ? -1 : 0;
}

int
store_open(struct store **out, const struct store_options *o,
    struct store_mark *mark, bool *damaged, char *error, size_t error_len)
{
	struct store *s = calloc(1, sizeof(*s));
	enum store_result r = STORE_FAILED;

	*out = NULL;
	*damaged = false;
	if (s == NULL || strlen(o->path) >= sizeof(s->path)) {
		snprintf(error, error_len, "%s: %s", o->path,
		    strerror(s == NULL ? ENOMEM : ENAMETOOLONG));
		free(s);
		return -1;
	}
	database_init(o->use);
	s->options = *o;
	s->lock = -1;
	strlcpy(s->path, o->path, sizeof(s->path));
	s->options.path = s->path;
	if (o->wait_ms == 0)
		s->options.wait_ms =
		    o->use == STORE_WRITES ? BUSY_WRITES_MS : BUSY_READS_MS;
	if (database_place(s) == 0 && (r = database_file(s)) == STORE_OK &&
	    (r = database_prepare(s, mark)) == STORE_OK) {
		*out = s;
		return 0;
	}
	*damaged = r == STORE_DAMAGED && (s->rc & 0xff) != SQLITE_NOTADB;
	strlcpy(error, s->error, error_len);
	store_close(s);
	return -1;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	database_undo(s);
	for (size_t k = 0; k < s->n_statements; k++)
		sqlite3_finalize(s->statement[k].stmt);
	search_close(s);
	sqlite3_close_v2(s->db);
	if (s->lock != -1)
		close(s->lock);
	free(s);
}

const char *
store_error(const struct store *s)
{
	return s->error;
}

/* The first bytes of a file that is there; 0: it is empty. */
static ssize_t
database_header(const char *path, unsigned char header[SCHEMA_HEADER])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		errno = EINVAL;
	else
		n = pread(fd, header, SCHEMA_HEADER, 0);
	close(fd); /* this process has no lock on it */
	return n;
}

int
store_try(const char *path, char *error, size_t error_len)
{
	unsigned char header[SCHEMA_HEADER] = {0};
	ssize_t n;

	if (place_check(path, error, error_len) == -1)
		return -1;
	n = database_header(path, header);
	if (n == 0 || (n == -1 && errno == ENOENT))
		return 0;
	if (n == -1) {
		snprintf(error, error_len, "%s: %s", path, strerror(errno));
		return -1;
	}
	return schema_look_header(header, path, error, error_len) ==
		SCHEMA_REFUSED
	    ? -1
	    : 0;
}
