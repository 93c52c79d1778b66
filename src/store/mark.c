#include "mark.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Pages of the write-ahead log from which it is moved. Larger: the file is
 * longer, and reading it slower; smaller: more waits for the disk. On a full
 * one: what it takes. */
enum { CHECKPOINT_PAGES = 1000, CHECKPOINT_PAGES_FULL = 64 };

/* How many holes were written down. */
static enum store_result
holes_count(struct store *s)
{
	static const char sql[] = "SELECT count(*) FROM hole";
	int64_t n = 0;
	const enum store_result r =
	    database_number(s, database_statement(s, sql), "opening", &n);

	s->holes = (uint64_t)n;
	return r;
}

/* Whether it is what was written here last. */
static void
mark_judge(struct store *s, struct store_mark *mark)
{
	const struct note_place found = {mark->journal, mark->position};
	struct note noted;

	if (s->options.use != STORE_WRITES)
		return;
	note_read(s->lock.beside, &noted);
	mark->copied =
	    mark->journal != 0 ? !note_fits(&noted, &found) : s->rows != 0;
	mark->noted = noted.last.journal;
	mark->wall_ms = noted.wall_ms;
	mark->doubt_ms = noted.doubt_ms;
	s->note = (struct note){.last = found,
	    .wall_ms = noted.wall_ms,
	    .doubt_ms = noted.doubt_ms};
}

/* Notes beside the database that it belongs to another journal now: before that
 * is committed, so that it is known as the same one whatever happens. */
static void
mark_announce(struct store *s, const struct store_mark *mark)
{
	if (s->note.last.journal == mark->journal)
		return;
	s->note.before = s->note.last;
	s->note.last = (struct note_place){mark->journal, 0};
	note_write(s->lock.beside, &s->note, true);
}

/* And how far it has come. */
static void
mark_note(struct store *s, const struct store_mark *mark)
{
	s->note.last.position = mark->position;
	s->note.before = (struct note_place){0};
	s->note.wall_ms = mark->wall_ms;
	s->note.doubt_ms = mark->doubt_ms;
	note_write(s->lock.beside, &s->note, false);
}

enum store_result
mark_read(struct store *s, struct store_mark *mark)
{
	static const char sql[] =
	    "SELECT journal, position, clean, rows FROM mark";
	sqlite3_stmt *stmt = database_statement(s, sql);
	enum store_result r = database_row(s, stmt, "opening");

	*mark = (struct store_mark){0};
	if (r == STORE_NONE) /* the row is missing */
		return database_fail(s, SQLITE_CORRUPT, "opening");
	if (r != STORE_OK)
		return r;
	mark->journal = column_number(stmt, 0);
	mark->position = column_number(stmt, 1);
	mark->clean = sqlite3_column_int(stmt, 2) != 0;
	s->rows = column_number(stmt, 3);
	sqlite3_reset(stmt);
	mark_judge(s, mark);
	return holes_count(s);
}

enum store_result
store_look(struct store *s)
{
	const char *what = watch_look(s);

	if (what == NULL)
		return STORE_OK;
	snprintf(s->error, sizeof(s->error),
	    "%s: %s while it was written: what is there now is opened, or a "
	    "new one is made",
	    s->path, what);
	return s->failed = STORE_GONE;
}

enum store_result
store_commit(struct store *s, const struct store_mark *mark)
{
	static const char sql[] = "UPDATE mark SET journal = ?1, position = ?2,"
				  " boot = ?3, clean = ?4, rows = ?5";
	enum store_result r;
	sqlite3_stmt *stmt;

	if ((r = database_begin(s, false)) != STORE_OK ||
	    (r = database_flush(s)) != STORE_OK)
		return r;
	if ((stmt = database_statement(s, sql)) != NULL) {
		bind_number(stmt, 1, mark->journal);
		bind_number(stmt, 2, mark->position);
		sqlite3_bind_text(stmt, 3, mark->boot, -1, SQLITE_STATIC);
		sqlite3_bind_int(stmt, 4, mark->clean);
		bind_number(stmt, 5, s->rows + (uint64_t)s->rows_more);
	}
	r = database_run(s, stmt, "writing the mark");
	if (r != STORE_OK)
		return r;
	mark_announce(s, mark);
	if ((r = database_commit(s)) == STORE_OK)
		mark_note(s, mark);
	/* nobody is told that it is there unless others can find it */
	return r == STORE_OK ? store_look(s) : r;
}

enum store_result
store_checkpoint(struct store *s, bool idle)
{
	const uint32_t pages =
	    s->bound ? CHECKPOINT_PAGES_FULL : CHECKPOINT_PAGES;
	int rc, all = SQLITE_CHECKPOINT_TRUNCATE;

	if (s->begun || s->wal_pages == 0 ||
	    (!idle && s->wal_pages < s->wal_moved + pages))
		return STORE_OK;
	/* on a full disk its room is not given to others */
	if (place_is_tight(s->path))
		all = SQLITE_CHECKPOINT_RESTART;
	s->wal_moved = s->wal_pages;
	/* it is not waited for who reads */
	database_wait(s, false);
	errno = 0;
	rc = sqlite3_wal_checkpoint_v2(
	    s->db, NULL, idle ? all : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	database_wait(s, true);
	watch_moved(s);
	if (rc == SQLITE_OK && idle)
		s->wal_pages = s->wal_moved = 0;
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return STORE_OK;
	return database_fail(s, rc, "moving what is committed");
}

/* Bytes of a file; 0: it is not there. */
static uint64_t
file_bytes(const char *path, const char *more)
{
	char name[PATH_MAX + 8];
	struct stat st;

	strlcpy(name, path, sizeof(name));
	strlcat(name, more, sizeof(name));
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void
store_figures(struct store *s, struct store_figures *f)
{
	*f = (struct store_figures){.rows = s->rows,
	    .holes = s->holes,
	    .bytes = file_bytes(s->path, ""),
	    .wal_bytes = file_bytes(s->path, "-wal")};
}
