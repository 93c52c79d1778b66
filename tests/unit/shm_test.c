/* shm: memory that nobody has written to leads nowhere: its links are those of
 * no item. */
#include "chat_fixture.h"

#include "hub/subscription.h"
#include "../../src/hub/page.h"

enum { SLOTS = 64, USERS = 16 };

/* A link is its index's alone, and that of none is what memory begins as. */
static void
test_link(void **state)
{
	static const uint32_t some[] = {0, 1, 63, 64, SHM_NONE - 1, SHM_NONE};

	for (size_t k = 0; k < sizeof(some) / sizeof(some[0]); k++)
		assert_int_equal(shm_index(shm_link(some[k])), some[k]);
	assert_int_equal(shm_link(SHM_NONE), 0);
	assert_int_equal(shm_index(0), SHM_NONE);
}

/* No link of fresh memory names an item, however large the tables are. */
static void
test_fresh(void **state)
{
	struct hub h;
	uint32_t i;

	fixture_hub(&h, SLOTS, USERS, 65536, 1 << 20, 1 << 16);
	for (i = 0; i < h.n_slots; i++) {
		assert_int_equal(shm_index(h.slot[i].subscriptions), SHM_NONE);
		assert_int_equal(shm_index(h.slot[i].info), SHM_NONE);
	}
	for (i = 0; i < h.n_subscriptions; i++)
		assert_int_equal(
		    subscription_channel(&h.subscription[i]), SHM_NONE);
	for (i = 0; i < h.n_pages; i++)
		assert_int_equal(shm_index(SHM_LOAD(h.page[i].next)), SHM_NONE);
	for (i = 0; i < h.n_entries; i++)
		assert_int_equal(subscription_first(&h, 0, i), SHM_NONE);
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
