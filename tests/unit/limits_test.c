/* limits: what the rehearsal, the master and the child that copies tell each
 * other, and an older master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/master/limits.h"

static const struct hub_limits limits = {.connections = 1,
    .users = 2,
    .channels = 3,
    .journal_bytes = 4,
    .output_bytes = 5,
    .input_bytes = 6,
    .subscriptions = 7,
    .readers = 6,
    .events = 4,
    .reader_share = 9};

/* What is written is read. */
static void
test_round(void **state)
{
	struct hub_limits l;
	uint32_t connections;
	char text[256];
	int len = limits_print(text, sizeof(text), &limits, 8);

	assert_int_equal(len, strlen(text));
	assert_true(limits_read(text, &l, &connections));
	assert_true(hub_limits_equal(&l, &limits));
	assert_int_equal(connections, 8);
	/* an older program takes what it knows */
	assert_memory_equal(text, "limits 1 2 3 4 5 6 7 8 ", 23);
}

/* An older master passes no readers on; the line that follows is another's. */
static void
test_older(void **state)
{
	struct hub_limits l;
	uint32_t connections;

	memset(&l, 0x5a, sizeof(l));
	assert_true(limits_read(
	    "limits 1 2 3 4 5 6 7 8\nidentity 1 1000 1000", &l, &connections));
	assert_int_equal(l.subscriptions, 7);
	assert_int_equal(l.readers, 0);
	assert_int_equal(l.events, 0);
	assert_int_equal(l.reader_share, 0);
	assert_false(limits_read("limits 1 2 3 4 5 6 7", &l, &connections));
	assert_false(limits_read("", &l, &connections));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round),
	    cmocka_unit_test(test_older),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
