#include "hub/charge.h"

#include <string.h>

#include "base/siphash.h"
#include "heads.h"
#include "hub/lock.h"
#include "hub/presence.h"
#include "hub/stats.h"

/*
 * A copy of the counters: how many entries of each kind are held; then, by
 * address, those of users and those of channels; then channels by user. Each of
 * these is CHARGE_ROWS rows. Of a row by address of 2^12 counters a full table
 * of 65536 entries of as many addresses fills each with 16: nothing against an
 * eighth of the table. A row by user has half as many as there are channels,
 * since there the limit may be small.
 */
enum {
	HEAD = 16, /* counters before the first row; a cache line */
	ADDRESS_TABLE = CHARGE_ROWS << CHARGE_ADDRESS_BITS,
	/* in one hold of the lock: */
	CLEAR_STEP = 16 * 1024, /* counters set to 0 */
	RECOUNT_STEP = 1024	/* entries looked at */
};

/* Where a table of a copy begins, and how long its rows are. */
struct table {
	uint32_t begin, bits;
};

/* The table by address. */
static struct table
table_of_address(enum charge_kind kind)
{
	return (struct table){
	    HEAD + (uint32_t)kind * ADDRESS_TABLE, CHARGE_ADDRESS_BITS};
}

/* The table by user. */
static struct table
table_of_user(const struct hub *h)
{
	return (struct table){
	    HEAD + CHARGE_KINDS * ADDRESS_TABLE, h->payer_bits};
}

/* The place of a key in a row, in a copy: another one in each row. */
static _Atomic uint32_t *
place_of(const struct hub *h, uint32_t copy, struct table t, uint32_t key,
    uint32_t row)
{
	static const uint32_t odd[CHARGE_ROWS] = {0x9e3779b1, 0x85ebca77};
	uint32_t at = key * odd[row] >> (32 - t.bits);

	return &h->charge[(size_t)copy * h->n_charge + t.begin +
	    (row << t.bits) + at];
}

/* The copy that counts. */
static uint32_t
copy_live(const struct hub *h)
{
	return SHM_LOAD(h->heads->charge_live) & 1;
}

/* What a table says of a key. */
static uint32_t
table_count(const struct hub *h, struct table t, uint32_t key)
{
	uint32_t copy = copy_live(h), n = UINT32_MAX, row, v;

	for (row = 0; row < CHARGE_ROWS; row++) {
		v = SHM_LOAD(*place_of(h, copy, t, key, row));
		n = v < n ? v : n;
	}
	return n;
}

/* Adds or subtracts one, without going around if the counter was corrupted. */
static void
counter_add(_Atomic uint32_t *counter, bool more)
{
	uint32_t n = SHM_LOAD(*counter);

	if (more ? n < UINT32_MAX : n > 0)
		SHM_STORE(*counter, more ? n + 1 : n - 1);
}

/* Counts a key up or down in all rows of a table; key 0: not counted. */
static void
table_add(struct hub *h, uint32_t copy, struct table t, uint32_t key, bool more)
{
	uint32_t row;

	for (row = 0; key != 0 && row < CHARGE_ROWS; row++)
		counter_add(place_of(h, copy, t, key, row), more);
}

/* A key as an entry keeps it. */
static uint32_t
key_get(const uint8_t from[3])
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 |
	    (uint32_t)from[2] << 16;
}

static void
key_put(uint8_t to[3], uint32_t key)
{
	to[0] = (uint8_t)key;
	to[1] = (uint8_t)(key >> 8);
	to[2] = (uint8_t)(key >> 16);
}

/* Counts an entry in a copy. The lobby is charged to no user and is of no
 * kind. */
static void
copy_add(struct hub *h, uint32_t copy, uint32_t e, bool more)
{
	enum charge_kind kind =
	    presence_is_user(h, e) ? CHARGE_USERS : CHARGE_CHANNELS;

	if (e == PRESENCE_LOBBY)
		return;
	counter_add(&h->charge[(size_t)copy * h->n_charge + kind], more);
	table_add(h, copy, table_of_address(kind), key_get(h->entry[e].address),
	    more);
	if (kind == CHARGE_CHANNELS)
		table_add(h, copy, table_of_user(h), key_get(h->entry[e].payer),
		    more);
}

uint32_t
charge_key(const struct hub *h, const void *bytes, size_t len)
{
	uint32_t key = (uint32_t)siphash(h->hash_key, bytes, len) &
	    ((1u << CHARGE_KEY_BITS) - 1);

	return key != 0 ? key : 1;
}

