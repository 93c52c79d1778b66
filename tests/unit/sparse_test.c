/* sparse: large tables that cost nothing until they are touched. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sparse.h"

/* Pages of a table that are in memory. */
static size_t
pages_resident(void *table, size_t bytes)
{
	static unsigned char state[4096];
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t n = 0;

	assert_true(bytes / page <= sizeof(state));
	assert_int_equal(mincore(table, bytes, state), 0);
	for (size_t i = 0; i < bytes / page; i++)
		n += state[i] & 1;
	return n;
}

/* It is zero, and only what is written to takes memory. */
static void
test_untouched(void **state)
{
	enum { N = 1024, SIZE = 4096 };
	char *table = sparse_new(N, SIZE);

	assert_non_null(table);
	assert_int_equal(pages_resident(table, N * SIZE), 0);
	assert_int_equal(table[N * SIZE - 1], 0);
	memset(table + 5 * SIZE, 7, 10);
	assert_in_range(pages_resident(table, N * SIZE), 1, 600);
	assert_int_equal(table[5 * SIZE + 10], 0);
	sparse_free(table, N, SIZE);
	assert_int_equal(msync(table, SIZE, MS_ASYNC), -1); /* it is gone */
	sparse_free(NULL, N, SIZE);
}

/* What cannot be had is said. */
static void
test_too_large(void **state)
{
	errno = 0;
	assert_null(sparse_new(SIZE_MAX / 2 + 1, 2));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(sparse_new(SIZE_MAX / 4, 2));
	assert_int_equal(errno, ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_untouched),
	    cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
