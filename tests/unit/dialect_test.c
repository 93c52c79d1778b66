/* dialect: pairs of a door and a framing have numbers without gaps. */
#include "codec/framing.h"

#define CHATD_FRAMINGS_MORE ROW(fat) ROW(full)
#include "../../src/codec/framing.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn/dialect.h"

/* One with more state than there is room for. */
const struct framing fat_framing = {
    .name = "fat", .state_bytes = FRAMING_STATE_MAX + 1};
const struct framing full_framing = {
    .name = "full", .state_bytes = FRAMING_STATE_MAX};

static void
test_pairs(void **state)
{
	struct dialects d = {.n = 0};

	assert_int_equal(dialect_find(&d, 1, 1), DIALECT_NONE);
	assert_true(dialect_add(&d, 7, NULL));
	assert_true(dialect_add(&d, 3, "websocket"));
	assert_false(dialect_add(&d, 4, "smoke"));
	assert_false(dialect_add(&d, 4, "fat"));
	assert_int_equal(d.n, 2);
	for (uint8_t k = 0; k < d.n; k++) {
		assert_ptr_equal(d.at[k].codec, framing_of(d.at[k].framing));
		assert_int_equal(
		    dialect_find(&d, d.at[k].door, d.at[k].framing), k);
	}
	assert_int_equal(d.at[0].door, 7);
	assert_int_equal(d.at[1].door, 3);
	/* what stands in a corrupted slot */
	assert_int_equal(dialect_find(&d, 4, 1), DIALECT_NONE);
	assert_int_equal(dialect_find(&d, 7, 0), DIALECT_NONE);
	assert_int_equal(dialect_find(&d, 0, 1), DIALECT_NONE);
	assert_int_equal(dialect_find(&d, 0xff, 0xff), DIALECT_NONE);
	assert_true(dialect_add(&d, 4, "full"));
}

static void
test_too_many(void **state)
{
	struct dialects d = {.n = 0};
	uint8_t k;

	for (k = 1; k <= DIALECTS_MAX; k++)
		assert_true(dialect_add(&d, k, "websocket"));
	assert_false(dialect_add(&d, k, "websocket"));
	assert_int_equal(d.n, DIALECTS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pairs), cmocka_unit_test(test_too_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
