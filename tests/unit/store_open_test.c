/* store: what is opened, made, migrated and refused. */
#include "store_fixture.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../src/store/migrate.h"

/* Writes bytes over a file's; makes it if it is not there. */
static void
spoil(off_t at, const char *bytes, size_t len)
{
	const int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

/* A sum of a file's bytes: whether it has changed. */
static unsigned long
sum(void)
{
	unsigned char bytes[65536];
	unsigned long n = 0;
	const int fd = open(path, O_RDONLY);
	ssize_t r;

	assert_int_not_equal(fd, -1);
	while ((r = read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t k = 0; k < r; k++)
			n = n * 31 + bytes[k];
	close(fd);
	return n;
}

/* It is refused with these words, not as a damaged one, and stays as it is;
 * without being opened, too. */
static void
refused(const char *words)
{
	const unsigned long before = sum();

	assert_null(try(STORE_WRITES));
	assert_non_null(strstr(error, words));
	assert_false(damaged);
	assert_int_equal(unopened, STORE_NONE);
	assert_int_equal(sum(), before);
	error[0] = '\0';
	assert_int_equal(store_try(path, error, sizeof(error)), -1);
	assert_non_null(strstr(error, words));
	assert_int_equal(sum(), before);
}

/* A new one is complete in its own file, and what it is set to stays so. */
static void
new_one_is_made(void **state)
{
	struct store_mark want = {.clean = true};
	struct stat st;
	struct store *s;

	assert_int_equal(store_try(path, error, sizeof(error)), 0);
	s = writer();
	assert_memory_equal(&mark, &want, sizeof(mark));
	/* no process has to read the log to see what it is */
	assert_int_equal(store_try(path, error, sizeof(error)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 4096);
	assert_int_equal(st.st_mode & 07777, 0640);
	store_close(s);
	assert_int_equal(number(path, "PRAGMA user_version"), STORE_VERSION);
	assert_int_equal(number(path, "PRAGMA page_size"), 4096);
	assert_int_equal(number(path, "PRAGMA auto_vacuum"), 2);
	assert_int_equal(number(path,
			     "SELECT count(*) FROM pragma_journal_mode"
			     " WHERE journal_mode = 'wal'"),
	    1);
}

/* A copy that VACUUM has made, put in its place, logs ahead again; one that
 * another process reads just then is told, and can be tried again. */
static void
copy_logs_ahead(void **state)
{
	char copy[160], command[512];
	struct store_channel c;
	struct store *s = writer();
	sqlite3 *db;

	c = channel(s, "room:a");
	say(s, &c, "one");
	commit(s, 1);
	store_close(s);
	snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	snprintf(command, sizeof(command), "VACUUM INTO '%s'", copy);
	sql(path, command);
	assert_int_equal(rename(copy, path), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "BEGIN; SELECT count(*) FROM publication", NULL,
		NULL, NULL),
	    SQLITE_OK);
	assert_null(try(STORE_WRITES));
	assert_int_equal(unopened, STORE_LOCKED);
	sqlite3_close(db);
	s = writer();
	c = channel(s, "room:a");
	say(s, &c, "two");
	commit(s, 2);
	snprintf(copy, sizeof(copy), "%s-wal", path);
	assert_int_equal(access(copy, F_OK), 0);
	store_close(s);
	assert_int_equal(number(path,
			     "SELECT count(*) FROM pragma_journal_mode"
			     " WHERE journal_mode = 'wal'"),
	    1);
}

/* The mark is as the last commit left it. */
static void
mark_is_kept(void **state)
{
	const struct store_mark want = {
	    .journal = UINT64_MAX - 3, .position = 42, .noted = UINT64_MAX - 3};
	struct store *s = writer();

	assert_int_equal(store_commit(s, &want), STORE_OK);
	store_close(s);
	s = writer();
	assert_memory_equal(&mark, &want, sizeof(mark));
	store_close(s);
}

/* One writes; who comes second is told who it is, and readers come in. */
static void
one_writes(void **state)
{
	struct store *s = writer(), *r;
	char pid[32];

	snprintf(pid, sizeof(pid), "process %d)", (int)getpid());
	assert_null(try(STORE_WRITES));
	assert_int_equal(unopened, STORE_NONE);
	assert_non_null(strstr(error, "another chatd"));
	assert_non_null(strstr(error, pid));
	r = try(STORE_READS);
	assert_non_null(r);
	store_close(r);
	store_close(s);
	s = writer();
	store_close(s);
}

/* A process that tries to write by that name ends with 0 if it is refused. */
static pid_t
second(const char *name)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid;
	strlcpy(path, name, sizeof(path));
	_exit(try(STORE_WRITES) == NULL && unopened == STORE_NONE &&
		    strstr(error, "another chatd") != NULL
		? 0
		: 1);
}

/* Nor is there a second one by another name of the file, or when what is locked
 * beside it was deleted. */
static void
one_writes_by_any_name(void **state)
{
	struct store *s = writer();
	char name[3][160];
	pid_t pid[3];
	int status;

	snprintf(name[0], sizeof(name[0]), "%s/link.db", folder);
	snprintf(name[1], sizeof(name[1]), "%s/hard.db", folder);
	assert_int_equal(symlink(path, name[0]), 0);
	assert_int_equal(link(path, name[1]), 0);
	snprintf(name[2], sizeof(name[2]), "%s-lock", path);
	assert_int_equal(unlink(name[2]), 0);
	strlcpy(name[2], path, sizeof(name[2]));
	for (int k = 0; k < 3; k++)
		pid[k] = second(name[k]);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
		assert_int_equal(status, 0);
	}
	store_close(s);
	s = writer();
	store_close(s);
}

