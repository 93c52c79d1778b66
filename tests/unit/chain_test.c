/* chain: bytes in pages of the input pool, and memory that goes back. */
#include "hub_fixture.h"

#include <sys/mman.h>
#include <unistd.h>

#include "hub/chain.h"
#include "../../src/hub/page.h"

static struct hub hub;
static struct input_pool pool;

/* A hub with 1,024 pages. */
static int
setup(void **state)
{
	fixture_hub(&hub, 16, 16, 1 << 20, 4 << 20, 1 << 20);
	return input_pool_init(&pool, &hub);
}

static int
teardown(void **state)
{
	input_pool_deinit(&pool);
	hub_destroy(&hub);
	return 0;
}

/* Pieces of any length come out as they went in, and take no more pages than
 * they need. */
static void
test_pieces(void **state)
{
	static char in[65536], out[65536];
	uint32_t first;
	size_t len, n;

	fixture_fill(in, sizeof(in));
	for (uint32_t round = 0; round < fixture_rounds(200); round++) {
		for (first = 0, len = 0; len < sizeof(in); len += n) {
			n = 1 + fixture_random(round % 2 ? 40 : 5000);
			if (n > sizeof(in) - len)
				n = sizeof(in) - len;
			assert_int_equal(
			    chain_append(&pool, &first, len, in + len, n), 0);
			assert_int_equal(
			    pool.pages.n_used, chain_pages(len + n));
		}
		assert_int_equal(chain_read(&hub, first, len, out), 0);
		assert_memory_equal(in, out, len);
		chain_free(&pool, first, len);
		assert_int_equal(pool.pages.n_used, 0);
	}
}

/* Where there is no room nothing is changed. */
static void
test_full(void **state)
{
	static char bytes[60000], out[60000];
	uint32_t first[40] = {0}, n = 0, used;

	fixture_fill(bytes, sizeof(bytes));
	while (chain_append(&pool, &first[n], 0, bytes, sizeof(bytes)) == 0)
		assert_true(++n < 40);
	assert_int_equal(first[n], 0);
	used = pool.pages.n_used;
	assert_int_equal(used, n * chain_pages(sizeof(bytes)));
	assert_int_equal(
	    chain_append(&pool, &first[0], sizeof(bytes), bytes, sizeof(bytes)),
	    -1);
	assert_int_equal(pool.pages.n_used, used);
	assert_int_equal(chain_read(&hub, first[0], sizeof(bytes), out), 0);
	assert_memory_equal(bytes, out, sizeof(bytes));
	while (n > 0)
		chain_free(&pool, first[--n], sizeof(bytes));
	assert_int_equal(pool.pages.n_used, 0);
}

/* Links that another process wrote over lead nowhere. */
static void
test_spoilt(void **state)
{
	static const uint32_t links[] = {0, 1025, SHM_NONE};
	static char bytes[5000], out[5000];
	uint32_t first;

	for (int k = 0; k < 3; k++) {
		first = 0;
		assert_int_equal(
		    chain_append(&pool, &first, 0, bytes, sizeof(bytes)), 0);
		hub.page[first - 1].next = links[k];
		assert_int_equal(
		    chain_read(&hub, first, sizeof(bytes), out), -1);
		assert_int_equal(
		    chain_append(&pool, &first, sizeof(bytes), bytes, 1),
		    CHAIN_CORRUPTED);
		chain_free(&pool, first, sizeof(bytes));
		assert_int_equal(pool.pages.n_used, chain_pages(5000) - 1);
		input_pool_deinit(&pool);
		input_clear(&hub, 0);
		input_pool_init(&pool, &hub);
	}
}

/* Bytes of the pool that the machine has memory for. */
static size_t
resident(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t len = (size_t)hub.n_pages * INPUT_PAGE;
	unsigned char there[1024];
	size_t n = 0;

	assert_true(len / page <= sizeof(there));
	assert_int_equal(mincore(hub.page, len, there), 0);
	for (size_t k = 0; k < len / page; k++)
		n += (there[k] & 1) * page;
	return n;
}

/* Memory that was needed once goes back, but for a block that is kept; what is
 * in use, here or in another worker, stays. */
static void
test_trim(void **state)
{
	static char bytes[60000], out[60000];
	uint32_t first[16] = {0}, taken;
	struct input_pool other;
	struct hub h = hub;
	uint64_t now_ms = 1000;
	int n = 0;

	fixture_fill(bytes, sizeof(bytes));
	hub_become(&h, 1);
	assert_int_equal(input_pool_init(&other, &h), 0);
	while (n < 16 &&
	    chain_append(&pool, &first[n], 0, bytes, sizeof(bytes)) == 0)
		n++;
	assert_int_equal(n, 16);
	assert_true(resident() > 900 * 1024);
	for (int k = 1; k < n; k++)
		chain_free(&pool, first[k], sizeof(bytes));
	/* the other one has taken a block that this one gave back */
	taken = 0;
	assert_int_equal(
	    chain_append(&other, &taken, 0, bytes, sizeof(bytes)), 0);
	for (int k = 0; k < 100; k++, now_ms += 100) {
		input_trim(&pool, now_ms);
		input_trim(&other, now_ms);
	}
	assert_true(resident() <= 4 * 64 * 1024);
	assert_int_equal(chain_read(&hub, first[0], sizeof(bytes), out), 0);
	assert_memory_equal(bytes, out, sizeof(bytes));
	assert_int_equal(chain_read(&h, taken, sizeof(bytes), out), 0);
	assert_memory_equal(bytes, out, sizeof(bytes));
	/* and it is there again for all */
	for (int k = 1; k < n - 2; k++) {
		first[k] = 0;
		assert_int_equal(
		    chain_append(&pool, &first[k], 0, bytes, sizeof(bytes)), 0);
	}
	input_pool_deinit(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_spoilt, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
