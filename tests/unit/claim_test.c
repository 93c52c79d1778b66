/* claim: several workers take and give at random, against a plain table. */
#include "hub_fixture.h"

#include "hub/claim.h"

enum { WORKERS = 4, ITEMS = 64 * 9 + 5, BLOCKS = 10 };

struct world {
	_Atomic uint8_t owner[BLOCKS];
	struct claim claim[WORKERS];
	int8_t has[ITEMS]; /* worker + 1 */
	uint32_t n[WORKERS];
};

/* The owner bytes and numbers agree with the table. */
static void
world_check(struct world *w)
{
	uint32_t i, b, blocks[WORKERS] = {0}, empty[WORKERS] = {0};
	bool used[BLOCKS] = {false};

	for (i = 0; i < ITEMS; i++) {
		if (w->has[i] == 0)
			continue;
		used[i / SHM_BLOCK] = true;
		assert_true(i < claim_end(&w->claim[w->has[i] - 1]));
		assert_int_equal(w->owner[i / SHM_BLOCK], w->has[i]);
	}
	for (b = 0; b < BLOCKS; b++)
		if (w->owner[b] != 0) {
			blocks[w->owner[b] - 1]++;
			empty[w->owner[b] - 1] += !used[b];
		}
	for (i = 0; i < WORKERS; i++) {
		assert_int_equal(w->claim[i].n_used, w->n[i]);
		assert_true(empty[i] <= 1);
		assert_true(blocks[i] > 0 || w->n[i] == 0);
	}
}

/* One worker takes; an item that somebody has is never handed out. */
static void
world_take(struct world *w, uint32_t who)
{
	uint32_t i = claim_take(&w->claim[who]), b;

	if (i != SHM_NONE) {
		assert_true(i < ITEMS);
		assert_int_equal(w->has[i], 0);
		w->has[i] = (int8_t)(who + 1);
		w->n[who]++;
		return;
	}
	/* no room in a block of its own, and no block that nobody owns */
	for (b = 0; b < BLOCKS; b++)
		assert_int_not_equal(w->owner[b], 0);
	for (i = 0; i < ITEMS; i++)
		if (w->owner[i / SHM_BLOCK] == who + 1)
			assert_int_equal(w->has[i], (int)who + 1);
}

/* One worker gives an item back, if it is one of its own. */
static void
world_give(struct world *w, uint32_t item)
{
	int8_t who = w->has[item];

	if (who == 0)
		return;
	claim_give(&w->claim[who - 1], item);
	w->has[item] = 0;
	w->n[who - 1]--;
}

/* What a block is trimmed by. */
struct trim {
	struct world *w;
	uint32_t who, n;
};

/* A block that is trimmed is the worker's meanwhile, and not in use. */
static void
world_forget(void *arg, uint32_t b)
{
	struct trim *t = arg;

	assert_true(b < BLOCKS);
	assert_int_equal(t->w->owner[b], t->who + 1);
	for (uint32_t i = b * SHM_BLOCK; i < (b + 1) * SHM_BLOCK && i < ITEMS;
	     i++)
		assert_int_equal(t->w->has[i], 0);
	t->n++;
}

/* One worker trims what it has given back, at most so much. */
static void
world_trim(struct world *w, uint32_t who)
{
	struct trim t = {.w = w, .who = who};
	uint32_t max = 1 + fixture_random(4);

	if (fixture_random(2) == 0)
		claim_age(&w->claim[who]);
	claim_trim(&w->claim[who], max, world_forget, &t);
	assert_true(t.n <= max);
}

/* A worker dies: its blocks go to all, and another one begins anew. */
static void
world_die(struct world *w, uint32_t who)
{
	uint32_t i;

	claim_deinit(&w->claim[who]);
	claim_clear(w->owner, ITEMS, (int)who);
	for (i = 0; i < ITEMS; i++)
		if (w->has[i] == (int8_t)(who + 1))
			w->has[i] = 0;
	w->n[who] = 0;
	for (i = 0; i < BLOCKS; i++)
		assert_int_not_equal(w->owner[i], who + 1);
	assert_int_equal(
	    claim_init(&w->claim[who], w->owner, ITEMS, (int)who), 0);
	assert_int_equal(claim_note(&w->claim[who]), 0);
}

