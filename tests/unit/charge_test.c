/* charge: users and channels do not take each other's places; what an address
 * and a user may have; counters that follow from the entries whatever happens
 * to them. */
#include "hub_fixture.h"

#include <stdio.h>

#include "charge_check.h"
#include "hub/lock.h"
#include "hub/presence.h"

enum { TABLE = 64, PART = 8, ALICE = 0x111111, BOB = 0x222222 };

/* A name of a kind with a number, padded to a length. */
static size_t
name_of(char *out, enum charge_kind kind, uint32_t number, size_t len)
{
	size_t n = (size_t)sprintf(
	    out, "%s%u.", kind == CHARGE_USERS ? "#" : "room", number);

	while (n < len)
		out[n++] = 'x';
	return n;
}

/* Enters a name of a kind; SHM_NONE: refused. */
static uint32_t
enter(struct hub *h, enum charge_kind kind, uint32_t number, size_t len,
    const struct charge_terms *terms, enum charge_result *how)
{
	char name[PRESENCE_NAME_MAX + 1];
	uint32_t e;

	len = name_of(name, kind, number, len);
	hub_lock(h);
	e = presence_enter_for(h, name, len, terms, how);
	hub_unlock(h);
	return e;
}

/* This worker gives an entry up. */
static void
leave(struct hub *h, uint32_t e)
{
	hub_lock(h);
	presence_leave(h, e, h->self);
	hub_unlock(h);
}

/* Enters names from a number on until one is refused; how many it took. */
static uint32_t
fill(struct hub *h, enum charge_kind kind, uint32_t from, size_t len,
    const struct charge_terms *terms, enum charge_result *how)
{
	uint32_t n = 0;

	while (enter(h, kind, from + n, len, terms, how) != SHM_NONE)
		n++;
	return n;
}

static void
hub_make(struct hub *h, uint32_t n)
{
	fixture_hub(h, 16, n, 65536, 1 << 20, 1 << 20);
}

/* One kind is full, of names of any length: the other has all its places. */
static void
test_apart(void **state)
{
	static const struct charge_terms nobody;
	static const size_t lengths[] = {4, PRESENCE_INLINE,
	    PRESENCE_INLINE + 1, PRESENCE_INLINE + 65, PRESENCE_NAME_MAX};
	enum charge_result how;
	enum charge_kind kind;
	struct hub h;
	size_t a, b;

	for (a = 0; a < sizeof(lengths) / sizeof(lengths[0]); a++)
		for (b = 0; b < sizeof(lengths) / sizeof(lengths[0]); b++)
			for (kind = 0; kind < CHARGE_KINDS; kind++) {
				hub_make(&h, TABLE);
				assert_int_equal(fill(&h, kind, 0, lengths[a],
						     &nobody, &how),
				    TABLE);
				assert_int_equal(how, CHARGE_FULL);
				assert_int_equal(fill(&h, !kind, 0, lengths[b],
						     &nobody, &how),
				    TABLE);
				assert_int_equal(how, CHARGE_FULL);
				assert_int_equal(charge_held(&h, 0), TABLE);
				assert_int_equal(charge_held(&h, 1), TABLE);
				assert_true(charge_is_exact(&h));
				hub_destroy(&h);
			}
}

/* Nobody is bounded by address up to half of a table; above, no address gets
 * more than its part. */
static void
test_address(void **state)
{
	struct charge_terms alice = {.address = ALICE, .address_part = PART};
	struct charge_terms bob = {.address = BOB, .address_part = PART};
	struct charge_terms exempt = {.address_part = PART};
	struct charge_terms off = {.address = ALICE};
	enum charge_result how;
	enum charge_kind kind;
	uint32_t e, further;
	struct hub h;

	for (kind = 0; kind < CHARGE_KINDS; kind++) {
		hub_make(&h, TABLE);
		e = enter(&h, kind, 0, 0, &alice, &how);
		assert_int_equal(how, CHARGE_FIRST);
		assert_int_equal(
		    fill(&h, kind, 1, 0, &alice, &how), TABLE / 2 - 1);
		assert_int_equal(how, CHARGE_ADDRESS);
		assert_int_equal(charge_of_address(&h, kind, ALICE), TABLE / 2);
		/* the other kind is counted by itself */
		assert_int_equal(charge_of_address(&h, !kind, ALICE), 0);
		/* what is held already is open to it */
		further = enter(&h, kind, 0, 0, &alice, &how);
		assert_int_equal(further, e);
		assert_int_equal(how, CHARGE_FURTHER);
		assert_int_equal(
		    fill(&h, kind, 100, 0, &bob, &how), TABLE / PART);
		assert_int_equal(how, CHARGE_ADDRESS);
		/* what it gives up, at half of the table or above, is gone */
		leave(&h, e);
		assert_int_equal(
		    enter(&h, kind, 1000, 0, &alice, &how), SHM_NONE);
		assert_int_equal(how, CHARGE_ADDRESS);
		assert_int_equal(enter(&h, kind, 0, 0, &alice, &how), SHM_NONE);
		/* who is not counted fills the rest */
		assert_int_not_equal(
		    enter(&h, kind, 1001, 0, &off, &how), SHM_NONE);
		fill(&h, kind, 2000, 0, &exempt, &how);
		assert_int_equal(how, CHARGE_FULL);
		assert_int_equal(charge_held(&h, kind), TABLE);
		assert_true(charge_is_exact(&h));
		hub_destroy(&h);
	}
}

