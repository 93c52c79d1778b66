/* store_rows_fixture: a database in a folder of its own, rows in it, and what
 * is found there. */
#ifndef CHATD_TESTS_STORE_ROWS_FIXTURE_H
#define CHATD_TESTS_STORE_ROWS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/store/database.h"
#include "store/store.h"

enum { ROWS_MOST = 4096 };

static char rows_dir[] = "/tmp/chatd-store.XXXXXX";
static char rows_path[64];
static struct store *rows_store;
static struct store_mark rows_mark;
static int64_t rows_now = 1000000; /* time of the next row */

/* What was found: offsets, and the newest text. */
static uint64_t rows_found[ROWS_MOST];
static unsigned rows_n;
static char rows_text[256];

/* Opens it, as it is. */
static inline void
rows_open(bool search)
{
	struct store_options o = {.path = rows_path,
	    .use = STORE_WRITES,
	    .sync_full = false,
	    .search = search};
	char error[1024];
	bool damaged;

	if (store_open(&rows_store, &o, &rows_mark, &damaged, error,
		sizeof(error)) == -1)
		fail_msg("%s", error);
	rows_mark.journal = 1;
}

static inline int
rows_begin(void **state)
{
	strcpy(rows_dir + sizeof(rows_dir) - 7, "XXXXXX");
	assert_non_null(mkdtemp(rows_dir));
	snprintf(rows_path, sizeof(rows_path), "%s/chat.db", rows_dir);
	rows_now = 1000000;
	rows_open(true);
	return 0;
}

static inline int
rows_end(void **state)
{
	char command[128];

	store_close(rows_store);
	rows_store = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", rows_dir);
	return system(command);
}

static inline void
rows_commit(void)
{
	assert_int_equal(store_commit(rows_store, &rows_mark), STORE_OK);
}

/* Somebody says something in a channel; its offset is the next one. */
static inline uint64_t
rows_say(
    const char *channel, const char *user, uint8_t format, const char *data)
{
	struct publication p = {.time_ms = rows_now++,
	    .sender = 7,
	    .format = format,
	    .user = user,
	    .user_len = (uint8_t)strlen(user),
	    .info = "{}",
	    .info_len = 2,
	    .data = data,
	    .data_len = (uint32_t)strlen(data)};
	struct store_channel c;

	assert_int_equal(
	    store_channel(rows_store, channel, strlen(channel), 5, &c),
	    STORE_OK);
	p.before = c.top;
	p.offset = c.top + 1;
	assert_int_equal(store_take(rows_store, &c, &p), STORE_OK);
	return p.offset;
}

static inline bool
rows_note(void *arg, const struct store_row *r)
{
	assert_true(rows_n < ROWS_MOST);
	if (rows_n == 0)
		snprintf(rows_text, sizeof(rows_text), "%.*s %.*s %.*s",
		    (int)r->name_len, r->name, r->pub.user_len, r->pub.user,
		    (int)r->pub.data_len, r->pub.data);
	rows_found[rows_n++] = r->pub.offset;
	return true;
}

/* Finds what there is of a channel; returns how many rows. */
static inline unsigned
rows_of(const char *channel)
{
	const struct store_query q = {
	    .what = STORE_PAGE, .name = channel, .name_len = strlen(channel)};

	rows_n = 0;
	assert_int_equal(store_find(rows_store, &q, rows_note, NULL), STORE_OK);
	return rows_n;
}

/* Searches; NULL: in all channels. */
static inline enum store_result
rows_search(const char *channel, const char *text)
{
	const struct store_query q = {.what = STORE_MATCHES,
	    .name = channel,
	    .name_len = channel != NULL ? strlen(channel) : 0,
	    .text = text,
	    .text_len = strlen(text),
	    .limit = 100};

	rows_n = 0;
	rows_text[0] = '\0';
	return store_find(rows_store, &q, rows_note, NULL);
}

/* How many match. */
static inline unsigned
rows_match(const char *channel, const char *text)
{
	assert_int_equal(rows_search(channel, text), STORE_OK);
	return rows_n;
}

/* A number that a statement says of the database. */
static inline int64_t
rows_number(const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n;

	assert_int_equal(
	    sqlite3_prepare_v2(rows_store->db, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

#endif
