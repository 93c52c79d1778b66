/* store: what SQLite's errors are to people. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "../../src/store/problem.h"

/* Each error is what people are told. */
static void
errors_are_results(void **state)
{
	static const struct {
		int rc, system;
		enum store_result result;
	} cases[] = {
	    {SQLITE_OK, 0, STORE_OK},
	    {SQLITE_ROW, 0, STORE_OK},
	    {SQLITE_DONE, 0, STORE_OK},
	    {SQLITE_FULL, 0, STORE_FULL},
	    {SQLITE_IOERR_WRITE, ENOSPC, STORE_FULL},
	    {SQLITE_IOERR_WRITE, EDQUOT, STORE_FULL},
	    {SQLITE_IOERR_WRITE, EFBIG, STORE_FULL},
	    {SQLITE_IOERR_SHMSIZE, 0, STORE_FULL},
	    {SQLITE_IOERR_WRITE, EIO, STORE_FAILED},
	    {SQLITE_IOERR_FSYNC, EIO, STORE_FAILED},
	    {SQLITE_IOERR_READ, 0, STORE_FAILED},
	    {SQLITE_IOERR_WRITE, EROFS, STORE_READ_ONLY},
	    {SQLITE_READONLY, 0, STORE_READ_ONLY},
	    {SQLITE_READONLY_DBMOVED, 0, STORE_READ_ONLY},
	    {SQLITE_CANTOPEN, EACCES, STORE_READ_ONLY},
	    {SQLITE_CANTOPEN, ENOSPC, STORE_FULL},
	    {SQLITE_PERM, 0, STORE_READ_ONLY},
	    {SQLITE_BUSY, 0, STORE_LOCKED},
	    {SQLITE_BUSY_SNAPSHOT, 0, STORE_LOCKED},
	    {SQLITE_PROTOCOL, 0, STORE_LOCKED},
	    {SQLITE_CORRUPT, 0, STORE_DAMAGED},
	    {SQLITE_CORRUPT_INDEX, 0, STORE_DAMAGED},
	    {SQLITE_CORRUPT_VTAB, 0, STORE_FAILED},
	    {SQLITE_NOTADB, 0, STORE_DAMAGED},
	    {SQLITE_NOMEM, 0, STORE_FAILED},
	    {SQLITE_ERROR, 0, STORE_FAILED},
	    {SQLITE_CONSTRAINT, 0, STORE_FAILED},
	};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
		if (problem_result(cases[k].rc, cases[k].system) !=
		    cases[k].result)
			fail_msg("error %d with %d is %d", cases[k].rc,
			    cases[k].system,
			    problem_result(cases[k].rc, cases[k].system));
}

/* The line names the file, what was done, what is wrong and what to do. */
static void
line_says_what_to_do(void **state)
{
	char line[512];

	problem_text(line, sizeof(line), "/var/x.db", "writing a row",
	    SQLITE_IOERR_WRITE, EIO);
	assert_string_equal(line,
	    "/var/x.db: writing a row: disk I/O error (SQLite error 778): "
	    "Input/output error; look at the disk and the system's log");
	problem_text(
	    line, sizeof(line), "/var/x.db", "committing", SQLITE_FULL, EAGAIN);
	assert_string_equal(line,
	    "/var/x.db: committing: database or disk is full (SQLite error "
	    "13); make room on its file system");
	problem_text(
	    line, sizeof(line), "x", "beginning", SQLITE_READONLY_DBMOVED, 0);
	assert_non_null(strstr(line, "moved or deleted"));
	problem_text(line, 20, "x", "beginning", SQLITE_BUSY, 0);
	assert_int_equal(strlen(line), 19);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_are_results),
	    cmocka_unit_test(line_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