/* A writer that was killed has left no lock. */
static void
dead_one_has_no_lock(void **state)
{
	const pid_t pid = fork();
	struct store *s;

	if (pid == 0) {
		(void)writer();
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	s = writer();
	store_close(s);
}

/* Who reads makes nothing. */
static void
reader_makes_nothing(void **state)
{
	assert_null(try(STORE_READS));
	assert_false(damaged);
	assert_int_equal(access(path, F_OK), -1);
	spoil(0, "", 0);
	assert_null(try(STORE_READS));
	assert_non_null(strstr(error, "not made yet"));
	assert_false(damaged);
}

/* What is none of chatd's is not touched. */
static void
others_are_refused(void **state)
{
	char text[8192];

	memset(text, 'x', sizeof(text));
	spoil(0, text, sizeof(text));
	refused("name another file");
	unlink(path);
	sql(path, "CREATE TABLE diary(day TEXT)");
	refused("not one of chatd's");
	unlink(path);
	sql(path, "CREATE TABLE t(a); PRAGMA application_id = 5");
	refused("not one of chatd's");
}

/* A newer chatd's is not touched. */
static void
newer_is_refused(void **state)
{
	store_close(writer());
	sql(path, "PRAGMA user_version = 1000");
	refused("schema 1000, this chatd knows 1");
	assert_null(try(STORE_READS));
	assert_false(damaged);
}

/* A spoiled one is told from one that is none. */
static void
damaged_is_told(void **state)
{
	char zeros[3996];

	store_close(writer());
	/* the tables of page 1, behind the file's header */
	memset(zeros, 0xff, sizeof(zeros));
	spoil(100, zeros, sizeof(zeros));
	assert_null(try(STORE_WRITES));
	assert_true(damaged);
	assert_int_equal(unopened, STORE_DAMAGED);
	assert_non_null(strstr(error, "DAMAGE in chatd-store(5)"));
	assert_null(try(STORE_READS));
	assert_true(damaged);
}

/* Folders where it cannot be. */
static void
places_are_refused(void **state)
{
	fs_type = NFS_SUPER_MAGIC;
	assert_null(try(STORE_WRITES));
	assert_non_null(strstr(error, "is on NFS"));
	assert_int_equal(unopened, STORE_NONE);
	assert_int_equal(store_try(path, error, sizeof(error)), -1);
	fs_type = 0xfe534d42;
	assert_null(try(STORE_WRITES));
	assert_non_null(strstr(error, "is on SMB2"));
	fs_type = 0;
	snprintf(path, sizeof(path), "%s/none/chat.db", folder);
	assert_null(try(STORE_WRITES));
	assert_non_null(strstr(error, "/none: No such file"));
	assert_int_equal(store_try(path, error, sizeof(error)), -1);
	snprintf(path, sizeof(path), "%s/folder", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_null(try(STORE_WRITES));
	assert_int_equal(store_try(path, error, sizeof(error)), -1);
}

/* A folder that is not writable: the line says what must be. */
static void
folder_must_be_writable(void **state)
{
	pid_t pid;
	int status;

	assert_int_equal(chmod(folder, 0555), 0);
	if ((pid = fork()) == 0) {
		if (getuid() == 0 && setuid(65534) == -1)
			_exit(3);
		_exit(try(STORE_WRITES) == NULL &&
			    strstr(error, "must be writable") != NULL &&
			    unopened == STORE_READ_ONLY && !damaged
			? 0
			: 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(folder, 0755), 0);
}

/* A full disk: one that is there cannot be opened now, and can be tried again.
 */
static void
full_disk_is_told(void **state)
{
	const struct rlimit small = {1000, 1000};
	int status;
	pid_t pid;

	store_close(writer());
	if ((pid = fork()) == 0) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		_exit(try(STORE_WRITES) == NULL && unopened == STORE_FULL &&
			    strstr(error, "make room") != NULL && !damaged
			? 0
			: 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	store_close(writer());
}

/* What `path` and more are: the only file of the folder that begins so. */
static const char *
beside(const char *more)
{
	static char name[256];
	char command[256];
	FILE *f;

	snprintf(
	    command, sizeof(command), "ls '%s'%s* 2>/dev/null", path, more);
	f = popen(command, "r");
	name[0] = '\0';
	if (fgets(name, sizeof(name), f) != NULL)
		name[strcspn(name, "\n")] = '\0';
	pclose(f);
	return name;
}

/* A link to a file that is not there yet: the log is where SQLite has it. */
static void
link_is_followed(void **state)
{
	struct store_figures f;
	struct store_channel c;
	struct store *s;
	char real[256];

	snprintf(real, sizeof(real), "%s.real", path);
	assert_int_equal(symlink(strrchr(real, '/') + 1, path), 0);
	s = writer();
	c = channel(s, "room:a");
	say(s, &c, "linked");
	commit(s, 3);
	store_figures(s, &f);
	assert_true(f.wal_bytes > 0);
	assert_string_equal(s->path, real);
	assert_int_equal(store_look(s), STORE_OK);
	/* it leads elsewhere now */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_look(s), STORE_GONE);
	store_close(s);
}

/* Where nothing can be locked that is said, and nobody is accused. */
static void
locks_are_needed(void **state)
{
	fs_is_open = true;
	assert_null(try(STORE_WRITES));
	assert_int_equal(unopened, STORE_NONE);
	assert_non_null(strstr(error, "No locks available"));
	assert_null(strstr(error, "another chatd"));
}

/* Both a twentieth and 1 GiB are too little. */
static void
place_is_judged(void **state)
{
	struct statvfs fs = {.f_frsize = 1 << 20, .f_blocks = 10 << 20};

	fs.f_bavail = 400 << 10; /* 400 G of 10 T */
	assert_false(place_would_be_tight(&fs, 100ull << 30));
	assert_true(place_would_be_tight(&fs, (400ull << 30) - 1));
	assert_true(place_would_be_tight(&fs, 401ull << 30));
	fs.f_blocks = 1000;
	fs.f_bavail = 100;
	assert_false(place_would_be_tight(&fs, 50ull << 20));
	assert_true(place_would_be_tight(&fs, 51ull << 20));
}

/* A first commit that has gone with the machine's power: the database is as a
 * clean end has left it, and what is noted beside it says otherwise. */
static void
lost_commit_is_known(void **state)
{
	struct note n = {.last = {8, 0}, .before = {7, 3}};
	char name[256];
	struct store *s = writer();
	int fd;

	mark = (struct store_mark){.journal = 7, .position = 3, .clean = true};
	assert_int_equal(store_commit(s, &mark), STORE_OK);
	store_close(s);
	store_close(writer());
	assert_true(mark.clean && !mark.copied);
	assert_int_equal(mark.noted, 7);
	snprintf(name, sizeof(name), "%s-lock", path);
	fd = open(name, O_RDWR);
	note_write(fd, &n, true);
	close(fd);
	store_close(writer());
	assert_true(mark.clean && !mark.copied);
	assert_int_equal(mark.journal, 7);
	assert_int_equal(mark.noted, 8);
}

/* A version before the first that there was. */
static void
make_old(void)
{
	struct store *s = writer();
	struct store_channel c = channel(s, "room:a");

	say(s, &c, "of old");
	commit(s, 3);
	store_close(s);
	sql(path,
	    "ALTER TABLE user DROP COLUMN proved;"
	    "PRAGMA user_version = 0");
}

/* Opened past the look at its version. */
static struct store *
old_one(void)
{
	struct store *s = calloc(1, sizeof(*s));

	s->lock = (struct lock){-1, -1};
	strlcpy(s->path, path, sizeof(s->path));
	assert_int_equal(sqlite3_open(path, &s->db), 0);
	return s;
}

static const struct migrate_step made_up[] = {
    {0,
	"ALTER TABLE user ADD COLUMN proved INTEGER NOT NULL DEFAULT 0;"
	"INSERT INTO user VALUES('bob', 1, 2, 3, 1)"},
    {0, NULL}};

/* An older one is changed in one transaction, and is there as it was. */
static void
older_is_migrated(void **state)
{
	struct store *s;

	make_old();
	s = old_one();
	assert_int_equal(migrate(s, 0, 1, made_up), STORE_OK);
	store_close(s);
	assert_int_equal(number(path, "PRAGMA user_version"), 1);
	assert_int_equal(number(path, "SELECT proved FROM user"), 1);
	s = writer();
	assert_string_equal(page(s, "room:a"), "room:a 1<0 of old\n");
	store_close(s);
	/* the copy */
	assert_true(beside(".v0-")[0] != '\0');
	assert_int_equal(number(beside(".v0-"), "PRAGMA user_version"), 0);
	assert_int_equal(
	    number(beside(".v0-"), "SELECT count(*) FROM publication"), 1);
	assert_string_equal(beside(".partial"), "");
}

/* A step that fails leaves everything as it was. */
static void
migration_is_whole(void **state)
{
	static const struct migrate_step steps[] = {
	    {0, "DELETE FROM publication; SELECT * FROM nothing"}, {0, NULL}};
	struct store *s;

	make_old();
	s = old_one();
	assert_int_equal(migrate(s, 0, 1, steps), STORE_FAILED);
	store_close(s);
	assert_int_equal(number(path, "PRAGMA user_version"), 0);
	assert_int_equal(number(path, "SELECT count(*) FROM publication"), 1);
}

/* One that no step leads away from is refused, and not copied. */
static void
unknown_version_is_refused(void **state)
{
	make_old();
	assert_null(try(STORE_WRITES));
	assert_non_null(strstr(error, "schema 0, which no chatd ever had"));
	assert_int_equal(unopened, STORE_NONE);
	assert_false(damaged);
	assert_string_equal(beside(".v"), "");
	assert_int_equal(number(path, "PRAGMA user_version"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(new_one_is_made),
	    TEST(copy_logs_ahead),
	    TEST(mark_is_kept),
	    TEST(link_is_followed),
	    TEST(locks_are_needed),
	    TEST(place_is_judged),
	    TEST(lost_commit_is_known),
	    TEST(one_writes),
	    TEST(one_writes_by_any_name),
	    TEST(dead_one_has_no_lock),
	    TEST(reader_makes_nothing),
	    TEST(others_are_refused),
	    TEST(newer_is_refused),
	    TEST(damaged_is_told),
	    TEST(places_are_refused),
	    TEST(folder_must_be_writable),
	    TEST(full_disk_is_told),
	    TEST(older_is_migrated),
	    TEST(migration_is_whole),
	    TEST(unknown_version_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
