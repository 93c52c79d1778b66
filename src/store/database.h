/*
 * database: what the files of the store have in common: the connection, its
 * statements, its transaction and its errors. Nothing of SQLite is known
 * outside of this folder.
 *
 * Who writes calls database_begin() first, and returns what
 * database_run() returns: after an error the transaction is undone, and the
 * error's text noted.
 */
#ifndef CHATD_STORE_DATABASE_H
#define CHATD_STORE_DATABASE_H

#include <sqlite3.h>

#include "conf/conf.h"
#include "lock.h"
#include "note.h"
#include "store/store.h"
#include "watch.h"

enum {
	STORE_VERSION = 1, /* user_version: of the schema */
	/* "chat": whose database it is */
	STORE_APPLICATION = 0x63686174,
	STORE_STATEMENTS = 96,
	/* Channels of which the top is written at the commit. Larger: more
	 * memory; smaller: a commit of many channels writes some more often. */
	STORE_DIRTY = 1024,
	STORE_ERROR = 2048,
	/* Channels of which it is known when they have too many rows. Larger:
	 * more memory; smaller: rows are counted more often. */
	STORE_KNOWN = 1024
};

/* A statement; sql is a text that stays, and is found by its address. */
struct store_statement {
	const char *sql;
	sqlite3_stmt *stmt;
};

/* What the commit is to write of a channel. */
struct store_dirty {
	int64_t id;
	uint64_t top;
	int64_t seen_ms;
};

/* How much of the time of questions one who asks has left. */
struct store_share {
	int64_t spare_us;
	uint64_t spare_at; /* clock_us() then; 0: all of it, from now on */
};

/* The index of texts: search.h. */
struct store_index {
	bool on;       /* there is one, and this process writes it */
	bool remains;  /* not on: there are tables of one that was left */
	bool mends;    /* it was inconsistent, and is left just now, or
			* could not be */
	int64_t first; /* rows from this id on are in it, as the last commit
			* left it */
	char *text;    /* of one publication, */
	size_t room;   /* which has room for so many bytes */
	struct store_share share; /* of questions */
};

/* How far it has come with a file that is too large: prune.c. */
struct prune_much {
	enum {
		MUCH_OF_CHANNELS,
		MUCH_OF_USERS,
		MUCH_OF_PROVED,
		MUCH_OF_INDEX,
		MUCH_OF_PIECES,
		MUCH_OF_ROWS
	} step;
	int64_t channel; /* that was looked at last */
	unsigned halved; /* the age of names, so often */
	/* Messages take too little: names of others are deleted, too, */
	enum { MUCH_NOT, MUCH_ALSO, MUCH_DONE } proved;
	bool over;     /* and no more can be until the next round */
	uint64_t left; /* messages to delete until the next round */
};

/* How the file is opened. */
enum database_way {
	DATABASE_SHARED, /* beside others, by memory that lies in a file */
	DATABASE_FROZEN, /* as it lies there, without its log, which is empty */
	DATABASE_ALONE,	 /* with its log, and without others */
	DATABASE_WAYS
};

/* A channel that has no more rows than it may before its top is that. */
struct prune_known {
	int64_t channel; /* 0: none */
	int64_t until;
	uint32_t rows; /* that it may have */
};

struct store {
	sqlite3 *db;
	struct store_options options;
	enum database_way way;
	char path[CONF_PATH_BYTES + 1]; /* that all links lead to, */
	char given[CONF_PATH_BYTES + 1];
	struct lock lock;
	struct note note; /* of the last commit */
	struct watch watch;
	bool begun;
	bool bound;		       /* the file does not grow */
	uint64_t rows, holes;	       /* in the database, */
	int64_t rows_more, holes_more; /* and by this transaction */
	uint32_t wal_pages, wal_moved; /* since when it was empty; and how
					* many when it was moved last */
	int rc; /* of the last error: SQLite's, and what it is */
	enum store_result failed;
	uint64_t busy_ms; /* since when it waits for a lock */
	struct store_statement statement[STORE_STATEMENTS];
	size_t n_statements;
	struct store_dirty dirty[STORE_DIRTY];
	uint16_t dirty_at[2 * STORE_DIRTY]; /* by hash of id: place + 1 */
	size_t n_dirty;
	struct store_index index;
	int64_t pruned; /* the channel that prune.c has looked at last */
	struct prune_much much;
	struct prune_known known[STORE_KNOWN]; /* by id */
	char error[STORE_ERROR];
};

/* Opens the file, which is made for who writes. */
enum store_result database_connect(struct store *s);

/* The statement of that text, reset and without values. NULL: an error, noted;
 * database_run() and database_row() take it. */
sqlite3_stmt *database_statement(struct store *s, const char *sql);

/* Begins a transaction, if there is none. grows: it adds to the file, which
 * is refused when the file system is nearly full. */
enum store_result database_begin(struct store *s, bool grows);

/* Executes a statement that returns no rows; doing: for the log, "writing a
 * row". */
enum store_result
database_run(struct store *s, sqlite3_stmt *stmt, const char *doing);

/* Its next row: STORE_OK; STORE_NONE: there are no more. The caller resets it.
 */
enum store_result
database_row(struct store *s, sqlite3_stmt *stmt, const char *doing);

/* A statement's only number, which it is reset behind; STORE_NONE: there is
 * none.
 */
enum store_result database_number(
    struct store *s, sqlite3_stmt *stmt, const char *doing, int64_t *out);

/* Executes a text of statements, without a transaction of its own. */
enum store_result
database_exec(struct store *s, const char *sql, const char *doing);

/* A transaction of its own ends. */
enum store_result database_commit(struct store *s);
/* Everything since database_begin() is undone. */
void database_undo(struct store *s);

/* Notes an error of SQLite's, undoes the transaction, and returns what it is.
 */
enum store_result database_fail(struct store *s, int rc, const char *doing);

/* Whether another process's lock is waited for. */
void database_wait(struct store *s, bool waits);

/* Writes what the transaction has changed of channels: before their rows are
 * read. */
enum store_result database_flush(struct store *s);
/* Notes what is to be written of one. */
enum store_result
database_dirty(struct store *s, int64_t id, uint64_t top, int64_t seen_ms);
/* What was noted of it; NULL: nothing. */
const struct store_dirty *database_dirty_find(struct store *s, int64_t id);

/* A number whose all 64 bits count: they are stored as SQLite's signed ones. */
static inline void
bind_number(sqlite3_stmt *stmt, int at, uint64_t number)
{
	sqlite3_bind_int64(stmt, at, (sqlite3_int64)number);
}

/* A bound of such numbers, none of which that is compared is stored above the
 * largest signed one. */
static inline void
bind_bound(sqlite3_stmt *stmt, int at, uint64_t number)
{
	bind_number(stmt, at, number < INT64_MAX ? number : INT64_MAX);
}

static inline uint64_t
column_number(sqlite3_stmt *stmt, int at)
{
	return (uint64_t)sqlite3_column_int64(stmt, at);
}

/* A text that stays until the statement is done; an empty one is NULL. */
static inline void
bind_text(sqlite3_stmt *stmt, int at, const char *text, size_t len)
{
	if (len > 0)
		sqlite3_bind_text64(
		    stmt, at, text, len, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_null(stmt, at);
}

/* A column's text, "" if it is NULL; good until the statement's next row. */
static inline const char *
column_text(sqlite3_stmt *stmt, int at, size_t *len)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	*len = (size_t)sqlite3_column_bytes(stmt, at);
	return text != NULL ? text : "";
}

#endif
