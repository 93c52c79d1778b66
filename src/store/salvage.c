#include "store/salvage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "database.h"

enum {
	/* Ids behind damage that are tried one by one, before larger and larger
	 * steps are. Larger: a gap in the numbers takes longer (some 40 us
	 * each); smaller: whole pages between damaged ones are passed over. */
	SALVAGE_NEAR = 10000,
	SALVAGE_COMMIT = 10000, /* rows of one transaction */
	SALVAGE_COLUMNS = 16
};

struct salvage {
	sqlite3 *from, *to;
	uint64_t rows;	  /* of this table, */
	uint64_t refused; /* read, and not taken by the new one */
	uint64_t missed;  /* ids at which nothing could be read */
};

/* A table, by whose first column its rows are found. */
struct salvage_table {
	const char *name, *key;
	const char *insert;
	bool by_text; /* key is a text: all rows up to the first damage */
};

static const struct salvage_table tables[] = {
    {"channel", "id",
	"INSERT OR IGNORE INTO channel VALUES(?1, ?2, ?3, ?4, ?5)", false},
    {"publication", "id",
	"INSERT OR IGNORE INTO publication VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	" ?8, ?9, ?10, ?11, ?12, ?13)",
	false},
    {"event", "id",
	"INSERT OR IGNORE INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	false},
    {"hole", "id", "INSERT OR IGNORE INTO hole VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	false},
    {"user", "name", "INSERT OR IGNORE INTO user VALUES(?1, ?2, ?3, ?4, ?5)",
	true}};

/* Names that the index has of channels whose own rows are lost. */
static const char names[] =
    "SELECT id, name FROM channel INDEXED BY sqlite_autoindex_channel_1"
    " WHERE name > '' ORDER BY name";
static const char names_insert[] =
    "INSERT OR IGNORE INTO channel VALUES(?1, ?2, random() | 1, 0, 0)";

/* What follows from the rows: a channel whose own row and name are gone keeps
 * its messages, offsets go on above all that are there. An epoch is not 0. */
static const char follow[] =
    "INSERT OR IGNORE INTO channel SELECT channel, NULL, random() | 1,"
    " max(offset), max(time) FROM publication GROUP BY channel;"
    "UPDATE channel SET top = max(top, ifnull((SELECT max(offset)"
    " FROM publication p WHERE p.channel = channel.id), 0)),"
    " seen = CASE seen WHEN 0 THEN ifnull((SELECT max(time)"
    " FROM publication p WHERE p.channel = channel.id), 0) ELSE seen END;"
    /* of another journal than any: offsets that were told may be missing */
    "UPDATE mark SET journal = 1, clean = 0,"
    " rows = (SELECT count(*) FROM publication);"
    "COMMIT;";

/* Ends a transaction and begins another now and then. */
static void
salvage_pause(struct salvage *s)
{
	if (s->rows % SALVAGE_COMMIT == 0)
		sqlite3_exec(s->to, "COMMIT; BEGIN", NULL, NULL, NULL);
}

/* Puts a row that was read into the new database. */
static void
salvage_put(struct salvage *s, sqlite3_stmt *row, sqlite3_stmt *insert)
{
	const int n = sqlite3_column_count(row);

	sqlite3_reset(insert);
	for (int i = 0; i < n && i < SALVAGE_COLUMNS; i++)
		sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
	if (sqlite3_step(insert) == SQLITE_DONE && sqlite3_changes(s->to) == 1)
		s->rows++;
	else
		s->refused++;
	sqlite3_reset(insert);
	salvage_pause(s);
}

/* Puts rows from an id on; the last one, and whether that was the end. */
static bool
salvage_run(struct salvage *s, sqlite3_stmt *rows, sqlite3_stmt *insert,
    bool by_id, sqlite3_int64 *last)
{
	int rc;

	while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
		if (by_id)
			*last = sqlite3_column_int64(rows, 0);
		salvage_put(s, rows, insert);
	}
	sqlite3_reset(rows);
	return rc == SQLITE_DONE;
}