/* Who holds a channel first pays for it, until nobody holds it; others enter it
 * for nothing. */
static void
test_user(void **state)
{
	struct charge_terms alice = {.user = ALICE, .user_max = 4};
	struct charge_terms bob = {.user = BOB, .user_max = 4};
	struct charge_terms nobody = {.user_max = 4};
	enum charge_result how;
	uint32_t e, k;
	struct hub h;

	hub_make(&h, TABLE);
	e = enter(&h, CHARGE_CHANNELS, 0, 0, &alice, &how);
	assert_int_equal(fill(&h, CHARGE_CHANNELS, 1, 0, &alice, &how), 3);
	assert_int_equal(how, CHARGE_USER);
	assert_int_equal(charge_of_user(&h, ALICE), 4);
	/* users are not bounded by that */
	assert_int_not_equal(
	    enter(&h, CHARGE_USERS, 0, 0, &alice, &how), SHM_NONE);
	for (k = 10; k < 30; k++)
		enter(&h, CHARGE_CHANNELS, k, 0, &nobody, &how);
	for (k = 10; k < 30; k++) {
		enter(&h, CHARGE_CHANNELS, k, 0, &alice, &how);
		assert_int_equal(how, CHARGE_FURTHER);
	}
	/* on another worker, whose hold outlives the first */
	hub_become(&h, 1);
	enter(&h, CHARGE_CHANNELS, 0, 0, &bob, &how);
	assert_int_equal(how, CHARGE_FURTHER);
	hub_become(&h, 0);
	leave(&h, e);
	assert_int_equal(
	    enter(&h, CHARGE_CHANNELS, 50, 0, &alice, &how), SHM_NONE);
	assert_int_equal(charge_of_user(&h, BOB), 0);
	hub_become(&h, 1);
	leave(&h, e);
	assert_int_equal(charge_of_user(&h, ALICE), 3);
	enter(&h, CHARGE_CHANNELS, 0, 0, &bob, &how);
	assert_int_equal(charge_of_user(&h, BOB), 1);
	assert_true(charge_is_exact(&h));
	hub_destroy(&h);
}

/* The lobby is always there: nobody is refused it, or charged with it. */
static void
test_lobby(void **state)
{
	struct charge_terms alice = {.address = ALICE,
	    .user = ALICE,
	    .address_part = PART,
	    .user_max = 2};
	enum charge_result how;
	struct hub h;
	uint32_t e;

	hub_make(&h, TABLE);
	fill(&h, CHARGE_CHANNELS, 0, 0, &alice, &how);
	assert_int_equal(how, CHARGE_USER);
	hub_lock(&h);
	e = presence_enter_for(&h, "lobby", 5, &alice, &how);
	hub_unlock(&h);
	assert_int_equal(e, PRESENCE_LOBBY);
	assert_int_equal(how, CHARGE_FIRST);
	assert_int_equal(charge_of_user(&h, ALICE), 2);
	assert_int_equal(charge_held(&h, CHARGE_CHANNELS), 2);
	leave(&h, e);
	assert_int_equal(charge_of_user(&h, ALICE), 2);
	hub_destroy(&h);
}

static void
left_cb(const struct presence_view *v, void *arg)
{
	(void)arg;
	assert_true(v->name_len > 0);
}

/* A random name of either kind comes, and may go again. */
static void
act(struct hub *h)
{
	struct charge_terms terms = {
	    .address = fixture_random(9), .user = fixture_random(9)};
	enum charge_result how;
	uint32_t e;

	e = enter(h, fixture_random(2), fixture_random(2000), 0, &terms, &how);
	if (e != SHM_NONE && fixture_random(2))
		leave(h, e);
}

