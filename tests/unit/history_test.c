/* history: each question that there is of a channel with few publications,
 * against a list of what was said; and chains that are corrupted. */
#include "hub_fixture.h"

#include "../../src/hub/heads.h"
#include "hub/history.h"

enum { SAID = 6, RING = 4096 };

static struct hub hub;
static uint32_t channel;
static uint64_t position[SAID + 1]; /* by offset, from 1 */
static struct history found;

/* Says something at that second; returns its position. */
static uint64_t
say(uint32_t to, uint8_t format, int64_t second, uint32_t len)
{
	static const char bytes[RING];
	struct publication p = {.channel = to,
	    .format = format,
	    .time_ms = second * 1000,
	    .user = "",
	    .data = bytes,
	    .data_len = len};

	hub_lock(&hub);
	journal_append(&hub, &p);
	hub_unlock(&hub);
	return p.position;
}

/* A channel in which publications 1 to SAID stand, each a second after the one
 * before, between others and joins. */
static int
setup(void **state)
{
	uint32_t other;
	bool first;

	fixture_hub(&hub, 16, 16, RING, 1 << 20, 1 << 20);
	hub_lock(&hub);
	channel = presence_enter(&hub, "room", 4, &first);
	other = presence_enter(&hub, "other", 5, &first);
	hub_unlock(&hub);
	for (uint32_t k = 1; k <= SAID; k++) {
		say(other, FORMAT_TEXT, k, 1);
		position[k] = say(channel, FORMAT_TEXT, k, 1);
		say(channel, FORMAT_JOIN, k, 0);
	}
	return 0;
}

static int
teardown(void **state)
{
	hub_destroy(&hub);
	return 0;
}

/* A question of that channel. */
static struct history_query
question(void)
{
	return (struct history_query){.channel = channel,
	    .epoch = hub.entry[channel].epoch,
	    .limit = HISTORY_MAX,
	    .keep = HISTORY_MAX};
}

/* Whether a publication is within what was asked for, and kept. */
static bool
wanted(const struct history_query *q, uint64_t offset)
{
	if (offset + q->keep <= SAID || (int64_t)offset * 1000 < q->oldest_ms ||
	    (q->upto != 0 && offset > q->upto))
		return false;
	if (!q->has_since || (q->reverse && q->since == 0))
		return true;
	return q->reverse ? offset < q->since : offset > q->since;
}

/* The answer is that of the list. */
static void
answer_check(const struct history_query *q)
{
	uint64_t oldest = SAID + 1, k;
	uint32_t n = 0;

	assert_int_equal(history_find(&hub, q, &found), 0);
	assert_int_equal(found.offset, SAID);
	for (k = 1; k <= SAID; k++) {
		uint64_t offset = q->reverse ? SAID + 1 - k : k;

		if (wanted(q, offset) && n < q->limit)
			assert_int_equal(found.position[n++], position[offset]);
		if (k + q->keep > SAID && (int64_t)k * 1000 >= q->oldest_ms &&
		    k < oldest)
			oldest = k;
	}
	assert_int_equal(found.n, n);
	/* what came after `since` is not all kept */
	assert_int_equal(found.gone,
	    q->has_since && !q->reverse && q->since < SAID &&
		oldest > q->since + 1);
}

/* Each place to go on from, each end and each number, both ways. */
static void
test_each(void **state)
{
	struct history_query q = question();
	int n = 0;

	for (int reverse = 0; reverse < 2; reverse++)
		for (int since = -1; since <= SAID + 1; since++)
			for (q.limit = 0; q.limit <= SAID + 1; q.limit++)
				for (q.upto = 0; q.upto <= SAID; q.upto++) {
					q.reverse = reverse;
					q.has_since = since >= 0;
					q.since =
					    since >= 0 ? (uint64_t)since : 0;
					answer_check(&q);
					n++;
				}
	assert_int_equal(n, 2 * (SAID + 3) * (SAID + 2) * (SAID + 1));
}

/* What is kept, by number and by age. */
static void
test_kept(void **state)
{
	struct history_query q = question();

	for (q.keep = 0; q.keep <= SAID + 1; q.keep++)
		for (int since = -1; since <= SAID; since++)
			for (int64_t s = 0; s <= SAID + 1; s++) {
				q.has_since = since >= 0;
				q.since = since >= 0 ? (uint64_t)since : 0;
				q.oldest_ms = s * 1000 - 1;
				answer_check(&q);
				q.oldest_ms = s * 1000;
				answer_check(&q);
			}
}

