/* backup: a copy of the database, made while it is written. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lock.h"
#include "task.h"

enum {
	/* Of SQLite's steps between two looks at whether chatctl still waits.
	 * Larger: a copy that nobody wants goes on for longer; smaller: looks
	 * cost time. */
	BACKUP_STEPS = 100000,
	BACKUP_NAME = 256
};

struct backup {
	struct task *task;
	int folder, beside;			   /* locked: one at a time */
	int fd;					   /* of the part; -1: none */
	char name[BACKUP_NAME], part[BACKUP_NAME]; /* in the folder */
	uint64_t began_ms;
};

/* "chat-20261128T182200.123Z.db", and what it is called until it is whole. */
static void
backup_name(struct backup *b)
{
	const char *path = b->task->birth->path;
	const char *base = strrchr(path, '/') + 1;
	const int64_t now_ms = clock_wall_ms();
	const time_t now = (time_t)(now_ms / 1000);
	int len = (int)strlen(base);
	char stamp[32];
	struct tm tm;

	if (len > 3 && strcmp(base + len - 3, ".db") == 0)
		len -= 3;
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
	snprintf(b->name, sizeof(b->name), "%.*s-%s.%03dZ.db",
	    len < 200 ? len : 200, base, stamp, (int)(now_ms % 1000));
	snprintf(
	    b->part, sizeof(b->part), "%.*s.part", len < 200 ? len : 200, base);
}

/* Whether another process has a folder. NFS locks none. */
static bool
backup_is_held(int folder)
{
	return flock(folder, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

/* Whether another process makes a copy of the database, whose folder is on a
 * disk of this machine. */
static bool
backup_is_made(struct backup *b)
{
	char path[CONF_PATH_BYTES];
	struct stat to, of;

	strlcpy(path, b->task->birth->path, sizeof(path));
	path[strrchr(path, '/') - path + 1] = '\0';
	b->beside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->beside == -1 || fstat(b->folder, &to) == -1 ||
	    fstat(b->beside, &of) == -1 ||
	    (to.st_dev == of.st_dev && to.st_ino == of.st_ino))
		return false; /* it is the same one, held already */
	return backup_is_held(b->beside);
}

/* Whether others could put a file or link of theirs in the place of one that is
 * made there. */
static bool
backup_is_open(struct backup *b)
{
	struct stat st;

	if (fstat(b->folder, &st) == -1 || !(st.st_mode & S_IWOTH) ||
	    st.st_mode & S_ISVTX)
		return false;
	task_refuse(b->task,
	    "store-backup: %s: every user may write and rename files there: "
	    "chmod o-w it",
	    b->task->birth->backup);
	return true;
}

/* The folder, for this process alone. False: refused. */
static bool
backup_folder(struct backup *b)
{
	const char *folder = b->task->birth->backup;

	if (folder[0] == '\0') {
		task_refuse(b->task,
		    "no store-backup in the configuration: the folder that "
		    "copies go to (a restart)");
		return false;
	}
	b->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->folder == -1) {
		task_refuse(
		    b->task, "store-backup: %s: %s", folder, strerror(errno));
		return false;
	}
	if (backup_is_open(b))
		return false;
	if (backup_is_held(b->folder) || backup_is_made(b))
		task_refuse(b->task, "another backup is going on");
	else
		return true;
	return false;
}

/* Whether there is room for a copy that stops nobody else. */
static bool
backup_fits(struct backup *b, uint64_t bytes)
{
	struct statvfs st;

	if (fstatvfs(b->folder, &st) == -1)
		return true;
	if (!place_would_be_tight(&st, bytes))
		return true;
	task_refuse(b->task,
	    "%s: a copy has %" PRIu64 " bytes, of which %" PRIu64
	    " are free: less than a twentieth and 1G would be left, and the "
	    "database may lie there, too",
	    b->task->birth->backup, bytes, (uint64_t)st.f_bavail * st.f_frsize);
	return false;
}

/* Not 0: nobody waits for it any more. */
static int
backup_look(void *arg)
{
	return task_is_left(arg);
}

