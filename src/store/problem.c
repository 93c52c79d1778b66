#include "problem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* An error of input and output is what the system has said. */
static enum store_result
problem_of_io(int rc, int system)
{
	switch (system) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STORE_FULL;
	case EROFS:
	case EACCES:
	case EPERM:
		return STORE_READ_ONLY;
	}
	/* the file of shared memory could not grow: SQLite does not say why */
	return rc == SQLITE_IOERR_SHMSIZE && system == 0 ? STORE_FULL
							 : STORE_FAILED;
}

enum store_result
problem_result(int rc, int system)
{
	/* the index of texts alone, which can be made anew from the rows */
	if (rc == SQLITE_CORRUPT_VTAB)
		return STORE_FAILED;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_CANTOPEN:
		return system == ENOSPC || system == EDQUOT ? STORE_FULL
							    : STORE_READ_ONLY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return STORE_READ_ONLY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return STORE_LOCKED;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_DAMAGED;
	case SQLITE_IOERR:
		return problem_of_io(rc, system);
	default:
		return STORE_FAILED;
	}
}

/* What to do. */
static const char *
problem_advice(int rc, int system)
{
	if (rc == SQLITE_READONLY_DBMOVED)
		return "its file was moved or deleted: put it back, or restart "
		       "chatd";
	if (rc == SQLITE_NOTADB)
		return "name another file";
	if ((rc & 0xff) == SQLITE_CONSTRAINT)
		return "another program has written there, which nobody but "
		       "chatd may";
	switch (problem_result(rc, system)) {
	case STORE_FULL:
		return "make room on its file system";
	case STORE_READ_ONLY:
		return "its folder, and the files there that begin with its "
		       "name, must be writable for the user of this process";
	case STORE_LOCKED:
		return "another process holds it locked: end that one's "
		       "transaction";
	case STORE_DAMAGED:
		return "see DAMAGE in chatd-store(5)";
	default:
		return "look at the disk and the system's log";
	}
}

void
problem_text(char *out, size_t out_len, const char *path, const char *doing,
    int rc, int system)
{
	const bool known = system != 0 &&
	    ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN);

	snprintf(out, out_len, "%s: %s: %s (SQLite error %d)%s%s; %s", path,
	    doing, sqlite3_errstr(rc), rc, known ? ": " : "",
	    known ? strerror(system) : "", problem_advice(rc, system));
}
