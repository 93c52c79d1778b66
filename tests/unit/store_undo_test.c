/* store: what is undone, or waited for, when the disk, another process or a
 * death is in the way. */
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Nothing is begun on a file system that is nearly full; when there is room
 * again it goes on. */
static void
full_disk_is_foreseen(void **state)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a"), before;
	struct publication p;

	say(s, &c, "one");
	commit(s, 1);
	before = c;
	p = message(&c, "two");
	fs_is_full = true;
	assert_int_equal(store_take(s, &c, &p), STORE_FULL);
	assert_non_null(strstr(store_error(s), "less than 5 %"));
	assert_memory_equal(&c, &before, sizeof(c));
	/* the mark alone needs no room */
	commit(s, 2);
	fs_is_full = false;
	assert_int_equal(store_take(s, &c, &p), STORE_OK);
	commit(s, 3);
	assert_string_equal(
	    page(s, "room:a"), "room:a 1<0 one\nroom:a 2<1 two\n");
	store_close(s);
}

/* A file that cannot grow: all since the last commit is undone, and can be
 * taken again when it can. */
static void
file_that_cannot_grow(void)
{
	static char big[300000];
	struct rlimit was, small;
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");
	enum store_result r = STORE_OK;
	struct publication p;

	signal(SIGXFSZ, SIG_IGN);
	memset(big, 'x', sizeof(big) - 1);
	say(s, &c, "one");
	commit(s, 1);
	getrlimit(RLIMIT_FSIZE, &was);
	small = (struct rlimit){400000, was.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	for (int k = 0; k < 100 && r == STORE_OK; k++) {
		p = message(&c, big);
		r = store_take(s, &c, &p);
	}
	mark.position = 2;
	if (r == STORE_OK)
		r = store_commit(s, &mark);
	assert_int_equal(r, STORE_FULL);
	assert_non_null(strstr(store_error(s), "make room"));
	assert_string_equal(page(s, "room:a"), "room:a 1<0 one\n");
	setrlimit(RLIMIT_FSIZE, &was);
	c = channel(s, "room:a");
	assert_int_equal(c.top, 1);
	say(s, &c, "two");
	commit(s, 3);
	assert_string_equal(
	    page(s, "room:a"), "room:a 1<0 one\nroom:a 2<1 two\n");
	store_close(s);
}

/* In a process of its own: the limit is one of processes. */
static void
full_disk_undoes(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		file_that_cannot_grow();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static int disk_says; /* errno of every write */

static ssize_t
failing_read(int fd, void *bytes, size_t len, off_t at)
{
	errno = ENOSPC; /* no disk says that, so it is told from others */
	return -1;
}

static ssize_t
failing_write(int fd, const void *bytes, size_t len, off_t at)
{
	errno = disk_says;
	return -1;
}

/* What the disk says when the log is written, at a commit, is what is told:
 * each time, not what an earlier commit has met. */
static void
commit_tells_what_the_disk_says(void **state)
{
	static const struct {
		int says;
		enum store_result result;
	} cases[] = {{EIO, STORE_FAILED}, {EROFS, STORE_READ_ONLY},
	    {EDQUOT, STORE_FULL}, {EACCES, STORE_READ_ONLY},
	    {ENOSPC, STORE_FULL}};
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");

	/* what SQLite itself remembers */
	commit(s, 1);
	sqlite3_db_release_memory(s->db);
	vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)failing_read);
	assert_int_equal(store_channel(s, "room:b", 6, 0, &c), STORE_FULL);
	vfs->xSetSystemCall(vfs, "pread64", NULL);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		c = channel(s, "room:a");
		assert_int_equal(c.top, k);
		say(s, &c, "lost");
		disk_says = cases[k].says;
		vfs->xSetSystemCall(
		    vfs, "pwrite64", (sqlite3_syscall_ptr)failing_write);
		assert_int_equal(store_commit(s, &mark), cases[k].result);
		vfs->xSetSystemCall(vfs, "pwrite64", NULL);
		c = channel(s, "room:a");
		say(s, &c, "there");
		commit(s, k);
	}
	assert_string_equal(page(s, "room:a"),
	    "room:a 1<0 there\nroom:a 2<1 there\nroom:a 3<2 there\n"
	    "room:a 4<3 there\nroom:a 5<4 there\n");
	store_close(s);
}

static unsigned n_ticks;

static void
tick(void *arg)
{
	n_ticks++;
}