/* Whether the name `part` still leads to what this process has made. */
static bool
backup_is_own(const struct backup *b)
{
	struct stat own, st;

	return fstat(b->fd, &own) == 0 &&
	    fstatat(b->folder, b->part, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own.st_dev == st.st_dev && own.st_ino == st.st_ino;
}

/* Makes `part`, empty, which SQLite then takes. False: refused. */
static bool
backup_begin(struct backup *b)
{
	umask(077);
	/* one that was left over */
	(void)unlinkat(b->folder, b->part, 0);
	b->fd = openat(b->folder, b->part,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (b->fd == -1)
		task_refuse(b->task, "store-backup: %s/%s: %s",
		    b->task->birth->backup, b->part, strerror(errno));
	return b->fd != -1;
}

/* Copies into `part`. STORE_NONE: nobody waits for it. */
static enum store_result
backup_copy(struct backup *b, struct store *s)
{
	char path[2 * CONF_PATH_BYTES];
	sqlite3_stmt *stmt = database_statement(s, "VACUUM INTO ?1");
	enum store_result r;

	snprintf(path, sizeof(path), "%s/%s", b->task->birth->backup, b->part);
	sqlite3_progress_handler(s->db, BACKUP_STEPS, backup_look, b->task);
	if (stmt != NULL)
		sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	r = database_run(s, stmt, "copying it");
	sqlite3_progress_handler(s->db, 0, NULL, NULL);
	return r != STORE_OK && task_is_left(b->task) ? STORE_NONE : r;
}

/* Renames it, over nothing. File systems that cannot (NFS, CIFS) have no file
 * of that name but by chance: it names the millisecond. Returns 0, or -1 and
 * errno.
 */
static int
backup_rename(struct backup *b)
{
	struct stat st;

	if (renameat2(
		b->folder, b->part, b->folder, b->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(b->folder, b->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(b->folder, b->part, b->folder, b->name);
}

/* Gives it its name when the disk has it. Returns its bytes, or -1 and errno.
 */
static int64_t
backup_keep(struct backup *b)
{
	struct stat st;

	if (!backup_is_own(b)) {
		errno = ESTALE;
		return -1;
	}
	return fsync(b->fd) == 0 && fstat(b->fd, &st) == 0 &&
		backup_rename(b) == 0 && fsync(b->folder) == 0
	    ? st.st_size
	    : -1;
}

/* Says where it is. */
static void
backup_tell(struct backup *b, int64_t bytes)
{
	struct task *t = b->task;
	const uint64_t ms = clock_ms() - b->began_ms;

	task_begin(t, true);
	if (t->json)
		fprintf(t->out,
		    "{\"path\":\"%s/%s\",\"bytes\":%" PRId64 ",\"ms\":%" PRIu64
		    "}\n",
		    t->birth->backup, b->name, bytes, ms);
	else
		fprintf(t->out, "%s/%s: %" PRId64 " bytes in %" PRIu64 " ms\n",
		    t->birth->backup, b->name, bytes, ms);
	log_info("backup %s/%s: %" PRId64 " bytes in %" PRIu64 " ms",
	    t->birth->backup, b->name, bytes, ms);
	task_end(t);
}

/* Makes it. */
static void
backup_make(struct backup *b, struct store *s)
{
	struct task *t = b->task;
	struct store_figures f;
	enum store_result r;
	int64_t bytes = -1;

	store_figures(s, &f);
	if (!backup_fits(b, f.bytes + f.wal_bytes) || !backup_begin(b))
		return;
	r = backup_copy(b, s);
	if (r == STORE_OK && (bytes = backup_keep(b)) != -1) {
		backup_tell(b, bytes);
		return;
	}
	if (r == STORE_NONE)
		log_warn("backup given up: nobody waits for it");
	else
		task_refuse(
		    t, "%s", r != STORE_OK ? store_error(s) : strerror(errno));
	(void)unlinkat(b->folder, b->part, 0);
}

void
task_backup(struct task *t)
{
	struct backup b = {.task = t,
	    .folder = -1,
	    .beside = -1,
	    .fd = -1,
	    .began_ms = clock_ms()};
	struct store *s;

	if (backup_folder(&b) && (s = task_open(t)) != NULL) {
		backup_name(&b);
		backup_make(&b, s);
		store_close(s);
	}
	if (b.fd != -1)
		close(b.fd);
	if (b.beside != -1)
		close(b.beside);
	if (b.folder != -1)
		close(b.folder);
}
