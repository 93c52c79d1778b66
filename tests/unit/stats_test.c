/* stats: what is reckoned of the workers' words, whatever they write there. */
#include "hub_fixture.h"

#include "hub/stats.h"

static struct hub hub;

static int
begin(void **state)
{
	fixture_hub(&hub, 64000, 100, 1 << 20, 4 << 20, 1 << 20);
	return 0;
}

static int
end(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* Closing takes longer the more connections there are, of all workers; with
 * few it takes no time of its own. */
static void
test_closing(void **state)
{
	assert_int_equal(stats_closing_ms(&hub), 0);
	SHM_STORE(hub.worker[0].connections, 9);
	assert_int_equal(stats_closing_ms(&hub), 0);
	SHM_STORE(hub.worker[0].connections, 20000);
	SHM_STORE(hub.worker[SHM_WORKERS - 1].connections, 40000);
	assert_int_equal(stats_closing_ms(&hub), 6000);
}

/* No more than there may be, whatever they say. */
static void
test_closing_most(void **state)
{
	for (int k = 0; k < SHM_WORKERS; k++)
		SHM_STORE(hub.worker[k].connections, UINT32_MAX);
	assert_int_equal(stats_closing_ms(&hub), hub.n_slots / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_closing, begin, end),
	    cmocka_unit_test_setup_teardown(test_closing_most, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