/* Whether what is behind an id can be read. */
static bool
salvage_try(sqlite3_stmt *rows, sqlite3_int64 id)
{
	int rc;

	sqlite3_bind_int64(rows, 1, id);
	rc = sqlite3_step(rows);
	sqlite3_reset(rows);
	return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

/* From where on it can be, far behind an id: by steps that grow until it can,
 * then by halves back to where that begins. False: from nowhere on. */
static bool
salvage_far(sqlite3_stmt *rows, sqlite3_int64 *last)
{
	sqlite3_int64 bad = *last, good = INT64_MAX, middle;

	for (sqlite3_int64 step = 1; good == INT64_MAX && bad <= good - step;
	     step *= 2)
		if (salvage_try(rows, bad + step))
			good = bad + step;
		else
			bad += step;
	if (good == INT64_MAX)
		return false;
	while (good - bad > 1) {
		middle = bad + (good - bad) / 2;
		if (salvage_try(rows, middle))
			good = middle;
		else
			bad = middle;
	}
	*last = good;
	return true;
}

/* All rows of a table with ids. Behind damage they are looked for id by id,
 * and further off where that finds none, until some can be read in a row again.
 */
static void
salvage_ids(struct salvage *s, const char *name, sqlite3_stmt *rows,
    sqlite3_stmt *insert)
{
	sqlite3_int64 last = 0, from;
	bool good = true;

	while (good) {
		sqlite3_bind_int64(rows, 1, last);
		if (salvage_run(s, rows, insert, true, &last))
			return;
		from = last;
		good = false;
		for (int near = 0; near < SALVAGE_NEAR && !good; near++)
			good = salvage_try(rows, ++last);
		if (good) {
			s->missed += (uint64_t)(last - from);
		} else if ((good = salvage_far(rows, &last))) {
			printf("%s: none of the ids from %lld to %lld could be "
			       "read\n",
			    name, from + 1, last);
		} else {
			printf("%s: no id from %lld on could be read\n", name,
			    from + 1);
		}
	}
}

/* All rows of a table up to the first damage. */
static void
salvage_texts(struct salvage *s, const char *name, sqlite3_stmt *rows,
    sqlite3_stmt *insert)
{
	sqlite3_int64 last;

	sqlite3_bind_text(rows, 1, "", -1, SQLITE_STATIC);
	if (!salvage_run(s, rows, insert, false, &last))
		printf("%s: what is behind these could not be read\n", name);
}

/* One table. */
static void
salvage_table(struct salvage *s, const struct salvage_table *t)
{
	sqlite3_stmt *rows = NULL, *insert = NULL;
	char sql[128];

	s->rows = s->refused = s->missed = 0;
	snprintf(sql, sizeof(sql),
	    "SELECT * FROM %s NOT INDEXED WHERE %s > ?1 ORDER BY %s", t->name,
	    t->key, t->key);
	if (sqlite3_prepare_v2(s->from, sql, -1, &rows, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(s->to, t->insert, -1, &insert, NULL) ==
		SQLITE_OK) {
		if (t->by_text)
			salvage_texts(s, t->name, rows, insert);
		else
			salvage_ids(s, t->name, rows, insert);
		printf("%s: %" PRIu64 " rows\n", t->name, s->rows);
	} else
		printf("%s: cannot be read: %s\n", t->name,
		    sqlite3_errmsg(s->from));
	if (s->missed != 0 || s->refused != 0)
		printf("%s: %" PRIu64 " places could not be read, %" PRIu64
		       " rows made no sense\n",
		    t->name, s->missed, s->refused);
	sqlite3_finalize(rows);
	sqlite3_finalize(insert);
}

/* Channels that are lost, and whose names are not. */
static void
salvage_names(struct salvage *s)
{
	sqlite3_stmt *rows = NULL, *insert = NULL;
	sqlite3_int64 last;

	s->rows = s->refused = 0;
	if (sqlite3_prepare_v2(s->from, names, -1, &rows, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(s->to, names_insert, -1, &insert, NULL) ==
		SQLITE_OK)
		(void)salvage_run(s, rows, insert, false, &last);
	if (s->rows != 0)
		printf("channel: %" PRIu64 " more by their names alone\n",
		    s->rows);
	sqlite3_finalize(rows);
	sqlite3_finalize(insert);
}

/* Whether something is there by a name with one of those ends: another who may
 * write to that folder could have what is written go elsewhere. */
static bool
salvage_is_taken(const char *into)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
	char name[CONF_PATH_BYTES + 8];
	struct stat st;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (snprintf(name, sizeof(name), "%s%s", into, ends[i]) <
			(int)sizeof(name) &&
		    lstat(name, &st) == -1 && errno == ENOENT)
			continue;
		fprintf(stderr, "%s: it is there: name a new file\n", name);
		return true;
	}
	return false;
}

int
salvage(const char *damaged, const char *into)
{
	const struct store_options o = {
	    .path = into, .use = STORE_WRITES, .sync_full = true};
	struct salvage s = {.from = NULL};
	struct store_mark mark;
	struct store *store;
	char error[STORE_ERROR];
	bool bad;

	if (salvage_is_taken(into))
		return 1;
	if (sqlite3_open_v2(damaged, &s.from, SQLITE_OPEN_READONLY, NULL) !=
		SQLITE_OK ||
	    sqlite3_exec(s.from, "SELECT count(*) FROM publication WHERE 0",
		NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: nothing of it can be read: %s\n", damaged,
		    sqlite3_errmsg(s.from));
		return 1;
	}
	if (store_open(&store, &o, &mark, &bad, error, sizeof(error)) == -1) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	s.to = store->db;
	sqlite3_exec(s.to, "BEGIN", NULL, NULL, NULL);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		salvage_table(&s, &tables[i]);
	salvage_names(&s);
	bad = sqlite3_exec(s.to, follow, NULL, NULL, NULL) != SQLITE_OK;
	if (bad)
		fprintf(stderr, "%s: %s\n", into, sqlite3_errmsg(s.to));
	sqlite3_close(s.from);
	store_close(store);
	return bad;
}
