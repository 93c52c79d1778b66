/* seen: what was logged once is not logged again, by whichever worker, and what
 * strangers name has an end. */
#include "hub_fixture.h"

#include "../../src/hub/heads.h"
#include "hub/seen.h"

static void
test_once(void **state)
{
	struct hub h;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	assert_true(hub_first_seen(&h, 7));
	assert_false(hub_first_seen(&h, 7));
	assert_true(hub_first_seen(&h, UINT64_MAX));
	assert_true(hub_first_seen(&h, 0));
	assert_false(hub_first_seen(&h, 0));
	hub_become(&h, 3);
	assert_false(hub_first_seen(&h, 7));
	hub_destroy(&h);
}

static void
test_full(void **state)
{
	struct hub h;
	int n = 0;

	fixture_hub(&h, 64, 100, 1 << 20, 4 << 20, 1 << 20);
	for (uint64_t k = 1; k <= 1000; k++)
		n += hub_first_seen(&h, k);
	assert_int_equal(n, SHM_SEEN);
	assert_false(hub_first_seen(&h, 1));
	assert_false(hub_first_seen(&h, 1001));
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once), cmocka_unit_test(test_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
