/* watch: files that are deleted, replaced or written over are noticed, and
 * copies that are put in their place. */
#include "store_fixture.h"

/* An older one in its place, and one of which nothing is noted, is told as a
 * copy until it has been committed to. */
static void
copy_is_told(void **state)
{
	char command[512], lock[160];
	struct store *s;

	snprintf(lock, sizeof(lock), "%s-lock", path);
	for (uint64_t at = 1; at <= 3; at++) {
		s = writer();
		assert_false(mark.copied);
		commit(s, at);
		store_close(s);
		if (at == 1) {
			snprintf(command, sizeof(command), "cp %s %s/old", path,
			    folder);
			assert_int_equal(system(command), 0);
		}
	}
	for (int k = 0; k < 2; k++) {
		snprintf(
		    command, sizeof(command), "cp %s/old %s", folder, path);
		if (k == 0)
			assert_int_equal(system(command), 0);
		else
			assert_int_equal(unlink(lock), 0);
		for (int n = 0; n < 2; n++) {
			s = writer();
			assert_true(mark.copied);
			if (n == 1)
				commit(s, mark.position);
			store_close(s);
		}
		s = writer();
		assert_false(mark.copied);
		store_close(s);
	}
	/* who reads is not told */
	assert_int_equal(unlink(lock), 0);
	s = try(STORE_READS);
	assert_false(mark.copied);
	store_close(s);
}

/* A commit into a file that is gone is none; what comes into its place is
 * whole, without what the old log had. */
static void
gone_is_told(void **state)
{
	char copy[160], wal[160], command[512];
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");

	say(s, &c, "kept");
	commit(s, 1);
	snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(command, sizeof(command), "VACUUM INTO '%s'", copy);
	sql(path, command);
	for (int k = 0; k < 100; k++) {
		say(s, &c, "lost");
		commit(s, 2);
	}
	assert_int_equal(store_look(s), STORE_OK);
	assert_int_equal(rename(copy, path), 0);
	assert_int_equal(store_look(s), STORE_GONE);
	say(s, &c, "lost");
	assert_int_equal(store_commit(s, &mark), STORE_GONE);
	assert_non_null(strstr(store_error(s), "deleted, renamed or replaced"));
	store_close(s);
	assert_int_equal(access(wal, F_OK), -1);
	s = writer();
	assert_int_equal(mark.position, 1);
	assert_string_equal(page(s, "room:a"), "room:a 1<0 kept\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_look(s), STORE_GONE);
	store_close(s);
	s = writer();
	assert_int_equal(mark.journal, 0);
	store_close(s);
	assert_int_equal(number(path,
			     "SELECT count(*) FROM"
			     " pragma_quick_check WHERE"
			     " quick_check <> 'ok'"),
	    0);
}

/* So is one that another one was copied over, not what others move into it; and
 * a log that was deleted, with what is committed. */
static void
overwritten_is_told(void **state)
{
	char old[160], wal[160], left[170], command[1024];
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");

	snprintf(old, sizeof(old), "%s/old.db", folder);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(left, sizeof(left), "%s.left", wal);
	for (uint64_t at = 1; at <= 300; at++) {
		say(s, &c, "kept");
		commit(s, at);
		if (at == 100 || at == 200)
			assert_int_equal(store_checkpoint(s, true), STORE_OK);
		if (at == 100) {
			snprintf(
			    command, sizeof(command), "cp %s %s", path, old);
			assert_int_equal(system(command), 0);
		}
		if (at == 250)
			sql(path, "PRAGMA wal_checkpoint(PASSIVE)");
		assert_int_equal(store_look(s), STORE_OK);
	}
	assert_int_equal(unlink(wal), 0);
	assert_int_equal(store_look(s), STORE_GONE);
	assert_non_null(strstr(store_error(s), "-wal was deleted"));
	store_close(s);
	s = writer();
	assert_int_equal(mark.position, 300);
	assert_false(mark.copied);
	for (int k = 0; k < 2; k++) {
		snprintf(command, sizeof(command), "cp %s %s", old, path);
		if (k == 1) {
			sql(path, "PRAGMA wal_checkpoint(TRUNCATE)");
			snprintf(command, sizeof(command),
			    "rm -f %s; sqlite3 %s \"VACUUM INTO '%s'\"; "
			    "cp %s %s",
			    old, path, old, old, path);
		}
		assert_int_equal(store_look(s), STORE_OK);
		assert_int_equal(system(command), 0);
		assert_int_equal(store_look(s), STORE_GONE);
		assert_non_null(strstr(store_error(s), "copied over"));
		store_close(s);
		assert_int_equal(unlink(left), 0);
		s = writer();
		assert_int_equal(mark.position, 100);
		assert_int_equal(channel(s, "room:a").top, 100);
	}
	store_close(s);
	assert_int_equal(number(path,
			     "SELECT count(*) FROM"
			     " pragma_quick_check WHERE"
			     " quick_check <> 'ok'"),
	    0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(copy_is_told), TEST(gone_is_told), TEST(overwritten_is_told)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
