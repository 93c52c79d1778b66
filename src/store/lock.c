#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "note.h"

enum {
	LOCK_LOOK_MS = 20,  /* between two looks */
	LOCK_TELL_MS = 500, /* then the log says that it waits */
	TIGHT_PART = 20,    /* one part of so many */
	PLACE_LINKS = 40,   /* as many as the kernel follows */
	TRY_PAGE = 4096
};

/* What is left on a large disk is enough, however small a part it is. */
#define TIGHT_BYTES (1ull << 30)

/* Network file systems, of which two machines may have the same file: memory
 * that one shares is not the other's. */
static const struct {
	unsigned long magic;
	const char *name;
} networks[] = {{NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"},
    {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"}, {AFS_SUPER_MAGIC, "AFS"},
    {CODA_SUPER_MAGIC, "Coda"}, {0x00c36400, "Ceph"}, {V9FS_MAGIC, "9P"}};

/* The folder of a path. */
static void
place_folder(const char *path, char folder[PATH_MAX])
{
	char *slash;

	strlcpy(folder, path, PATH_MAX);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		strlcpy(folder, ".", PATH_MAX);
	else if (slash == folder)
		folder[1] = '\0';
	else
		*slash = '\0';
}

/* A file of that folder, without a name; -1: none can be made. */
static int
place_file(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[PATH_MAX];

	if (fd != -1 ||
	    (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) ||
	    snprintf(name, sizeof(name), "%s/.chatd-XXXXXX", folder) >=
		(int)sizeof(name))
		return fd;
	if ((fd = mkostemp(name, O_CLOEXEC)) != -1)
		unlink(name);
	return fd;
}

/* Whether memory is shared through a file of that folder. */
static bool
place_shares(const char *folder)
{
	int fd = place_file(folder);
	bool shares = true;
	void *p;

	if (fd == -1) /* opening says what is wrong */
		return true;
	if (ftruncate(fd, TRY_PAGE) == 0) {
		p = mmap(
		    NULL, TRY_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		shares = p != MAP_FAILED;
		if (shares)
			munmap(p, TRY_PAGE);
	}
	close(fd);
	return shares;
}

/* What a path is, if that is a link: where it leads, one step. */
static bool
place_follow(char path[PATH_MAX])
{
	char to[PATH_MAX], folder[PATH_MAX];
	const ssize_t len = readlink(path, to, sizeof(to) - 1);

	if (len == -1)
		return false;
	to[len] = '\0';
	place_folder(path, folder);
	if (to[0] == '/')
		return strlcpy(path, to, PATH_MAX) < PATH_MAX;
	return snprintf(path, PATH_MAX, "%s/%s", folder, to) < PATH_MAX;
}

void
place_real(const char *path, char out[PATH_MAX])
{
	char at[PATH_MAX], folder[PATH_MAX];
	const char *name;

	if (realpath(path, out) != NULL)
		return;
	strlcpy(at, path, sizeof(at));
	for (int n = 0; n < PLACE_LINKS && place_follow(at); n++)
		;
	place_folder(at, folder);
	name = strrchr(at, '/') != NULL ? strrchr(at, '/') + 1 : at;
	if (realpath(folder, out) == NULL ||
	    strlen(out) + strlen(name) + 2 > PATH_MAX) {
		strlcpy(out, path, PATH_MAX);
		return;
	}
	strlcat(out, "/", PATH_MAX);
	strlcat(out, name, PATH_MAX);
}

int
place_check(const char *path, char *error, size_t error_len)
{
	char folder[PATH_MAX];
	struct statfs fs;

	place_folder(path, folder);
	if (statfs(folder, &fs) == -1) {
		snprintf(error, error_len, "%s: the folder %s: %s: make it",
		    path, folder, strerror(errno));
		return -1;
	}
	for (size_t k = 0; k < sizeof(networks) / sizeof(networks[0]); k++)
		if ((uint32_t)fs.f_type == (uint32_t)networks[k].magic) {
			snprintf(error, error_len,
			    "%s: the folder %s is on %s, where processes do "
			    "not "
			    "share memory: name a file on a disk of this "
			    "machine",
			    path, folder, networks[k].name);
			return -1;
		}
	if (place_shares(folder))
		return 0;
	snprintf(error, error_len,
	    "%s: the file system of %s has no shared memory: name a file on a "
	    "disk of this machine",
	    path, folder);
	return -1;
}

bool
place_would_be_tight(const struct statvfs *fs, uint64_t bytes)
{
	const uint64_t all = (uint64_t)fs->f_blocks * fs->f_frsize;
	const uint64_t left = (uint64_t)fs->f_bavail * fs->f_frsize;

	return left < bytes ||
	    (left - bytes < TIGHT_BYTES && left - bytes < all / TIGHT_PART);
}

bool
place_is_tight(const char *path)
{
	struct statvfs fs;

	/* if that fails, writing says what is wrong */
	return statvfs(path, &fs) == 0 && place_would_be_tight(&fs, 0);
}

/* Who has it, as that one has written there. */
static int
lock_holder(int fd)
{
	char text[32] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

/* Says in the file who has it, for who is refused, beside what is noted there.
 */
static void
lock_sign(int fd)
{
	struct note n;

	note_read(fd, &n);
	note_write(fd, &n, false);
}

/* The file that is locked cannot be opened. */
static enum store_result
lock_unopened(const char *name, char *error, size_t error_len)
{
	const bool full = errno == ENOSPC || errno == EDQUOT;

	snprintf(error, error_len, "%s: %s: %s", name, strerror(errno),
	    full ? "make room on its file system"
		 : "its folder must be writable for the user of this process");
	return full ? STORE_FULL : STORE_READ_ONLY;
}

/* Locks what is open; false: another process keeps it locked, or errno says why
 * nobody can. */
static bool
lock_retry(int fd, uint64_t limit)
{
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		if (clock_ms() >= limit) {
			errno = EWOULDBLOCK;
			return false;
		}
		(void)poll(NULL, 0, LOCK_LOOK_MS);
	}
	return true;
}

/* Its file system has no locks. */
static enum store_result
lock_impossible(const char *name, char *error, size_t error_len)
{
	snprintf(error, error_len,
	    "%s: it cannot be locked: %s: name a file on a local disk", name,
	    strerror(errno));
	return STORE_NONE;
}

/* Locks the file beside it. */
static enum store_result
lock_beside(struct lock *l, const char *path, uint64_t limit, char *error,
    size_t error_len)
{
	char name[PATH_MAX + 8];

	snprintf(name, sizeof(name), "%s-lock", path);
	/* it is written to: not what a link there leads to */
	l->beside = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (l->beside == -1)
		return lock_unopened(name, error, error_len);
	if (lock_retry(l->beside, clock_ms() + LOCK_TELL_MS))
		return STORE_OK;
	if (errno != EWOULDBLOCK)
		return lock_impossible(name, error, error_len);
	log_info("%s: waiting for process %d, which writes it, to end", path,
	    lock_holder(l->beside));
	if (lock_retry(l->beside, limit))
		return STORE_OK;
	snprintf(error, error_len,
	    "%s: another chatd (process %d) writes this database: name another "
	    "file, or stop that chatd",
	    path, lock_holder(l->beside));
	return STORE_NONE;
}

/* Locks the database itself, which may have more names than one, and whose
 * -lock may have been deleted; it is made if it is not there. */
static enum store_result
lock_itself(struct lock *l, const char *path, uint64_t limit, char *error,
    size_t error_len)
{
	const mode_t mask = umask(027);

	l->file = open(
	    path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	umask(mask);
	/* SQLite says what is wrong */
	if (l->file == -1 || lock_retry(l->file, limit))
		return STORE_OK;
	if (errno != EWOULDBLOCK)
		return lock_impossible(path, error, error_len);
	snprintf(error, error_len,
	    "%s: another chatd writes this database, by another name of the "
	    "file, or its -lock was deleted: name another file, or stop that "
	    "chatd (fuser %s)",
	    path, path);
	return STORE_NONE;
}

enum store_result
lock_take(struct lock *l, const char *path, int wait_ms, char *error,
    size_t error_len)
{
	const uint64_t limit = clock_ms() + (uint64_t)wait_ms;
	enum store_result r = lock_beside(l, path, limit, error, error_len);

	if (r == STORE_OK)
		r = lock_itself(l, path, limit, error, error_len);
	if (r == STORE_OK)
		lock_sign(l->beside);
	return r;
}

bool
lock_holds(const struct lock *l, const char *path)
{
	struct stat now, held;

	if (l->file == -1 || fstat(l->file, &held) == -1)
		return true;
	if (stat(path, &now) == -1)
		return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
	return now.st_dev == held.st_dev && now.st_ino == held.st_ino;
}

void
lock_free(struct lock *l)
{
	if (l->file != -1)
		close(l->file);
	if (l->beside != -1)
		close(l->beside);
	l->file = l->beside = -1;
}
