#include "hub/charge.h"

#include "base/siphash.h"
#include "charge_copy.h"
#include "heads.h"
#include "hub/presence.h"

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
	ADDRESS_TABLE = CHARGE_ROWS << CHARGE_ADDRESS_BITS
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

uint32_t
charge_copy_live(const struct hub *h)
{
	return SHM_LOAD(h->heads->charge_live) & 1;
}

/* What a table says of a key. */
static uint32_t
table_count(const struct hub *h, struct table t, uint32_t key)
{
	uint32_t copy = charge_copy_live(h), n = UINT32_MAX, row, v;

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

void
charge_copy_add(struct hub *h, uint32_t copy, uint32_t e, bool more)
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
	uint32_t n = SHM_LOAD(
	    h->charge[(size_t)charge_copy_live(h) * h->n_charge + kind]);

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
	uint32_t live = charge_copy_live(h);

	charge_copy_add(h, live, e, held);
	if (e < SHM_LOAD(h->heads->charge_at))
		charge_copy_add(h, live ^ 1, e, held);
}
