#include "schema.h"

#include <stdio.h>
#include <string.h>

/* Numbers of 64 bits are stored as signed ones. */
static const char tables[] =
    "CREATE TABLE channel("
    " id INTEGER PRIMARY KEY,"
    " name TEXT UNIQUE," /* NULL: lost with a damaged page */
    " epoch INTEGER NOT NULL,"
    " top INTEGER NOT NULL,"
    " seen INTEGER NOT NULL) STRICT;"
    "CREATE TABLE publication("
    " id INTEGER PRIMARY KEY,"
    " channel INTEGER NOT NULL,"
    " offset INTEGER NOT NULL,"
    " before INTEGER NOT NULL,"
    " time INTEGER NOT NULL,"
    " sender INTEGER,"
    " user TEXT,"
    " format INTEGER NOT NULL,"
    " data TEXT,"
    " info TEXT,"
    " sub_info TEXT,"
    " tags TEXT,"
    " erased INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE(channel, offset)) STRICT;"
    /* FORMAT_LEAP: what is no message is not counted as one */
    "CREATE INDEX publication_leap ON publication(channel, offset)"
    " WHERE format = 29;"
    "CREATE TABLE proposal("
    " position INTEGER PRIMARY KEY,"
    " publication INTEGER NOT NULL) STRICT;"
    "CREATE TABLE event("
    " id INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " channel INTEGER,"
    " user TEXT,"
    " device TEXT,"
    " peer TEXT) STRICT;"
    "CREATE INDEX event_channel ON event(channel) WHERE channel NOT NULL;"
    "CREATE TABLE user("
    " name TEXT PRIMARY KEY,"
    " first_seen INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL,"
    " delivered INTEGER NOT NULL DEFAULT 0,"
    " proved INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "CREATE TABLE hole("
    " id INTEGER PRIMARY KEY,"
    " channel INTEGER,"
    " after INTEGER NOT NULL,"
    " before INTEGER NOT NULL,"
    " time INTEGER NOT NULL,"
    " why TEXT NOT NULL) STRICT;"
    "CREATE TABLE mark("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " journal INTEGER NOT NULL,"
    " position INTEGER NOT NULL,"
    " boot TEXT NOT NULL,"
    " clean INTEGER NOT NULL,"
    " rows INTEGER NOT NULL) STRICT;"
    "INSERT INTO mark VALUES(1, 0, 0, '', 1, 0);";

/* What version a file of these numbers is of. empty: there is no table. */
static enum schema_state
schema_judge(int application, int version, bool empty, const char *path,
    char *error, size_t error_len)
{
	if (application == 0 && version == 0 && empty)
		return SCHEMA_NEW;
	if (application != STORE_APPLICATION) {
		snprintf(error, error_len,
		    "%s: the database is not one of chatd's: name another file",
		    path);
		return SCHEMA_REFUSED;
	}
	if (version > STORE_VERSION || version < 0) {
		snprintf(error, error_len,
		    "%s: the database has schema %d, this chatd knows %d: "
		    "install the newer chatd again, or name another file",
		    path, version, STORE_VERSION);
		return SCHEMA_REFUSED;
	}
	return version == STORE_VERSION ? SCHEMA_OK : SCHEMA_OLD;
}

/* A statement's only number; false: an error, noted. */
static bool
schema_number(struct store *s, const char *sql, int *out)
{
	int64_t n = 0;
	const enum store_result r =
	    database_number(s, database_statement(s, sql), "opening", &n);

	*out = (int)n;
	return r == STORE_OK;
}

enum schema_state
schema_look(struct store *s, int *version)
{
	int application, n;

	if (!schema_number(s, "PRAGMA application_id", &application) ||
	    !schema_number(s, "PRAGMA user_version", version) ||
	    !schema_number(s, "SELECT count(*) FROM sqlite_schema", &n))
		return SCHEMA_FAILED;
	return schema_judge(
	    application, *version, n == 0, s->path, s->error, sizeof(s->error));
}

/* A number of a file's header. */
static int
header_number(const unsigned char *at)
{
	return (int)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3]);
}

enum schema_state
schema_look_header(const unsigned char header[SCHEMA_HEADER], const char *path,
    char *error, size_t error_len)
{
	static const char magic[16] = "SQLite format 3";

	if (memcmp(header, magic, sizeof(magic)) != 0) {
		snprintf(error, error_len,
		    "%s: this is not a database: name another file", path);
		return SCHEMA_REFUSED;
	}
	return schema_judge(header_number(header + 68),
	    header_number(header + 60), header_number(header + 28) <= 1, path,
	    error, error_len);
}

enum store_result
schema_make(struct store *s)
{
	char sql[128];
	enum store_result r;

	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d",
	    STORE_APPLICATION, STORE_VERSION);
	if ((r = database_begin(s, true)) != STORE_OK ||
	    (r = database_exec(s, tables, "making its tables")) != STORE_OK ||
	    (r = database_exec(s, sql, "making its tables")) != STORE_OK)
		return r;
	return database_commit(s);
}