/* Of more than an answer holds: the oldest ones after a place, and the newest
 * ones in reverse. */
static void
test_most(void **state)
{
	struct history_query q;

	hub_destroy(&hub);
	fixture_hub(&hub, 16, 16, 1 << 20, 1 << 20, 1 << 20);
	for (int k = 1; k <= HISTORY_MAX + 5; k++)
		assert_int_equal(say(PRESENCE_LOBBY, FORMAT_TEXT, k, 1), k);
	channel = PRESENCE_LOBBY;
	q = question();
	q.keep = q.limit = 2 * HISTORY_MAX;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, HISTORY_MAX);
	assert_true(found.more);
	assert_int_equal(found.position[0], 1);
	assert_int_equal(found.position[HISTORY_MAX - 1], HISTORY_MAX);
	q.has_since = true;
	q.since = 3;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, HISTORY_MAX);
	assert_int_equal(found.position[0], 4);
	assert_true(found.more);
	q.since = 5;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, HISTORY_MAX);
	assert_false(found.more);
	q.has_since = false;
	q.reverse = true;
	q.limit = HISTORY_MAX;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, HISTORY_MAX);
	assert_int_equal(found.position[0], HISTORY_MAX + 5);
	assert_int_equal(found.position[HISTORY_MAX - 1], 6);
}

/* What the ring has overwritten is gone, whatever is to be kept. */
static void
test_overwritten(void **state)
{
	struct history_query q = question();
	uint32_t k;

	for (k = SAID; journal_oldest(&hub) <= position[3];)
		say(PRESENCE_LOBBY, FORMAT_TEXT, ++k, 100);
	assert_true(journal_oldest(&hub) <= position[4]);
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, SAID - 3);
	assert_int_equal(found.position[0], position[4]);
	assert_int_equal(found.offset, SAID);
	q.has_since = true;
	q.since = 3;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	q.since = 2;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_true(found.gone);
	/* all of it */
	while (journal_oldest(&hub) <= position[SAID])
		say(PRESENCE_LOBBY, FORMAT_TEXT, ++k, 100);
	q.since = SAID;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	assert_int_equal(found.n, 0);
	q.since = SAID - 1;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_true(found.gone);
}

/* An entry that is another channel's now, or none, is not answered for. */
static void
test_entry(void **state)
{
	struct history_query q = question();

	q.epoch++;
	found.n = 9;
	assert_int_equal(history_find(&hub, &q, &found), -1);
	assert_int_equal(found.n, 0);
	q = question();
	SHM_STORE(hub.entry[channel].epoch, 0);
	assert_int_equal(history_find(&hub, &q, &found), -1);
	q.channel = hub.n_entries;
	assert_int_equal(history_find(&hub, &q, &found), -1);
}

/* Where an entry stands in the ring. */
static struct entry_head *
entry(uint64_t at)
{
	const struct index_entry *x = &hub.index[at & (hub.n_index - 1)];

	return (struct entry_head *)(hub.journal +
	    (x->at & (hub.journal_size - 1)));
}

/* Publication k becomes one that a reader has brought: with that offset, behind
 * the one with the other offset. */
static void
becomes(uint32_t k, uint8_t format, uint64_t offset, uint64_t before)
{
	struct entry_head *e = entry(position[k]);

	e->format = format;
	e->offset = offset;
	e->before = before;
	if (k == SAID)
		SHM_STORE(hub.entry[channel].offset, offset);
}

/* Offsets that jump: 1 2 7 9, a leap to 1000, 1001. Of the publications that
 * are kept. */
static const uint64_t jumps[] = {0, 1, 2, 7, 9, 1000, 1001};
enum { LEAP = 5 };

static void
jump(void)
{
	for (uint32_t k = 1; k <= SAID; k++)
		becomes(k, k == LEAP ? FORMAT_LEAP : FORMAT_TEXT, jumps[k],
		    jumps[k - 1]);
}

/* A client that has a publication, or a leap, gets all that came after it,
 * however far the offsets are apart; leaps are no messages. One that has
 * anything else cannot go on. */