static void
test_model(void **state)
{
	static struct world w;
	uint32_t round, i, who;

	for (i = 0; i < WORKERS; i++) {
		assert_int_equal(
		    claim_init(&w.claim[i], w.owner, ITEMS, (int)i), 0);
		assert_int_equal(claim_note(&w.claim[i]), 0);
	}
	for (round = 0; round < fixture_rounds(60000); round++) {
		who = fixture_random(WORKERS);
		/* waves: mostly taking, then mostly giving */
		if (fixture_random(100) < (round / 2000 % 2 ? 40u : 60u))
			world_take(&w, who);
		else
			world_give(&w, fixture_random(ITEMS));
		if (fixture_random(3000) == 0)
			world_die(&w, who);
		if (fixture_random(20) == 0)
			world_trim(&w, who);
		if (round % 16 == 0)
			world_check(&w);
	}
	for (i = 0; i < ITEMS; i++)
		world_give(&w, i);
	world_check(&w);
	for (i = 0; i < WORKERS; i++)
		claim_deinit(&w.claim[i]);
}

/* What was not taken, or is none, is ignored. */
static void
test_give_nonsense(void **state)
{
	_Atomic uint8_t owner[2] = {0, 0};
	struct claim c;
	uint32_t i;

	assert_int_equal(claim_init(&c, owner, 70, 3), 0);
	claim_give(&c, 0);
	claim_give(&c, SHM_NONE);
	for (i = 0; i < 70; i++)
		assert_true(claim_take(&c) < 70);
	assert_int_equal(claim_take(&c), SHM_NONE);
	assert_int_equal(owner[0], 4);
	claim_give(&c, 70);
	claim_give(&c, 69);
	claim_give(&c, 69);
	assert_int_equal(c.n_used, 69);
	assert_int_equal(claim_take(&c), 69);
	claim_deinit(&c);
}

/* A block whose owner byte says that it is nobody's is not begun anew by who
 * has items of it in use. */
static void
test_owner_lies(void **state)
{
	_Atomic uint8_t owner[2] = {0, 0};
	uint64_t seen = 0;
	struct claim c;
	uint32_t i, item;

	assert_int_equal(claim_init(&c, owner, 128, 3), 0);
	for (i = 0; i < 64; i++)
		assert_true(claim_take(&c) < 64);
	owner[0] = 0;
	for (i = 0; i < 64; i++) {
		item = claim_take(&c);
		assert_in_range(item, 64, 127);
		assert_false(seen >> (item - 64) & 1);
		seen |= 1ull << (item - 64);
	}
	assert_int_equal(claim_take(&c), SHM_NONE);
	claim_deinit(&c);
}

enum { USELESS = 12 }; /* blocks */

/* No item of the first blocks is of use. */
static bool
usable_later(void *arg, uint32_t item)
{
	return item >= USELESS * SHM_BLOCK;
}

/* Blocks of which nothing is of use do not hide the others, but for the first
 * calls, each of which looks at some. */
static void
test_useless(void **state)
{
	enum { MANY = 1280 };
	static _Atomic uint8_t owner[MANY];
	struct claim c;
	uint32_t k, vain = 0;

	assert_int_equal(claim_init(&c, owner, MANY * SHM_BLOCK, 3), 0);
	for (k = 0; k < (MANY - USELESS) * SHM_BLOCK; k++)
		while (claim_take_if(&c, usable_later, NULL) == SHM_NONE)
			assert_true(++vain < USELESS);
	assert_int_equal(claim_take_if(&c, usable_later, NULL), SHM_NONE);
	claim_deinit(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_give_nonsense),
	    cmocka_unit_test(test_owner_lies),
	    cmocka_unit_test(test_useless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
