/*
 * charge: which address and user each held entry of presence is counted
 * against, so that no client can fill the tables for all others. Layer 2.
 *
 * An entry that comes to be held (its mask leaves 0) is charged to the address,
 * and if it is a channel to the user, of the connection that holds it first,
 * until no worker has it any more. Both are named by keys, hashes of 24 bits.
 * Counters by key lie in tables of fixed size, where a key has two places and
 * the smaller one counts: it is never too small, and too large only where two
 * keys share both places. By address that happens to 1 of 2^24 / n^2 addresses
 * while n others hold much; by user the count is a few too high while nearly
 * all channels are held by different users.
 *
 * All counters follow from the entries. A death between an entry's mask and its
 * counters leaves these off by one; they are counted anew at each takeover and
 * each cleaning (presence_match, presence_clear), whatever was written into
 * them.
 */
#ifndef CHATD_HUB_CHARGE_H
#define CHATD_HUB_CHARGE_H

#include "hub/shm.h"

/* An entry's kind follows from its number: each has its own range. */
enum charge_kind { CHARGE_USERS, CHARGE_CHANNELS, CHARGE_KINDS };

enum {
	CHARGE_COPIES = 2, /* one is counted anew while the other one counts */
	CHARGE_ROWS = 2,   /* places of a key */
	CHARGE_ADDRESS_BITS = 12, /* of a row by address */
	CHARGE_PAYER_BITS = 12,	  /* of a row by user, at least */
	CHARGE_KEY_BITS = 24
};

/* The address and user that ask for an entry, and their limits. */
struct charge_terms {
	uint32_t address; /* key; 0: not counted */
	uint32_t user;	  /* key; 0: not counted */
	/* An address that has as much as this part (8: an eighth) of a table
	 * that is half full gets no more of it; 0: not bounded. */
	uint32_t address_part;
	uint32_t user_max; /* channels that a user is charged with; 0: any */
};

enum charge_result {
	CHARGE_FIRST,	/* it is held now, and was not */
	CHARGE_FURTHER, /* it was held: nothing is charged */
	CHARGE_FULL,	/* refused: no entry of its kind is free */
	CHARGE_ADDRESS, /* refused: the address has its share */
	CHARGE_USER	/* refused: the user has reached its limit */
};

/* The key of some bytes: never 0. */
uint32_t charge_key(const struct hub *h, const void *bytes, size_t len);

/* How many entries there are of a kind, and how many of them are held. */
uint32_t charge_size(const struct hub *h, enum charge_kind kind);
uint32_t charge_held(const struct hub *h, enum charge_kind kind);

/* How many entries of a kind an address is charged with, and how many channels
 * a user. */
uint32_t
charge_of_address(const struct hub *h, enum charge_kind kind, uint32_t key);
uint32_t charge_of_user(const struct hub *h, uint32_t key);

/* Whether one more may be held: CHARGE_FIRST, ADDRESS or USER. Lock held. */
enum charge_result charge_judge(const struct hub *h, enum charge_kind kind,
    const struct charge_terms *terms);

/* How many counters a copy has in a hub of that size. */
uint32_t charge_count(const struct hub *h);

/* Names who entry e is charged to as soon as it is held. Lock held. */
void charge_name(struct hub *h, uint32_t e, const struct charge_terms *terms);

/* Counts an entry that has come to be held, or is so no more. Lock held. */
void charge_change(struct hub *h, uint32_t e, bool held);

/* Counts everything anew, a few entries in each hold of the lock. */
void charge_recount(struct hub *h);

/* charge_recount() in steps: does as much as one hold of the lock allows; *r is
 * zero at first. False: all is counted, or another process has begun a recount,
 * which counts all. */
struct charge_recount {
	bool begun;
	uint32_t turn;
	uint32_t cleared; /* counters */
	uint32_t at;	  /* entries that have been looked at */
};
bool charge_recount_step(struct hub *h, struct charge_recount *r);

#endif