uint32_t
charge_size(const struct hub *h, enum charge_kind kind)
{
	return kind == CHARGE_USERS ? h->n_users : h->n_channels;
}

uint32_t
charge_held(const struct hub *h, enum charge_kind kind)
{
	uint32_t n =
	    SHM_LOAD(h->charge[(size_t)copy_live(h) * h->n_charge + kind]);

	return n < charge_size(h, kind) ? n : charge_size(h, kind);
}

uint32_t
charge_of_address(const struct hub *h, enum charge_kind kind, uint32_t key)
{
	return key == 0 ? 0 : table_count(h, table_of_address(kind), key);
}

uint32_t
charge_of_user(const struct hub *h, uint32_t key)
{
	return key == 0 ? 0 : table_count(h, table_of_user(h), key);
}

enum charge_result
charge_judge(
    const struct hub *h, enum charge_kind kind, const struct charge_terms *t)
{
	uint64_t n = charge_size(h, kind);

	if (kind == CHARGE_CHANNELS && t->user_max != 0 &&
	    charge_of_user(h, t->user) >= t->user_max)
		return CHARGE_USER;
	if (t->address_part != 0 && 2ull * charge_held(h, kind) >= n &&
	    (uint64_t)charge_of_address(h, kind, t->address) *
		    t->address_part >=
		n)
		return CHARGE_ADDRESS;
	return CHARGE_FIRST;
}

uint32_t
charge_count(const struct hub *h)
{
	return HEAD + CHARGE_KINDS * ADDRESS_TABLE +
	    (CHARGE_ROWS << h->payer_bits);
}

void
charge_name(struct hub *h, uint32_t e, const struct charge_terms *t)
{
	key_put(h->entry[e].address, t->address);
	key_put(h->entry[e].payer, t->user);
	KILL_POINT();
}

void
charge_change(struct hub *h, uint32_t e, bool held)
{
	uint32_t live = copy_live(h);

	copy_add(h, live, e, held);
	if (e < SHM_LOAD(h->heads->charge_at))
		copy_add(h, live ^ 1, e, held);
}

/* Begins a recount, into the copy that does not count. */
static void
recount_begin(struct hub *h, struct charge_recount *r)
{
	SHM_STORE(h->heads->charge_at, 0);
	r->turn = SHM_LOAD(h->heads->charge_turn) + 1;
	SHM_STORE(h->heads->charge_turn, r->turn);
	r->begun = true;
}

/* Sets some counters of the other copy to 0. */
static void
recount_clear(struct hub *h, struct charge_recount *r)
{
	_Atomic uint32_t *other =
	    &h->charge[(size_t)(copy_live(h) ^ 1) * h->n_charge];
	uint32_t n = h->n_charge - r->cleared;

	n = n < CLEAR_STEP ? n : CLEAR_STEP;
	memset((void *)(other + r->cleared), 0, n * sizeof(*other));
	KILL_POINT();
	r->cleared += n;
}

/* Counts some entries into the other copy; after the last one that becomes the
 * copy that counts. False: it has. */
static bool
recount_entries(struct hub *h, struct charge_recount *r)
{
	uint32_t looked, e;

	for (looked = 0; looked < RECOUNT_STEP; looked++, r->at = e + 1) {
		/* asked each time: an entry may have come into use meanwhile */
		e = presence_next(h, r->at);
		if (e >= h->n_entries) {
			SHM_STORE(h->heads->charge_live, copy_live(h) ^ 1);
			SHM_STORE(h->heads->charge_at, 0);
			return false;
		}
		if (presence_mask(h, e) != 0)
			copy_add(h, copy_live(h) ^ 1, e, true);
	}
	SHM_STORE(h->heads->charge_at, r->at);
	return true;
}

bool
charge_recount_step(struct hub *h, struct charge_recount *r)
{
	bool more = true;

	hub_lock(h);
	if (!r->begun)
		recount_begin(h, r);
	else if (SHM_LOAD(h->heads->charge_turn) != r->turn)
		more = false; /* another process has begun a recount, which
			       * covers this one */
	else if (r->cleared < h->n_charge)
		recount_clear(h, r);
	else
		more = recount_entries(h, r);
	hub_unlock(h);
	return more;
}

void
charge_recount(struct hub *h)
{
	struct charge_recount r = {0};

	while (charge_recount_step(h, &r))
		line_tick(h);
}
