/* bucket: presence's index word by word: where an entry lies, where a look for
 * one ends, and what fills the hole that one leaves. */
#include "hub_fixture.h"

#include "../../src/hub/bucket.h"
#include "../../src/hub/name.h"

enum {
	LINE = 16,  /* buckets in a cache line */
	USERS = 64, /* so many of each kind: 8 lines each */
	LINES = 8
};

static struct hub hub;

static int
setup(void **state)
{
	fixture_hub(&hub, 16, USERS, 65536, 1 << 20, 1 << 20);
	assert_int_equal(hub.n_user_lines, LINES);
	assert_int_equal(hub.n_lines, 2 * LINES);
	/* without the lobby, whose hash is another one each time */
	memset((void *)hub.bucket, 0, (size_t)hub.n_lines * LINE * 4);
	return 0;
}

static int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* A hash whose entries begin at a line of their kind, with that low half. */
static uint64_t
hash_at(uint32_t line, uint32_t low)
{
	return (uint64_t)(line * (UINT32_MAX / LINES + 1)) << 32 | low;
}

/* Puts a user's entry in, whose name is its number. */
static void
put(uint32_t e, uint64_t hash)
{
	struct presence_entry *p = &hub.entry[e];
	const char name[] = {'#', (char)e};

	p->hash = (uint32_t)(hash >> 32);
	SHM_STORE(p->epoch, 1);
	name_write(&hub, p, name, 2);
	assert_true(bucket_put(&hub, hash, e));
}

/* Where a user's entry is found. */
static uint32_t
found(uint32_t e, uint64_t hash)
{
	const char name[] = {'#', (char)e};

	return bucket_find(&hub, hash, name, 2);
}

/* A bucket as it is in memory. */
static uint32_t
word(uint32_t line, uint32_t at)
{
	return hub.bucket[line * LINE + at];
}

/* A line has these entries, and nothing behind them. */
static void
line_is(uint32_t line, const uint32_t *entry, uint32_t n)
{
	for (uint32_t k = 0; k < LINE; k++)
		assert_int_equal(
		    word(line, k) & BUCKET_ENTRY, k < n ? entry[k] + 1 : 0);
}

/* A bucket is eight bits of the hash, and the entry's number + 1. */
static void
test_word(void **state)
{
	put(5, hash_at(3, 0x1234ab56));
	assert_int_equal(word(3, 0), 0xab000006);
	put(6, hash_at(3, 0xffff00ff));
	assert_int_equal(word(3, 1), 0x00000007);
	put(7, hash_at(0, 0) | 0xffull << 8);
	assert_int_equal(word(0, 0), 0xff000008);
	/* the last hash of all is in the last line */
	put(8, UINT64_MAX);
	assert_int_equal(word(LINES - 1, 0), 0xff000009);
	put(9, hash_at(LINES - 1, 0) - 1);
	assert_int_equal(word(LINES - 2, 0), 0xff00000a);
}

/* A channel's are behind the users' lines, whatever its hash. */
static void
test_kinds(void **state)
{
	const uint32_t e = 1 + hub.n_users;
	struct presence_entry *p = &hub.entry[e];
	const uint64_t hash = hash_at(2, 0x4200);

	p->hash = (uint32_t)(hash >> 32);
	SHM_STORE(p->epoch, 1);
	name_write(&hub, p, "room", 4);
	assert_true(bucket_put(&hub, hash, e));
	assert_int_equal(word(2, 0), 0);
	assert_int_equal(word(LINES + 2, 0), 0x42000000 | (e + 1));
	assert_int_equal(bucket_find(&hub, hash, "room", 4), e);
	assert_int_equal(bucket_find(&hub, hash, "#oom", 4), SHM_NONE);
	bucket_remove(&hub, e);
	assert_int_equal(word(LINES + 2, 0), 0);
	assert_int_equal(bucket_find(&hub, hash, "room", 4), SHM_NONE);
}

/* Of two with one hash the name decides; one that is free, or whose bits of the
 * hash are others, is not found. */
static void
test_find(void **state)
{
	const uint64_t hash = hash_at(4, 0x700);

	put(1, hash);
	put(2, hash);
	assert_int_equal(found(1, hash), 1);
	assert_int_equal(found(2, hash), 2);
	assert_int_equal(found(3, hash), SHM_NONE);
	assert_int_equal(found(1, hash_at(4, 0x800)), SHM_NONE);
	assert_int_equal(found(1, hash + (1ull << 32)), SHM_NONE);
	assert_int_equal(found(1, hash_at(5, 0x700)), SHM_NONE);
	SHM_STORE(hub.entry[1].epoch, 0);
	assert_int_equal(found(1, hash), SHM_NONE);
	assert_int_equal(found(2, hash), 2);
}

/* A bucket that another process has corrupted leads nowhere. */
static void
test_corrupted(void **state)
{
	const uint64_t hash = hash_at(4, 0x700);

	put(1, hash);
	put(2, hash);
	hub.bucket[4 * LINE] = 0x07000000 | (hub.n_entries + 1);
	assert_int_equal(found(1, hash), SHM_NONE);
	assert_int_equal(found(2, hash), 2);
	hub.bucket[4 * LINE] = 0x07ffffff;
	assert_int_equal(found(2, hash), 2);
	hub.bucket[4 * LINE] = 0x07000000; /* of no entry */
	assert_int_equal(found(2, hash), 2);
	bucket_remove(&hub, 2);
	assert_int_equal(found(2, hash), SHM_NONE);
	/* nor when what could fill a hole is looked for */
	for (uint32_t e = 1; e < LINE; e++)
		assert_true(bucket_put(&hub, hash, 1));
	hub.bucket[5 * LINE] = 0x07ffffff;
	bucket_remove(&hub, 1);
	assert_int_equal(found(1, hash), SHM_NONE);
}

