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

/* What readers may leave unread of the journal fits into the spill, with the
 * largest entry besides; all of them together leave half of it. */
static void
test_readers(void **state)
{
	static const struct {
		uint8_t readers;
		uint32_t share;
		uint64_t one, spill; /* of 48 parts of the journal */
	} cases[] = {{0, 4, 12, 0}, {1, 0, 12, 18}, {1, 4, 12, 18},
	    {4, 2, 24, 30}, {5, 4, 12, 30}, {3, 2, 12, 30}, {7, 4, 8, 30},
	    {7, 12, 4, 24}, {2, 48, 1, 12}};
	struct hub_limits l = {.connections = 64,
	    .users = 16,
	    .channels = 16,
	    .journal_bytes = 1 << 20,
	    .output_bytes = 4 << 20,
	    .input_bytes = 1 << 20,
	    .events = 6};
	uint64_t one, spill;
	struct hub h;

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		l.readers = cases[k].readers;
		l.reader_share = cases[k].share;
		assert_int_equal(hub_create(&h, &l), 0);
		one = cases[k].one * h.journal_size / 48;
		spill = cases[k].spill * h.journal_size / 48;
		assert_true(h.reader_share <= one && h.reader_share + 7 >= one);
		assert_true(
		    h.spill_size <= spill && h.spill_size + 21 >= spill);
		assert_true(h.reader_share % 8 == 0 && h.spill_size % 8 == 0);
		assert_int_equal(h.events, l.readers & 6);
		assert_true(h.spill + h.spill_size <= h.base + h.size);
		hub_destroy(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_fresh),
	    cmocka_unit_test(test_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
