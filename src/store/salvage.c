#include "store/salvage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "database.h"

enum {
	/* Ids in a row that cannot be read before the table's end is taken to
	 * be reached. Larger: a table whose end is damaged takes longer (some
	 * us each); smaller: rows behind a large gap are left out. */
	SALVAGE_GAP = 1000000,
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
	const char *text; /* key is a text: all rows up to the first damage */
};

static const struct salvage_table tables[] = {
    {"channel", "id",
	"INSERT OR IGNORE INTO channel VALUES(?1, ?2, ?3, ?4, ?5)", NULL},
    {"publication", "id",
	"INSERT OR IGNORE INTO publication VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	" ?8, ?9, ?10, ?11, ?12, ?13)",
	NULL},
    {"event", "id",
	"INSERT OR IGNORE INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)", NULL},
    {"hole", "id", "INSERT OR IGNORE INTO hole VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	NULL},
    {"user", "name", "INSERT OR IGNORE INTO user VALUES(?1, ?2, ?3, ?4, ?5)",
	""}};

/* What follows from the rows: a channel whose own row is gone keeps its
 * messages without a name, offsets go on above all that are there. */
static const char follow[] =
    "INSERT OR IGNORE INTO channel SELECT channel, NULL, 0, max(offset),"
    " max(time) FROM publication GROUP BY channel;"
    "UPDATE channel SET top = max(top, ifnull((SELECT max(offset)"
    " FROM publication p WHERE p.channel = channel.id), 0));"
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

/* All rows of a table with ids. Behind damage they are looked for id by id,
 * until some can be read in a row again. */
static void
salvage_ids(struct salvage *s, sqlite3_stmt *rows, sqlite3_stmt *insert)
{
	sqlite3_int64 last = 0;
	bool good = true;
	int rc;

	while (good) {
		sqlite3_bind_int64(rows, 1, last);
		if (salvage_run(s, rows, insert, true, &last))
			return;
		good = false;
		for (int gap = 0; gap < SALVAGE_GAP && !good; gap++) {
			s->missed++;
			sqlite3_bind_int64(rows, 1, ++last);
			rc = sqlite3_step(rows);
			good = rc == SQLITE_ROW || rc == SQLITE_DONE;
			sqlite3_reset(rows);
		}
	}
	s->missed -= SALVAGE_GAP; /* behind the table's end, as is taken */
}

/* One table. */
static void
salvage_table(struct salvage *s, const struct salvage_table *t)
{
	sqlite3_stmt *rows = NULL, *insert = NULL;
	sqlite3_int64 last;
	char sql[128];

	s->rows = s->refused = s->missed = 0;
	snprintf(sql, sizeof(sql),
	    "SELECT * FROM %s NOT INDEXED WHERE %s > ?1 ORDER BY %s", t->name,
	    t->key, t->key);
	if (sqlite3_prepare_v2(s->from, sql, -1, &rows, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(s->to, t->insert, -1, &insert, NULL) ==
		SQLITE_OK) {
		if (t->text == NULL)
			salvage_ids(s, rows, insert);
		else {
			sqlite3_bind_text(rows, 1, t->text, -1, SQLITE_STATIC);
			(void)salvage_run(s, rows, insert, false, &last);
		}
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

	if (access(into, F_OK) == 0) {
		fprintf(stderr, "%s: it is there: name a new file\n", into);
		return 1;
	}
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
	bad = sqlite3_exec(s.to, follow, NULL, NULL, NULL) != SQLITE_OK;
	if (bad)
		fprintf(stderr, "%s: %s\n", into, sqlite3_errmsg(s.to));
	sqlite3_close(s.from);
	store_close(store);
	return bad;
}
