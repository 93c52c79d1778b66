#include "wal.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Gathered bytes. Larger: fewer writes, more memory, at most 128 KiB,
	 * which SQLite writes at once; smaller: more writes. */
	WAL_GATHER = 64 * 1024,
	/* The head of a page (sqlite.org/fileformat2.html, 4.1): a number that
	 * is not 0 there says that the page is a commit's last. */
	WAL_HEAD = 24,
	WAL_HEAD_COMMIT = 4
};

/* A log that is open; SQLite's own file lies behind it. */
struct wal_file {
	sqlite3_file base;
	sqlite3_file *own;
	sqlite3_int64 next; /* where the last write ended; -1: it failed */
	sqlite3_int64 at;   /* where what is gathered begins, */
	size_t gathered;    /* and its bytes */
	bool commits;	    /* the page of the newest head is a commit's last */
	uint8_t buf[WAL_GATHER];
};

static sqlite3_vfs *wal_own; /* SQLite's */

static sqlite3_file *
wal_file_own(sqlite3_file *f)
{
	return ((struct wal_file *)f)->own;
}

/* Writes to the file itself. */
static int
wal_put(struct wal_file *w, const void *bytes, size_t len, sqlite3_int64 at)
{
	const int rc = w->own->pMethods->xWrite(w->own, bytes, (int)len, at);

	if (rc != SQLITE_OK)
		w->next = -1;
	return rc;
}

/* Writes what is gathered. After an error it is dropped, as SQLite undoes what
 * it belongs to. */
static int
wal_flush(struct wal_file *w)
{
	const size_t len = w->gathered;

	w->gathered = 0;
	return len > 0 ? wal_put(w, w->buf, len, w->at) : SQLITE_OK;
}

/* Whether bytes are the head of a commit's last page. */
static bool
wal_head_commits(const uint8_t *head)
{
	static const uint8_t none[4];

	return memcmp(head + WAL_HEAD_COMMIT, none, sizeof(none)) != 0;
}

/* What does not go on where the last write ended is written directly, and heads
 * that SQLite writes again are. */
static int
wal_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	struct wal_file *w = (struct wal_file *)f;
	const size_t len = (size_t)n;
	const bool head = len == WAL_HEAD, goes_on = at == w->next;
	int rc = SQLITE_OK;

	if (!goes_on || len > WAL_GATHER - w->gathered)
		rc = wal_flush(w);
	if (rc != SQLITE_OK)
		return rc;
	if (head)
		w->commits = wal_head_commits(bytes);
	w->next = at + n;
	if (!goes_on || len > WAL_GATHER)
		return wal_put(w, bytes, len, at);
	if (w->gathered == 0)
		w->at = at;
	memcpy(w->buf + w->gathered, bytes, len);
	w->gathered += len;
	return w->commits && !head ? wal_flush(w) : SQLITE_OK;
}

static int
wal_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	const int rc = wal_flush((struct wal_file *)f);
	sqlite3_file *own = wal_file_own(f);

	return rc == SQLITE_OK ? own->pMethods->xRead(own, out, n, at) : rc;
}

static int
wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	const int rc = wal_flush((struct wal_file *)f);
	sqlite3_file *own = wal_file_own(f);

	return rc == SQLITE_OK ? own->pMethods->xTruncate(own, size) : rc;
}

static int
wal_sync(sqlite3_file *f, int flags)
{
	const int rc = wal_flush((struct wal_file *)f);
	sqlite3_file *own = wal_file_own(f);

	return rc == SQLITE_OK ? own->pMethods->xSync(own, flags) : rc;
}

static int
wal_size(sqlite3_file *f, sqlite3_int64 *out)
{
	const int rc = wal_flush((struct wal_file *)f);
	sqlite3_file *own = wal_file_own(f);

	return rc == SQLITE_OK ? own->pMethods->xFileSize(own, out) : rc;
}

static int
wal_close(sqlite3_file *f)
{
	const int rc = wal_flush((struct wal_file *)f);
	sqlite3_file *own = wal_file_own(f);
	const int closed = own->pMethods->xClose(own);

	return rc == SQLITE_OK ? closed : rc;
}

static int
wal_lock(sqlite3_file *f, int level)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xLock(own, level);
}

static int
wal_unlock(sqlite3_file *f, int level)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xUnlock(own, level);
}

static int
wal_is_reserved(sqlite3_file *f, int *out)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xCheckReservedLock(own, out);
}

static int
wal_control(sqlite3_file *f, int what, void *arg)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xFileControl(own, what, arg);
}

static int
wal_sector(sqlite3_file *f)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xSectorSize(own);
}

static int
wal_traits(sqlite3_file *f)
{
	sqlite3_file *own = wal_file_own(f);

	return own->pMethods->xDeviceCharacteristics(own);
}

/* Shared memory is the database file's. */
static const sqlite3_io_methods wal_methods = {.iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_is_reserved,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector,
    .xDeviceCharacteristics = wal_traits};

/* Opens a file; all but a log are SQLite's own. */
static int
wal_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *got)
{
	struct wal_file *w = (struct wal_file *)f;
	int rc;

	if (!(flags & SQLITE_OPEN_WAL))
		return wal_own->xOpen(wal_own, name, f, flags, got);
	w->base.pMethods = NULL;
	w->own = (sqlite3_file *)(w + 1);
	w->next = -1;
	w->gathered = 0;
	w->commits = false;
	rc = wal_own->xOpen(wal_own, name, w->own, flags, got);
	if (rc == SQLITE_OK)
		w->base.pMethods = &wal_methods;
	return rc;
}

const char *
wal_layer(void)
{
	static sqlite3_vfs layer;

	if (wal_own != NULL)
		return layer.zName;
	if ((wal_own = sqlite3_vfs_find(NULL)) == NULL)
		return NULL;
	layer = *wal_own;
	layer.zName = "chatd-wal";
	layer.szOsFile += (int)sizeof(struct wal_file);
	layer.xOpen = wal_open;
	layer.pNext = NULL;
	return sqlite3_vfs_register(&layer, 0) == SQLITE_OK ? layer.zName
							    : NULL;
}
