/* lock: whether a database may be where its path says: one writer, a file
 * system that can hold it, room. */
#ifndef CHATD_STORE_LOCK_H
#define CHATD_STORE_LOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>

#include "store/store.h"

/* Whether the folder's file system can hold it: WAL needs memory that processes
 * share through a file. Returns 0, or -1 and one line in error. */
int place_check(const char *path, char *error, size_t error_len);

/* The name that all links of a path lead to, beside which SQLite puts its
 * files, whether the file is there or not; the path itself if there is none. */
void place_real(const char *path, char out[PATH_MAX]);

/* Whether so little is left on its file system that the database must not grow:
 * 5 %, and less than 1 GiB. */
bool place_is_tight(const char *path);
/* Whether it would be when so many bytes more are there. */
bool place_would_be_tight(const struct statvfs *fs, uint64_t bytes);

/* Who has it is the only writer. */
struct lock {
	int beside; /* the file -lock; -1: none */
	int file;   /* the database; -1: SQLite says why. It is closed last:
		     * SQLite's own locks of this process on it end with any
		     * descriptor of it */
};

/* Becomes the only writer of a path of place_real(). wait_ms: how long a writer
 * may take that is about to end. Returns STORE_OK, or one line in error and
 * why: STORE_NONE: another one writes; lock_free() in any case. */
enum store_result lock_take(struct lock *l, const char *path, int wait_ms,
    char *error, size_t error_len);
/* Whether that path still leads to the database that is locked. */
bool lock_holds(const struct lock *l, const char *path);
void lock_free(struct lock *l);

#endif
