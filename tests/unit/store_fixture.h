/* store_fixture: what tests of the database share: a folder, a database in it,
 * publications, and file systems that say what a test wants. */
#ifndef CHATD_TESTS_UNIT_STORE_FIXTURE_H
#define CHATD_TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../../src/store/database.h"

static char folder[64];
static char path[128];
static char error[2048];
static bool damaged;
static enum store_result unopened; /* why it was not */
static struct store_mark mark;
static unsigned long fs_type; /* 0: what it is */
static bool fs_is_full;
static bool fs_is_open; /* it has no locks */

/* The file system, as the test says. */
int
statfs(const char *name, struct statfs *fs)
{
	const long r = syscall(SYS_statfs, name, fs);

	if (r == 0 && fs_type != 0)
		fs->f_type = (long)fs_type;
	return (int)r;
}

/* Free or full, as the test says. */
int
statvfs(const char *name, struct statvfs *fs)
{
	*fs = (struct statvfs){
	    .f_frsize = 4096, .f_blocks = 10000, .f_bavail = 5000};
	if (fs_is_full)
		fs->f_bavail = 499;
	return 0;
}

/* Locked, or not, as the test says. */
int
flock(int fd, int how)
{
	if (!fs_is_open)
		return (int)syscall(SYS_flock, fd, how);
	errno = ENOLCK;
	return -1;
}

/* A folder of this test's own. */
static inline int
setup(void **state)
{
	strlcpy(folder, "/tmp/chatd-store-XXXXXX", sizeof(folder));
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/chat.db", folder);
	mark = (struct store_mark){0};
	fs_type = 0;
	fs_is_full = fs_is_open = damaged = false;
	return 0;
}

static inline int
teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* Opens it; NULL: error says why not. */
static inline struct store *
try(enum store_use use)
{
	const struct store_options o = {.path = path,
	    .use = use,
	    .sync_full = true,
	    .wait_ms = 100,
	    .why = &unopened};
	struct store *s;

	error[0] = '\0';
	if (store_open(&s, &o, &mark, &damaged, error, sizeof(error)) == -1)
		assert_true(error[0] != '\0' && strchr(error, '\n') == NULL);
	return s;
}

static inline struct store *
writer(void)
{
	struct store *s = try(STORE_WRITES);

	if (s == NULL)
		fail_msg("%s", error);
	return s;
}

/* A channel, made if it is not there. */
static inline struct store_channel
channel(struct store *s, const char *name)
{
	struct store_channel c;

	assert_int_equal(store_channel(s, name, strlen(name), 7, &c), STORE_OK);
	return c;
}

/* The channel's next message. */
static inline struct publication
message(const struct store_channel *c, const char *text)
{
	return (struct publication){.offset = c->top + 1,
	    .before = c->top,
	    .time_ms = 1700000000000 + (int64_t)c->top,
	    .sender = 77,
	    .format = FORMAT_TEXT,
	    .user = "alice",
	    .user_len = 5,
	    .data = text,
	    .data_len = (uint32_t)strlen(text)};
}

static inline void
say(struct store *s, struct store_channel *c, const char *text)
{
	const struct publication p = message(c, text);

	assert_int_equal(store_take(s, c, &p), STORE_OK);
}

static inline void
commit(struct store *s, uint64_t position)
{
	mark.journal = 9;
	mark.position = position;
	assert_int_equal(store_commit(s, &mark), STORE_OK);
}

/* What was found: a line of text for each row. */
struct found {
	char text[8192];
	unsigned n;
};

static inline bool
note(void *arg, const struct store_row *r)
{
	struct found *f = arg;
	const size_t at = strlen(f->text);

	snprintf(f->text + at, sizeof(f->text) - at, "%.*s %llu<%llu %.*s\n",
	    (int)r->name_len, r->name, (unsigned long long)r->pub.offset,
	    (unsigned long long)r->pub.before, (int)r->pub.data_len,
	    r->pub.data != NULL ? r->pub.data : "");
	f->n++;
	return true;
}

/* What a query finds, as such lines; good until the next call. */
static inline const char *
find(struct store *s, const struct store_query *q)
{
	static struct found f;

	f = (struct found){.n = 0};
	assert_int_equal(store_find(s, q, note, &f), STORE_OK);
	return f.text;
}

/* All of a channel. */
static inline const char *
page(struct store *s, const char *name)
{
	const struct store_query q = {
	    .what = STORE_PAGE, .name = name, .name_len = strlen(name)};

	return find(s, &q);
}

/* A statement's first number, by a connection of its own. */
static inline long long
number(const char *file, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	long long n;

	assert_int_equal(
	    sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), 0);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	n = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0)
					     : -1;
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

/* Statements, by a connection of their own. */
static inline void
sql(const char *file, const char *text)
{
	sqlite3 *db;
	char *wrong = NULL;

	assert_int_equal(sqlite3_open(file, &db), 0);
	if (sqlite3_exec(db, text, NULL, NULL, &wrong) != SQLITE_OK)
		fail_msg("%s", wrong);
	sqlite3_close(db);
}

#endif
