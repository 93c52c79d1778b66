/* layout: what two versions share is what tests/unit/layout.golden says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hub/layout.h"

static const char golden[] = "tests/unit/layout.golden";

/* Reads the file; its length. */
static size_t
golden_read(char out[LAYOUT_MAX])
{
	FILE *f = fopen(golden, "r");
	size_t n;

	if (f == NULL)
		fail_msg("%s cannot be read", golden);
	n = fread(out, 1, LAYOUT_MAX, f);
	fclose(f);
	return n;
}

/* Fails at the first line that differs, and says what to do. */
static void
compare(char *now, char *then)
{
	char *a, *b;

	while ((a = strsep(&now, "\n")) != NULL &&
	    (b = strsep(&then, "\n")) != NULL)
		if (strcmp(a, b) != 0)
			fail_msg("the layout has changed: `%s` was `%s`.\n"
				 "An upgrade to this program stops all workers "
				 "and copies the memory by names: make "
				 "upgrade-from proves it.\nIf that is meant: "
				 "make layout renews %s",
			    a, b, golden);
}

/* With LAYOUT_RENEW in the environment: writes the file. */
static void
test_golden(void **state)
{
	static char now[LAYOUT_MAX], then[LAYOUT_MAX];
	size_t n = layout_print(now), m;
	FILE *f;

	assert_in_range(n, 1000, LAYOUT_MAX - 1);
	if (getenv("LAYOUT_RENEW") != NULL) {
		f = fopen(golden, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(now, 1, n, f), n);
		assert_int_equal(fclose(f), 0);
	}
	m = golden_read(then);
	if (n != m || memcmp(now, then, n) != 0) {
		compare(now, then);
		fail_msg("the layout has other lines at its end than %s: "
			 "make layout renews it",
		    golden);
	}
}

/* The number is always the same, and not 0. */
static void
test_number(void **state)
{
	uint64_t number = layout_number();

	assert_true(number != 0);
	assert_true(layout_number() == number);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