/* Counters are right after a recount, whatever was written over them, though
 * entries below and above of where it is change meanwhile, and though another
 * process begins one. */
static void
test_recount(void **state)
{
	struct charge_recount r, other;
	uint32_t round, i, k, at;
	struct hub h;

	for (round = 0; round < fixture_rounds(20); round++) {
		hub_make(&h, 3000);
		for (i = 0; i < 4000; i++)
			act(&h);
		assert_true(charge_is_exact(&h));
		if (round % 2)
			fixture_fill((void *)h.charge,
			    sizeof(*h.charge) * CHARGE_COPIES * h.n_charge);
		if (round % 4 == 3)
			fixture_fill((void *)&h.heads->charge_live, 12);
		r = other = (struct charge_recount){0};
		at = fixture_random(8);
		for (i = 0; charge_recount_step(&h, &r); i++) {
			for (k = 0; k < 100; k++)
				act(&h);
			if (round % 3 != 0 || i < at)
				continue;
			/* it takes the recount over */
			(void)charge_recount_step(&h, &other);
		}
		if (round % 3 != 0)
			assert_true(charge_is_exact(&h));
		while (charge_recount_step(&h, &other))
			continue;
		assert_true(charge_is_exact(&h));
		hub_destroy(&h);
	}
}

/* A process dies anywhere in a recount: the next one begins anew. */
static void
test_recount_given_up(void **state)
{
	struct charge_recount r;
	uint32_t round, k;
	struct hub h;

	hub_make(&h, 3000);
	for (k = 0; k < 4000; k++)
		act(&h);
	for (round = 0; round < 12; round++) {
		r = (struct charge_recount){0};
		for (k = 0; k < round && charge_recount_step(&h, &r); k++)
			act(&h);
		for (k = 0; k < 100; k++)
			act(&h);
		assert_true(charge_is_exact(&h));
		charge_recount(&h);
		assert_true(charge_is_exact(&h));
	}
	hub_destroy(&h);
}

/* Workers die: what only they had is charged to nobody any more. */
static void
test_death(void **state)
{
	struct hub h;
	uint32_t k;

	hub_make(&h, 3000);
	for (k = 0; k < 6000; k++) {
		hub_become(&h, (int)fixture_random(3));
		act(&h);
	}
	hub_become(&h, 0);
	fixture_fill(
	    (void *)h.charge, sizeof(*h.charge) * CHARGE_COPIES * h.n_charge);
	presence_clear(&h, 1, left_cb, NULL);
	assert_true(charge_is_exact(&h));
	fixture_fill(
	    (void *)h.charge, sizeof(*h.charge) * CHARGE_COPIES * h.n_charge);
	presence_clear(&h, 2, left_cb, NULL);
	assert_true(charge_is_exact(&h));
	assert_int_not_equal(charge_held(&h, CHARGE_USERS), 0);
	presence_clear(&h, 0, left_cb, NULL);
	assert_int_equal(charge_held(&h, CHARGE_USERS), 0);
	assert_int_equal(charge_held(&h, CHARGE_CHANNELS), 0);
	hub_destroy(&h);
}

/* Any words there: bounded work, no refusal for ever. */
static void
test_hostile(void **state)
{
	struct charge_terms terms = {
	    .address = ALICE, .user = BOB, .address_part = PART, .user_max = 4};
	enum charge_result how;
	uint32_t round, e;
	struct hub h;

	hub_make(&h, TABLE);
	for (round = 0; round < 200; round++) {
		fixture_fill((void *)h.charge,
		    sizeof(*h.charge) * CHARGE_COPIES * h.n_charge);
		fixture_fill((void *)h.heads->entries, 32);
		e = enter(&h, fixture_random(2), round, 0, &terms, &how);
		assert_true(e == SHM_NONE || e < h.n_entries);
		assert_true(charge_held(&h, 0) <= TABLE);
		assert_true(charge_held(&h, 1) <= TABLE);
		assert_true(presence_users_end(&h) <= TABLE + 1);
		assert_true(presence_next(&h, 0) <= h.n_entries);
		if (e != SHM_NONE)
			leave(&h, e);
		presence_clear(&h, 1, left_cb, NULL);
		assert_true(charge_is_exact(&h));
	}
	hub_destroy(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_apart),
	    cmocka_unit_test(test_address),
	    cmocka_unit_test(test_user),
	    cmocka_unit_test(test_lobby),
	    cmocka_unit_test(test_recount),
	    cmocka_unit_test(test_recount_given_up),
	    cmocka_unit_test(test_death),
	    cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
