/* lock: whether a database may be where its path says: one writer, a file
 * system that can hold it, room. */
#ifndef CHATD_STORE_LOCK_H
#define CHATD_STORE_LOCK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the folder's file system can hold it: WAL needs memory that processes
 * share through a file. Returns 0, or -1 and one line in error. */
int place_check(const char *path, char *error, size_t error_len);

/* Whether so little is left on its file system that the database must not grow:
 * 5 %, and less than 1 GiB. */
bool place_is_tight(const char *path);

/* Becomes the only writer of that path; the file is kept open. Returns its
 * descriptor, or -1 and one line in error. wait_ms: how long a writer may take
 * that is about to end. */
int lock_take(const char *path, int wait_ms, char *error, size_t error_len);

#endif
