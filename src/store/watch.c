#include "watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "database.h"

enum {
	WATCH_PAGE = 4096,   /* bytes of a page, which a new file has */
	WATCH_HEAD = 16,     /* in the file's header: bytes of a page, and 2
			      * with a log ahead, which a copy by VACUUM has
			      * not */
	WATCH_LEAF = 13,     /* a page of a table that has rows */
	WATCH_ROW = 8,	     /* there: where its first one lies */
	WATCH_COLUMNS = 3,   /* id, journal and position come first */
	WATCH_ROW_MOST = 128 /* bytes of it that are looked at */
};

/* The ends of the names of the files beside it. */
static const char *const ends[2] = {"-wal", "-shm"};

/* The name of a file beside it, and its number; 0: it is not there. */
static uint64_t
beside_find(const struct store *s, int k, char name[CONF_PATH_BYTES + 8])
{
	struct stat st;

	snprintf(name, CONF_PATH_BYTES + 8, "%s%s", s->path, ends[k]);
	return stat(name, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* Bytes of a whole number in a row, by its type, as SQLite's file format has
 * it. */
static unsigned
row_bytes(unsigned type)
{
	static const unsigned char bytes[] = {0, 1, 2, 3, 4, 6, 8};

	return type < sizeof(bytes) ? bytes[type] : 0;
}

/* That number; type 9 is 1 without a byte. */
static uint64_t
row_number(const unsigned char *at, unsigned type)
{
	uint64_t n = type == 9;

	for (unsigned k = 0; k < row_bytes(type); k++)
		n = n << 8 | at[k];
	return n;
}

/* Reads the mark in the file itself, beside SQLite: what is not moved there yet
 * does not count. False: it is not there. */
static bool
watch_read(const struct store *s, struct note_place *out)
{
	static const unsigned char known[] = {WATCH_PAGE >> 8, 0, 2};
	unsigned char head[sizeof(known)];
	unsigned char page[WATCH_PAGE + WATCH_ROW_MOST] = {0};
	const unsigned char *row, *at;
	unsigned from;

	if (pread(s->lock.file, head, sizeof(head), WATCH_HEAD) !=
		sizeof(head) ||
	    memcmp(head, known, sizeof(known)) != 0 ||
	    pread(s->lock.file, page, WATCH_PAGE,
		(s->watch.page - 1) * WATCH_PAGE) != WATCH_PAGE ||
	    page[0] != WATCH_LEAF)
		return false;
	from = (unsigned)page[WATCH_ROW] << 8 | page[WATCH_ROW + 1];
	if (from >= WATCH_PAGE)
		return false;
	/* its length and id have a byte each */
	row = page + from + 2;
	at = row + row[0];
	if (row[0] <= WATCH_COLUMNS || row[0] > WATCH_ROW_MOST / 2)
		return false;
	out->journal = row_number(at, row[2]);
	out->position = row_number(at + row_bytes(row[2]), row[3]);
	return true;
}

/* Notes the file as it is. */
static void
watch_note(struct store *s, const struct stat *st)
{
	s->watch.bytes = st->st_size;
	s->watch.changed = st->st_mtim;
}

/* Whether it may be what it was before, and some of the log. */
static bool
watch_goes_on(struct store *s)
{
	const struct note_place before = s->watch.place;
	struct note_place now;

	if (!watch_read(s, &now))
		return false;
	s->watch.place = now;
	return now.journal != before.journal || now.position >= before.position;
}

void
watch_begin(struct store *s)
{
	static const char sql[] =
	    "SELECT rootpage FROM sqlite_schema WHERE name = 'mark'";
	char name[CONF_PATH_BYTES + 8];
	struct stat st;

	for (int k = 0; k < 2; k++)
		s->watch.beside[k] = beside_find(s, k, name);
	if (s->lock.file == -1 || fstat(s->lock.file, &st) == -1)
		return;
	(void)database_number(
	    s, database_statement(s, sql), "opening", &s->watch.page);
	/* of another page size, or as it is not understood here: not watched */
	if (s->watch.page < 2 || !watch_read(s, &s->watch.place))
		s->watch.page = 0;
	watch_note(s, &st);
}

void
watch_moved(struct store *s)
{
	struct stat st;

	if (s->watch.page == 0 || fstat(s->lock.file, &st) == -1)
		return;
	s->watch.overwritten |= !watch_goes_on(s);
	watch_note(s, &st);
}

/* Whether others have written there. */
static bool
watch_is_overwritten(struct store *s)
{
	struct stat st;

	if (s->watch.page != 0 && fstat(s->lock.file, &st) == 0 &&
	    (st.st_size != s->watch.bytes ||
		memcmp(&st.st_mtim, &s->watch.changed, sizeof(st.st_mtim)) !=
		    0))
		watch_moved(s);
	return s->watch.overwritten;
}

const char *
watch_look(struct store *s)
{
	char name[CONF_PATH_BYTES + 8];

	if (!lock_holds(&s->lock, s->given))
		return "the file was deleted, renamed or replaced";
	if (watch_is_overwritten(s))
		return "another file was copied over the file";
	for (int k = 0; k < 2; k++)
		if (s->watch.beside[k] != 0 &&
		    beside_find(s, k, name) != s->watch.beside[k])
			return k == 0 ? "the file's -wal was deleted"
				      : "the file's -shm was deleted";
	return NULL;
}

void
watch_leave(struct store *s)
{
	char name[CONF_PATH_BYTES + 8], left[CONF_PATH_BYTES + 16];
	bool moved = false;

	if (s->lock.file == -1 || s->watch.beside[0] == 0 ||
	    watch_look(s) == NULL)
		return;
	if (s->watch.overwritten)
		/* nothing of it fits what is there now */
		sqlite3_db_config(
		    s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	else
		moved =
		    sqlite3_wal_checkpoint_v2(s->db, NULL,
			SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
	if (beside_find(s, 0, name) == s->watch.beside[0]) {
		/* a log that another process reads just then is left, where it
		 * belongs to what is at the path still */
		snprintf(left, sizeof(left), "%s.left", name);
		if (moved)
			(void)unlink(name);
		else if (s->watch.overwritten ||
		    !lock_holds(&s->lock, s->given))
			(void)rename(name, left);
	}
	if (s->watch.beside[1] != 0 &&
	    beside_find(s, 1, name) == s->watch.beside[1])
		(void)unlink(name);
}
