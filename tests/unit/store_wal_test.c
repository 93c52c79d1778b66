/* wal: the write-ahead log is written in large pieces, and all of a commit is
 * in it when the commit is told. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>

static unsigned writes; /* system calls */
static unsigned good;	/* so many succeed before the disk is full; 0: all */

/* pwrite(2) as SQLite calls it. */
static ssize_t
counted_write(int fd, const void *bytes, size_t len, off_t at)
{
	if (good != 0 && writes >= good) {
		errno = ENOSPC;
		return -1;
	}
	writes++;
	return pwrite(fd, bytes, len, at);
}

static void
count_begin(unsigned limit)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	writes = 0;
	good = limit;
	vfs->xSetSystemCall(
	    vfs, "pwrite64", (sqlite3_syscall_ptr)counted_write);
}

static void
count_end(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	vfs->xSetSystemCall(vfs, "pwrite64", NULL);
}

enum { CHANNELS = 300 };
static struct store_channel of[CHANNELS];

/* One message for each of many channels. */
static void
say_all(struct store *s, const char *text)
{
	char name[32];

	for (int k = 0; k < CHANNELS; k++) {
		snprintf(name, sizeof(name), "room:%d", k);
		of[k] = channel(s, name);
		say(s, &of[k], text);
	}
}

/* What another connection finds. */
static long long
rows(void)
{
	return number(path, "SELECT count(*) FROM publication");
}

static bool
is_sound(void)
{
	return number(path,
		   "SELECT integrity_check = 'ok' FROM"
		   " pragma_integrity_check") == 1;
}

/* A writer that syncs at each commit, or not. */
static struct store *
writer_of(bool full)
{
	const struct store_options o = {.path = path,
	    .use = STORE_WRITES,
	    .sync_full = full,
	    .wait_ms = 100};
	struct store *s;

	assert_int_equal(
	    store_open(&s, &o, &mark, &damaged, error, sizeof(error)), 0);
	return s;
}

/* Tens of pages are some writes, and others read them at once, also where
 * nothing is synced. */
static void
commit_is_few_writes(void **state)
{
	for (int full = 0; full < 2; full++) {
		struct store *s = writer_of(full);

		for (int k = 0; k < 20; k++)
			say_all(s, "a text that fills some part of a page");
		commit(s, 1);
		say_all(s, "another one");
		count_begin(0);
		commit(s, 2);
		count_end();
		assert_in_range(writes, 1, 8);
		assert_int_equal(rows(), (full + 1) * 21 * CHANNELS);
		assert_true(is_sound());
		store_close(s);
	}
}

/* A transaction larger than the cache writes pages before its commit, some of
 * them twice. */
static void
large_transaction_is_whole(void **state)
{
	static char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	for (int full = 0; full < 2; full++) {
		struct store *s = writer_of(full);

		database_exec(s, "PRAGMA cache_size = 20", "");
		for (int k = 0; k < 10; k++)
			say_all(s, text);
		/* others see nothing of it yet; who writes does */
		assert_int_equal(rows(), full * 10 * CHANNELS);
		assert_int_equal(channel(s, "room:7").newest, of[7].top);
		commit(s, 1);
		assert_int_equal(rows(), (full + 1) * 10 * CHANNELS);
		assert_true(is_sound());
		store_close(s);
	}
}

/* Whichever write fails, the commit is not there, and the next one is. */
static void
each_write_may_fail(void **state)
{
	struct store *s = writer();
	int64_t all = 0;

	say_all(s, "a");
	commit(s, 1);
	for (unsigned k = 1;; k++) {
		enum store_result r;

		all += CHANNELS;
		assert_int_equal(rows(), all);
		say_all(s, "b");
		count_begin(k);
		r = store_commit(s, &mark);
		count_end();
		if (r == STORE_OK)
			break;
		assert_int_equal(r, STORE_FULL);
		assert_int_equal(rows(), all);
		say_all(s, "c");
		commit(s, 2);
	}
	assert_true(is_sound());
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		commit_is_few_writes, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		large_transaction_is_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		each_write_may_fail, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
