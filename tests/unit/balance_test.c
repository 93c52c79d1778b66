/* balance: everything that must go goes, nothing gets lost, it ends even. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "master/balance.h"

enum { N = CONF_WORKERS_MAX };

/* Plans, carries the plan out, and returns how many connections moved. */
static uint32_t
carry(uint32_t *count, uint64_t mask, uint64_t stay, bool even)
{
	struct balance_move move[BALANCE_MOVES_MAX];
	int n = balance_plan(count, mask, stay, even, move);
	uint32_t moved = 0;

	assert_in_range(n, 0, BALANCE_MOVES_MAX);
	for (int i = 0; i < n; i++) {
		assert_true(move[i].n > 0);
		assert_int_not_equal(move[i].from, move[i].to);
		assert_true(mask >> move[i].from & 1);
		assert_true((stay & mask) >> move[i].to & 1);
		assert_true(count[move[i].from] >= move[i].n);
		count[move[i].from] -= move[i].n;
		count[move[i].to] += move[i].n;
		moved += move[i].n;
	}
	return moved;
}

static void
even_already(void **state)
{
	uint32_t count[N] = {3, 2, 3, 3};

	assert_int_equal(carry(count, 15, 15, true), 0);
	assert_int_equal(carry(count, 0, 0, true), 0);
	assert_int_equal(carry(count, 15, 0, true), 0);
}

static void
evens_out(void **state)
{
	uint32_t count[N] = {100, 0, 3, 0}, sum = 0;

	assert_int_equal(carry(count, 15, 15, true), 74);
	for (int i = 0; i < 4; i++) {
		assert_in_range(count[i], 25, 26);
		sum += count[i];
	}
	assert_int_equal(sum, 103);
}

/* The one that keeps one more is one that has it. */
static void
moves_no_more_than_needed(void **state)
{
	uint32_t count[N] = {2, 2, 4, 2};

	assert_int_equal(carry(count, 15, 15, true), 1);
	memcpy(count, (uint32_t[]){0, 0, 5, 4}, 16);
	assert_int_equal(carry(count, 15, 15, true), 4);
}

static void
shrinks(void **state)
{
	uint32_t count[N] = {10, 0, 6, 2};

	/* 8 are given away: the emptiest takes, the fullest nothing */
	assert_int_equal(carry(count, 15, 3, false), 8);
	assert_int_equal(count[0], 10);
	assert_int_equal(count[1], 8);
	assert_int_equal(count[2] + count[3], 0);
	assert_int_equal(carry(count, 15, 1, false), 8);
	assert_int_equal(count[0], 18);
}

static void
skew(void **state)
{
	uint32_t count[N] = {125, 75}, small[N] = {9, 0};

	assert_false(balance_is_skewed(count, 3));
	count[0]++;
	assert_true(balance_is_skewed(count, 3));
	assert_false(balance_is_skewed(count, 1));
	assert_false(balance_is_skewed(small, 3));
	assert_false(balance_is_skewed(small, 0));
}

/* Random counts and masks: all that must hold. */
static void
random_plans(void **state)
{
	uint32_t count[N], before[N], least, most;
	uint64_t mask, stay, sum, after;
	bool even;

	srandom(1);
	for (int round = 0; round < 20000; round++) {
		mask = (uint64_t)random() << 33 ^ (uint64_t)random();
		stay = mask & ((uint64_t)random() << 33 ^ (uint64_t)random());
		even = random() % 2;
		sum = after = 0;
		for (int i = 0; i < N; i++) {
			count[i] = (uint32_t)random() % 1000;
			if (random() % 4 == 0)
				count[i] = 0;
			sum += count[i];
		}
		memcpy(before, count, sizeof(count));
		carry(count, mask, stay, even);
		least = UINT32_MAX;
		most = 0;
		for (int i = 0; i < N; i++) {
			after += count[i];
			if (stay == 0 || !(mask >> i & 1)) {
				assert_int_equal(count[i], before[i]);
				continue;
			}
			if (!(stay >> i & 1)) {
				assert_int_equal(count[i], 0);
				continue;
			}
			if (!even && count[i] == before[i])
				continue; /* took nothing */
			assert_true(even || count[i] > before[i]);
			least = count[i] < least ? count[i] : least;
			most = count[i] > most ? count[i] : most;
		}
		assert_int_equal(sum, after);
		assert_true(least == UINT32_MAX || most - least <= 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(even_already),
	    cmocka_unit_test(evens_out),
	    cmocka_unit_test(moves_no_more_than_needed),
	    cmocka_unit_test(shrinks),
	    cmocka_unit_test(skew),
	    cmocka_unit_test(random_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