/* Another process's lock is waited for, with life signs, and then said. */
static void
lock_is_waited_for(void **state)
{
	const struct store_options o = {
	    .path = path, .wait_ms = 100, .tick = tick};
	struct store_channel c;
	struct publication p;
	struct store *s;
	sqlite3 *db;

	assert_int_equal(
	    store_open(&s, &o, &mark, &damaged, error, sizeof(error)), 0);
	c = channel(s, "room:a");
	commit(s, 1);
	assert_int_equal(sqlite3_open(path, &db), 0);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
	p = message(&c, "one");
	n_ticks = 0;
	assert_int_equal(store_take(s, &c, &p), STORE_LOCKED);
	assert_true(n_ticks > 2);
	assert_non_null(strstr(store_error(s), "another process"));
	sqlite3_close(db);
	assert_int_equal(store_take(s, &c, &p), STORE_OK);
	commit(s, 2);
	store_close(s);
}

/* The log is moved into the database from 1,000 pages on, and is empty when
 * nothing comes; who reads just then makes it wait for nothing. */
static void
log_is_moved(void **state)
{
	static char big[4000];
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");
	struct store_figures f;
	sqlite3 *db;

	memset(big, 'x', sizeof(big) - 1);
	for (int n = 0; n < 30; n++) {
		for (int k = 0; k < 100; k++)
			say(s, &c, big);
		commit(s, 1);
		assert_int_equal(store_checkpoint(s, false), STORE_OK);
	}
	store_figures(s, &f);
	assert_true(f.wal_bytes < 1400 * 4096);
	assert_true(f.bytes > 2000 * 4096);
	assert_int_equal(sqlite3_open(path, &db), 0);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN; SELECT * FROM mark", NULL, NULL, NULL), 0);
	say(s, &c, "two");
	commit(s, 2);
	assert_int_equal(store_checkpoint(s, true), STORE_OK);
	store_figures(s, &f);
	assert_true(f.wal_bytes > 0);
	sqlite3_close(db);
	assert_int_equal(store_checkpoint(s, true), STORE_OK);
	store_figures(s, &f);
	assert_int_equal(f.wal_bytes, 0);
	store_close(s);
}

/* A writer that is to be killed: rows and mark in commits of several. */
static void
write_until_killed(uint64_t position, int ready)
{
	struct store *s = writer();
	struct store_channel c[3];
	char name[32], text[32];

	for (int k = 0; k < 3; k++) {
		snprintf(name, sizeof(name), "room:%d", k);
		c[k] = channel(s, name);
	}
	for (;;) {
		for (int k = 0; k < 7; k++) {
			position++;
			snprintf(text, sizeof(text), "%d", (int)position);
			say(s, &c[position % 3], text);
		}
		commit(s, position);
		if (ready != -1 && write(ready, "", 1) == 1)
			ready = -1;
		store_checkpoint(s, false);
	}
}

/* A writer is killed again and again: each next one finds rows, tops and mark
 * of one commit, and none is missing or twice. */
static void
death_loses_nothing(void **state)
{
	struct store_channel c;
	struct store *s;
	long long rows;
	char name[32], byte;
	int fd[2];
	pid_t pid;

	for (int n = 0; n < 25; n++) {
		assert_int_equal(pipe(fd), 0);
		if ((pid = fork()) == 0)
			write_until_killed(mark.position, fd[1]);
		close(fd[1]);
		assert_int_equal(read(fd[0], &byte, 1), 1);
		close(fd[0]);
		usleep((useconds_t)(n * 300));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		s = writer();
		rows = 0;
		for (int k = 0; k < 3; k++) {
			snprintf(name, sizeof(name), "room:%d", k);
			c = channel(s, name);
			assert_int_equal(c.top, c.newest);
			rows += (long long)c.top;
		}
		assert_int_equal(rows, mark.position);
		store_close(s);
		assert_int_equal(
		    number(path,
			"SELECT count(DISTINCT CAST(data AS INTEGER))"
			" FROM publication"),
		    mark.position);
		assert_int_equal(number(path,
				     "SELECT max(CAST(data AS INTEGER))"
				     " FROM publication"),
		    mark.position);
	}
	assert_true(mark.position > 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(full_disk_is_foreseen),
	    TEST(full_disk_undoes),
	    TEST(commit_tells_what_the_disk_says),
	    TEST(lock_is_waited_for),
	    TEST(log_is_moved),
	    TEST(death_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
