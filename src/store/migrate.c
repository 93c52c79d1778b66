#include "migrate.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* A database of version 1 is of the first one that there was. */
const struct migrate_step migrate_steps[] = {{0, NULL}};

/* Copies the database beside it. What an earlier try has left behind is not
 * taken for a copy. */
static enum store_result
migrate_copy(struct store *s, int from, char copy[PATH_MAX])
{
	static const char sql[] = "VACUUM INTO ?1";
	const time_t now = time(NULL);
	char partial[PATH_MAX], when[32];
	enum store_result r;
	sqlite3_stmt *stmt;
	struct tm tm;
	mode_t mask;

	strftime(when, sizeof(when), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
	if (snprintf(partial, sizeof(partial), "%s.partial", s->path) >=
		PATH_MAX ||
	    snprintf(copy, PATH_MAX, "%s.v%d-%s", s->path, from, when) >=
		PATH_MAX)
		return database_fail(s, SQLITE_CANTOPEN, "copying it");
	(void)unlink(partial);
	if ((stmt = database_statement(s, sql)) != NULL)
		sqlite3_bind_text(stmt, 1, partial, -1, SQLITE_STATIC);
	mask = umask(027);
	r = database_run(s, stmt, "copying it before its schema changes");
	umask(mask);
	if (r != STORE_OK)
		return r;
	return rename(partial, copy) == 0
	    ? STORE_OK
	    : database_fail(s, SQLITE_IOERR, "copying it");
}

/* What leads away from a version; NULL: nothing does. */
static const char *
migrate_sql(int from, const struct migrate_step *steps)
{
	while (steps->sql != NULL && steps->from != from)
		steps++;
	return steps->sql;
}

/* Whether steps lead all the way. */
static bool
migrate_leads(
    struct store *s, int from, int to, const struct migrate_step *steps)
{
	for (int v = from; v < to; v++)
		if (migrate_sql(v, steps) == NULL) {
			snprintf(s->error, sizeof(s->error),
			    "%s: the database has schema %d, which no chatd "
			    "ever had: name another file",
			    s->path, v);
			return false;
		}
	return true;
}

/* All steps, in one transaction. */
static enum store_result
migrate_run(struct store *s, int from, int to, const struct migrate_step *steps)
{
	static const char doing[] = "changing its schema";
	enum store_result r = database_begin(s, true);
	char sql[64];

	for (int v = from; v < to && r == STORE_OK; v++)
		r = database_exec(s, migrate_sql(v, steps), doing);
	if (r != STORE_OK)
		return r;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", to);
	r = database_exec(s, sql, doing);
	return r == STORE_OK ? database_commit(s) : r;
}

enum store_result
migrate(struct store *s, int from, int to, const struct migrate_step *steps)
{
	char copy[PATH_MAX];
	enum store_result r;

	if (!migrate_leads(s, from, to, steps))
		return STORE_NONE;
	if ((r = migrate_copy(s, from, copy)) != STORE_OK ||
	    (r = migrate_run(s, from, to, steps)) != STORE_OK)
		return r;
	log_info("%s: schema %d became %d; the database as it was: %s", s->path,
	    from, to, copy);
	return store_checkpoint(s, true);
}