/* What does not fit goes on in the next line, and round; the index is full when
 * all lines of the kind are. */
static void
test_full(void **state)
{
	const uint64_t hash = hash_at(6, 0);
	uint32_t e, n;

	for (e = 1; e <= 3 * LINE; e++)
		put(e, hash);
	for (e = 1; e <= 3 * LINE; e++) {
		assert_int_equal(
		    word((6 + (e - 1) / LINE) % LINES, (e - 1) % LINE), e + 1);
		assert_int_equal(found(e, hash), e);
	}
	assert_int_equal(word(1, 0), 0);
	/* the rest, of any entry */
	for (; e <= LINES * LINE; e++)
		assert_true(bucket_put(&hub, hash, 1));
	assert_false(bucket_put(&hub, hash, 1));
	assert_int_equal(found(99, hash), SHM_NONE);
	/* none has gone to the channels' lines */
	for (n = 0, e = 0; e < LINES * LINE; e++)
		n += hub.bucket[LINES * LINE + e] != 0;
	assert_int_equal(n, 0);
}

/* The last of a line fills the hole. */
static void
test_remove(void **state)
{
	const uint64_t hash = hash_at(2, 0);

	for (uint32_t e = 1; e <= 4; e++)
		put(e, hash);
	bucket_remove(&hub, 2);
	line_is(2, (const uint32_t[]){1, 4, 3}, 3);
	bucket_remove(&hub, 2); /* is not there */
	line_is(2, (const uint32_t[]){1, 4, 3}, 3);
	bucket_remove(&hub, 3);
	line_is(2, (const uint32_t[]){1, 4}, 2);
	bucket_remove(&hub, 1);
	line_is(2, (const uint32_t[]){4}, 1);
	bucket_remove(&hub, 4);
	line_is(2, NULL, 0);
}

/* A hole in a full line is filled with what lies further on, whose hole is
 * filled in turn; what is in its own line stays. */
static void
test_displaced(void **state)
{
	const uint64_t hash = hash_at(2, 0), next = hash_at(3, 0);
	uint32_t e, want[LINE];

	/* line 2: 1 to 16; line 3: 40 of its own, 17 to 31 of line 2; line 4:
	 * 41 of line 3, 32 of line 2 */
	for (e = 1; e <= LINE; e++)
		put(e, hash);
	put(40, next);
	for (; e < 2 * LINE; e++)
		put(e, hash);
	put(41, next);
	put(32, hash);
	line_is(4, (const uint32_t[]){41, 32}, 2);
	bucket_remove(&hub, 3);
	/* 17 comes to line 2, 41 to line 3, 32 to the front of line 4 */
	for (e = 0; e < LINE; e++)
		want[e] = e == 2 ? 17 : e + 1;
	line_is(2, want, LINE);
	for (e = 0; e < LINE; e++)
		want[e] = e == 0 ? 40 : e == 1 ? 41 : e + 16;
	line_is(3, want, LINE);
	line_is(4, (const uint32_t[]){32}, 1);
	for (e = 1; e <= 2 * LINE; e++)
		assert_int_equal(found(e, hash), e == 3 ? SHM_NONE : e);
	assert_int_equal(found(40, next), 40);
	assert_int_equal(found(41, next), 41);
}

/* An entry that a death has left in twice is taken out both times. */
static void
test_twice(void **state)
{
	const uint64_t hash = hash_at(7, 0);

	for (uint32_t e = 1; e <= LINE; e++)
		put(e, hash);
	assert_true(bucket_put(&hub, hash, 3));
	line_is(0, (const uint32_t[]){3}, 1);
	hub.bucket[7 * LINE + 9] = hub.bucket[7 * LINE + 2];
	bucket_remove(&hub, 3);
	line_is(0, NULL, 0);
	for (uint32_t k = 0; k < LINE; k++)
		assert_int_not_equal(word(7, k), 4);
	assert_int_equal(word(7, LINE - 1), 0);
	assert_int_equal(found(3, hash), SHM_NONE);
	for (uint32_t e = 1; e <= LINE; e++)
		assert_int_equal(
		    found(e, hash), e == 3 || e == 10 ? SHM_NONE : e);
}

/* Any work in any order: an entry is found exactly while it is in, and no line
 * has a hole. */
static void
test_random(void **state)
{
	uint64_t hash[USERS + 1];
	bool in[USERS + 1] = {false}, gap;
	uint32_t e, k;

	for (e = 1; e <= USERS; e++)
		hash[e] = hash_at(e % 2 ? 7 : e % LINES, e << 8);
	for (uint32_t round = 0; round < fixture_rounds(4000); round++) {
		e = 1 + fixture_random(USERS);
		if (in[e])
			bucket_remove(&hub, e);
		else
			put(e, hash[e]);
		in[e] = !in[e];
		for (k = 1; k <= USERS; k++)
			assert_int_equal(
			    found(k, hash[k]), in[k] ? k : SHM_NONE);
		for (k = 0, gap = false; k < LINES * LINE; k++) {
			gap = k % LINE != 0 && gap;
			assert_false(gap && hub.bucket[k] != 0);
			gap = hub.bucket[k] == 0;
		}
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_word), TEST(test_kinds),
	    TEST(test_find), TEST(test_corrupted), TEST(test_full),
	    TEST(test_remove), TEST(test_displaced), TEST(test_twice),
	    TEST(test_random)};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
