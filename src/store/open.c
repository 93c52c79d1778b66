/* open: the database is opened, made or brought to this version, or refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "database.h"
#include "lock.h"
#include "mark.h"
#include "migrate.h"
#include "schema.h"
#include "search.h"

enum {
	/* For another process's lock. Larger: who waits for a commit waits for
	 * longer before the answer is that there is none; smaller: a program
	 * that writes there for a moment stops the store. */
	BUSY_WRITES_MS = 5000,
	BUSY_READS_MS = 1500,
	/* For a writer that is about to end, such as one whose master has died
	 * (writer_patience.c). Larger: who is refused is told later; smaller:
	 * one that follows at once is refused. */
	LOCK_WAIT_MS = 5000
};

/* Has the file log ahead. A new one does not yet; nor does a copy that VACUUM
 * has made, in which who reads and who commits would wait for each other. What
 * mode it is in SQLite answers, also where it could not be changed. */
static enum store_result
open_mode(struct store *s)
{
	static const char sql[] = "PRAGMA journal_mode = WAL";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r = database_row(s, stmt, "opening");
	const char *mode;
	size_t len;

	if (r != STORE_OK)
		return r == STORE_NONE ? STORE_FAILED : r;
	mode = column_text(stmt, 0, &len);
	if (strcmp(mode, "wal") != 0) {
		snprintf(s->error, sizeof(s->error),
		    "%s: its journal_mode stays %s: end the process that "
		    "reads it (fuser)",
		    s->path, mode);
		r = s->failed = STORE_LOCKED;
	}
	sqlite3_reset(stmt);
	return r;
}

/* A new file. */
static enum store_result
open_new(struct store *s)
{
	enum store_result r = database_exec(s,
	    "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL",
	    "making it");

	if (r == STORE_OK)
		r = open_mode(s);
	if (r == STORE_OK)
		r = schema_make(s);
	/* the file itself says what it is */
	return r == STORE_OK ? store_checkpoint(s, true) : r;
}

/* Brings it to this version; who reads waits until it is. */
static enum store_result
open_update(struct store *s, enum schema_state state, int version)
{
	if (s->options.use != STORE_WRITES) {
		snprintf(s->error, sizeof(s->error),
		    "%s: the database is not made yet", s->path);
		return STORE_FAILED;
	}
	if (state == SCHEMA_NEW)
		return open_new(s);
	return migrate(s, version, STORE_VERSION, migrate_steps);
}

/* Opens the file, looks what it is, and makes it what it is to be. */
static enum store_result
open_prepare(struct store *s, struct store_mark *mark)
{
	enum store_result r = database_connect(s);
	enum schema_state state;
	int version = 0;

	if (r != STORE_OK)
		return r;
	switch (state = schema_look(s, &version)) {
	case SCHEMA_NEW:
	case SCHEMA_OLD:
		if ((r = open_update(s, state, version)) != STORE_OK)
			return r;
		break;
	case SCHEMA_OK:
		break;
	case SCHEMA_REFUSED:
		return STORE_NONE;
	case SCHEMA_FAILED:
		return s->failed;
	}
	if (s->options.use == STORE_WRITES &&
	    ((r = open_mode(s)) != STORE_OK ||
		(r = search_open(s)) != STORE_OK))
		return r;
	return mark_read(s, mark);
}

/* Its place, if it is to be written there. */
static enum store_result
open_place(struct store *s)
{
	if (s->options.use != STORE_WRITES)
		return STORE_OK;
	if (place_check(s->path, s->error, sizeof(s->error)) == -1)
		return STORE_NONE;
	return lock_take(
	    &s->lock, s->path, LOCK_WAIT_MS, s->error, sizeof(s->error));
}