static void
test_jumps(void **state)
{
	struct history_query q = question();
	uint32_t k, n;

	jump();
	q.upto = jumps[SAID];
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, SAID - 1);
	q.has_since = true;
	for (q.since = 0; q.since <= jumps[SAID] + 1; q.since++) {
		for (k = 0; k < SAID && jumps[k] != q.since; k++)
			;
		assert_int_equal(history_find(&hub, &q, &found), 0);
		assert_int_equal(found.gone, k == SAID && q.since < jumps[k]);
		if (found.gone || k == SAID)
			continue;
		n = SAID - k - (k < LEAP);
		assert_int_equal(found.n, n);
		assert_int_equal(found.position[n - 1], position[SAID]);
		assert_int_equal(
		    found.position[0], position[k + 1 == LEAP ? SAID : k + 1]);
	}
	q.since = 0;
	q.reverse = true;
	q.limit = 2;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.position[1], position[4]);
}

/* A leap is not counted among what is kept, and is of no age. */
static void
test_leap_kept(void **state)
{
	struct history_query q = question();

	jump();
	q.keep = 2;
	q.has_since = true;
	q.since = 7;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.position[0], position[4]);
	q.since = 2;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_true(found.gone);
	/* nothing but the leap lies between */
	q.keep = 1;
	q.since = 9;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	assert_int_equal(found.n, 1);
	q.keep = 2;
	q.oldest_ms = SAID * 1000;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	entry(position[LEAP])->time_ms = 0;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
}

/* What an entry names as the one before it is not the one that the chain leads
 * to: something is missing between the two, and nothing before it is found. */
static void
test_missing(void **state)
{
	struct history_query q = question();

	jump();
	becomes(4, FORMAT_TEXT, 9, 8);
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
	q.has_since = true;
	for (q.since = 0; q.since <= 8; q.since++) {
		assert_int_equal(history_find(&hub, &q, &found), 0);
		assert_int_equal(found.gone, q.since != 8);
	}
	/* a leap that says so */
	jump();
	becomes(LEAP, FORMAT_LEAP, 1000, 11);
	for (q.since = 0; q.since <= 1000; q.since++) {
		assert_int_equal(history_find(&hub, &q, &found), 0);
		assert_int_equal(found.gone, q.since != 11 && q.since != 1000);
	}
	/* nothing is there between the newest and where the channel stands */
	jump();
	SHM_STORE(hub.entry[channel].offset, 1005);
	q.upto = 1005;
	q.since = 1001;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_true(found.gone);
	assert_int_equal(found.n, 0);
	q.since = 1000; /* the one before the newest */
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_true(found.gone);
	q.since = 1005;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	/* nor of what it stood at before, but what came after that is not
	 * asked for */
	becomes(SAID, FORMAT_TEXT, 1005, 1000);
	q.upto = 1000;
	q.since = 9;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_false(found.gone);
	assert_int_equal(found.n, 0);
}

/* A chain of more leaps than there can be is corrupted: the walk ends. */
static void
test_leaps(void **state)
{
	struct history_query q;

	hub_destroy(&hub);
	fixture_hub(&hub, 16, 16, 1 << 20, 1 << 20, 1 << 20);
	channel = PRESENCE_LOBBY;
	assert_int_equal(say(channel, FORMAT_TEXT, 1, 0), 1);
	q = question();
	q.limit = 1;
	for (int k = 1; k <= 70; k++) {
		entry(say(channel, FORMAT_TEXT, 1, 0))->format = FORMAT_LEAP;
		assert_int_equal(history_find(&hub, &q, &found), 0);
		assert_int_equal(found.n, k <= 64);
	}
}

/* A chain that leads elsewhere ends there: to another channel, to the same
 * place, forward, or behind the tail. */
static void
test_corrupted(void **state)
{
	const uint64_t to[] = {position[2] - 1, position[4], position[5],
	    journal_tail(&hub) + 1, UINT64_MAX, 0};
	struct history_query q = question();
	struct entry_head *e = entry(position[4]);

	for (size_t k = 0; k < sizeof(to) / sizeof(to[0]); k++) {
		e->previous = to[k];
		assert_int_equal(history_find(&hub, &q, &found), 0);
		assert_int_equal(found.n, 3);
		assert_int_equal(found.position[0], position[4]);
	}
	e->previous = position[3];
	e->epoch++;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
	e->epoch--;
	e->channel++;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
	e->channel--;
	e->position++;
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 2);
	SHM_STORE(hub.entry[channel].newest, 0);
	assert_int_equal(history_find(&hub, &q, &found), 0);
	assert_int_equal(found.n, 0);
	assert_int_equal(found.offset, SAID);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_each), TEST(test_kept),
	    TEST(test_most), TEST(test_overwritten), TEST(test_entry),
	    TEST(test_jumps), TEST(test_leap_kept), TEST(test_missing),
	    TEST(test_leaps), TEST(test_corrupted)};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