/* How it is to be opened; false: its name is too long. */
static bool
open_options(struct store *s, const struct store_options *o)
{
	char real[PATH_MAX];

	s->options = *o;
	s->lock = (struct lock){-1, -1};
	s->options.path = s->path;
	if (o->wait_ms == 0)
		s->options.wait_ms =
		    o->use == STORE_WRITES ? BUSY_WRITES_MS : BUSY_READS_MS;
	place_real(o->path, real);
	return strlcpy(s->given, o->path, sizeof(s->given)) <
	    sizeof(s->given) &&
	    strlcpy(s->path, real, sizeof(s->path)) < sizeof(s->path);
}

/* Whether the database can be read without its log. */
static bool
open_is_frozen(const struct store *s)
{
	char name[CONF_PATH_BYTES + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s-wal", s->path);
	return stat(name, &st) == -1 ? errno == ENOENT : st.st_size == 0;
}

/* Opens it in that way. */
static int
open_way(struct store **out, const struct store_options *o,
    enum database_way way, struct store_mark *mark, bool *damaged, char *error,
    size_t error_len)
{
	struct store *s = calloc(1, sizeof(*s));
	enum store_result r = STORE_NONE;

	*out = NULL;
	*damaged = false;
	if (s == NULL)
		snprintf(error, error_len, "%s: no memory", o->path);
	else if (!open_options(s, o))
		snprintf(s->error, sizeof(s->error), "%s: the name is too long",
		    s->path);
	else if ((s->way = way) == DATABASE_FROZEN && !open_is_frozen(s))
		snprintf(
		    s->error, sizeof(s->error), "%s: it has a log", s->path);
	else if ((r = open_place(s)) == STORE_OK)
		r = open_prepare(s, mark);
	/* before that is noted nothing is told to anybody */
	if (r == STORE_OK)
		watch_begin(s);
	if (r == STORE_DAMAGED && (s->rc & 0xff) == SQLITE_NOTADB)
		r = STORE_NONE;
	if (o->why != NULL)
		*o->why = s == NULL ? STORE_FAILED : r;
	if (r == STORE_OK) {
		*out = s;
		return 0;
	}
	*damaged = r == STORE_DAMAGED;
	if (s != NULL)
		strlcpy(error, s->error, error_len);
	store_close(s);
	return -1;
}

int
store_open(struct store **out, const struct store_options *o,
    struct store_mark *mark, bool *damaged, char *error, size_t error_len)
{
	const int ways = o->use == STORE_LOOKS ? DATABASE_WAYS : 1;
	int r = -1;

	for (int way = 0; way < ways && r == -1; way++)
		r = open_way(out, o, (enum database_way)way, mark, damaged,
		    error, error_len);
	return r;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	database_undo(s);
	if (s->db != NULL)
		watch_leave(s);
	for (size_t k = 0; k < s->n_statements; k++)
		sqlite3_finalize(s->statement[k].stmt);
	search_close(s);
	sqlite3_close_v2(s->db);
	lock_free(&s->lock);
	free(s);
}

/* What is at a path that is no file. */
static const char *
open_kind(mode_t mode)
{
	return S_ISDIR(mode) ? "it is a folder: name a file in it"
	    : S_ISFIFO(mode) ? "it is a FIFO: name a file"
			     : "it is no regular file: name one";
}

/* The first bytes of a file; 0: it is empty, or not there; -1: *why. */
static ssize_t
open_header(
    const char *path, unsigned char header[SCHEMA_HEADER], const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	*why = strerror(errno);
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		*why = open_kind(st.st_mode);
	else if ((n = pread(fd, header, SCHEMA_HEADER, 0)) == -1)
		*why = strerror(errno);
	close(fd); /* this process has no lock on it */
	return n;
}

int
store_try(const char *path, char *error, size_t error_len)
{
	unsigned char header[SCHEMA_HEADER] = {0};
	const char *why;
	ssize_t n;

	if (place_check(path, error, error_len) == -1)
		return -1;
	n = open_header(path, header, &why);
	if (n == 0)
		return 0;
	if (n == -1) {
		snprintf(error, error_len, "%s: %s", path, why);
		return -1;
	}
	return schema_look_header(header, path, error, error_len) ==
		SCHEMA_REFUSED
	    ? -1
	    : 0;
}
